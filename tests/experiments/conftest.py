from __future__ import annotations

from tests.events.conftest import clock, shop, stores

__all__ = ["clock", "shop", "stores"]

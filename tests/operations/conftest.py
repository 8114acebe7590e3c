from __future__ import annotations

from tests.events.conftest import clock, stores

__all__ = ["clock", "stores"]

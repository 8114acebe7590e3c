"""The metrics of the shop whose founders ask for all their numbers, as pages get them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from liftwerk.clock import FixedClock
from liftwerk.project.metrics import Metrics
from liftwerk.store.home import Home
from liftwerk.store.stores import open_stores
from tests.events.shop import NOW
from tests.metrics.business import business


def rows() -> list[dict[str, Any]]:
    goal = {"metric": "incremental_profit", "holdout": "5%", "salt": "shop-holdout-1"}
    with (
        tempfile.TemporaryDirectory() as folder,
        open_stores(Home.open(Path(folder) / "home", create=True)) as stores,
    ):
        return Metrics(business(goal=goal), stores, FixedClock(NOW)).list()

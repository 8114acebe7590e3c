"""A made-up trial with known truth: what customers did before and after they were assigned."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.events.compact import compact
from liftwerk.store.stores import Stores
from tests.events import shop as shops
from tests.events.shop import event, put

START = datetime(2026, 1, 5, 6, tzinfo=UTC)
END = START + timedelta(days=40)
DAYS = 20
"""In which units come in."""

METRICS: dict[str, Any] = {
    "revenue": {
        "description": "Revenue in a week",
        "from": "order_completed",
        "aggregate": "sum",
        "property": "revenue",
        "within": "7d",
    },
    "ordered": {
        "description": "Ordered in a week",
        "from": "order_completed",
        "aggregate": "any",
        "within": "7d",
    },
    "views": {
        "description": "Pages in a week",
        "from": "page_viewed",
        "aggregate": "count",
        "within": "7d",
        "better": "lower",
    },
}
FEATURES: dict[str, Any] = {
    "spent": {
        "entity": "customer",
        "from": "order_completed",
        "aggregate": "sum",
        "property": "revenue",
        "window": "90d",
    },
    "mood": {
        "entity": "customer",
        "from": "rated",
        "aggregate": "last",
        "property": "mood",
        "window": "90d",
    },
}


@dataclass
class Trial:
    """Customers with what they did, drawn from a seed.

    Parameters
    ----------
    seed : int
    customers : int
    effect : float
        What the treated arm adds to the revenue of who buys.
    fields : dict
        Of the experiment's declaration.
    lost : float
        Part of the treated whose assignment is never told.
    """

    seed: int = 1
    customers: int = 2_000
    effect: float = 0.0
    fields: dict[str, Any] | None = None
    lost: float = 0.0

    def project(self) -> Project:
        """Declare it."""
        experiment = {
            "design": "ab",
            "description": "A warmer greeting",
            "arms": {"control": {}, "warm": {"label": "Warm"}},
            "metrics": ["revenue", "ordered"],
            "purpose": "measurement",
            **(self.fields or {}),
        }
        return shops.shop(experiments={"greeting": experiment}, metrics=METRICS, features=FEATURES)

    def tell(self, project: Project, stores: Stores) -> None:
        """Let all of it come in, each day's events at its end in the shop's time zone."""
        by_day: dict[datetime, list[dict[str, Any]]] = {}
        for one in self.events():
            at = datetime.fromisoformat(one["time"]).astimezone(project.timezone)
            midnight = datetime(at.year, at.month, at.day, tzinfo=project.timezone)
            by_day.setdefault(midnight + timedelta(days=1), []).append(one)
        for day in sorted(by_day):
            assert put(project, stores, *by_day[day], at=day) == []
        compact(project, stores, FixedClock(END))

    def events(self) -> list[dict[str, Any]]:
        """Tell everything, in no order."""
        chance = np.random.default_rng(self.seed)
        told: list[dict[str, Any]] = []
        for customer in range(self.customers):
            came = START + timedelta(seconds=int(chance.integers(DAYS * 86_400)))
            keen = chance.gamma(2.0, 0.5)
            warm = bool(chance.random() < 0.5)
            lot = chance.random()
            mood = ["good", "bad"][int(chance.integers(2))]
            self._tell(told, "rated", customer, came - timedelta(days=30), stars=3, mood=mood)
            for _ in range(chance.poisson(keen)):
                before = came - timedelta(seconds=int(chance.integers(60, 20 * 86_400)))
                self._order(told, customer, before, 20.0 * keen + chance.exponential(5.0))
            if not (warm and lot < self.lost):
                arm = "warm" if warm else "control"
                said = {"experiment": "greeting", "arm": arm, "probability": 0.5}
                self._tell(told, "assigned", customer, came, **said)
                if lot < 0.8:
                    said = {"experiment": "greeting", "arm": arm}
                    seen = came + timedelta(minutes=5)
                    said |= {"variant": arm, "placement": "page"}
                    self._tell(told, "variant_shown", customer, seen, **said)
            for _ in range(chance.poisson(0.5 * keen)):
                after = came + timedelta(seconds=int(chance.integers(60, 14 * 86_400)))
                worth = 20.0 * keen + chance.exponential(5.0) + self.effect * warm
                self._order(told, customer, after, worth)
            for _ in range(chance.poisson(1.0)):
                after = came + timedelta(seconds=int(chance.integers(60, 14 * 86_400)))
                self._tell(told, "page_viewed", customer, after)
        return told

    def _order(self, told: list[Any], customer: int, at: datetime, worth: float) -> None:
        order = f"o{len(told)}"
        self._tell(told, "order_completed", customer, at, order_id=order, revenue=f"{worth:.2f}")

    def _tell(
        self, told: list[Any], name: str, customer: int, at: datetime, **properties: Any
    ) -> None:
        identifiers = {"email": f"c{customer}@example.com"}
        number = len(told) + 1
        fields = {"identifiers": identifiers, "properties": properties, "time": at.isoformat()}
        told.append(event(name, number, **fields))

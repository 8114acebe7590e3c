"""A shop's past: customers who come and order, some more than others, and nothing tried on them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.events.compact import compact
from liftwerk.store.stores import Stores
from tests.events import shop as shops
from tests.events.shop import event, put
from tests.experiments import trial

START = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 150
NOW = START + timedelta(days=DAYS)
SECONDS = DAYS * 86_400

METRICS: dict[str, Any] = {
    "revenue": trial.METRICS["revenue"],
    "ordered": trial.METRICS["ordered"],
    "orders": {
        "description": "Orders in a week",
        "from": "order_completed",
        "aggregate": "count",
        "within": "7d",
    },
    "basket": {"description": "What an order brings", "formula": "revenue / orders"},
    "rated": {
        "description": "Rated in a week",
        "from": "rated",
        "aggregate": "any",
        "within": "7d",
    },
}
FEATURES: dict[str, Any] = {"spent": trial.FEATURES["spent"]}


@dataclass
class Past:
    """Customers with what they did, drawn from a seed.

    Parameters
    ----------
    seed : int
    customers : int
    """

    seed: int = 1
    customers: int = 1_500
    visits: list[tuple[int, float]] = field(default_factory=list)
    orders: list[tuple[int, float, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        chance = np.random.default_rng(self.seed)
        keen = chance.gamma(2.0, 0.5, self.customers)
        came = chance.uniform(0, 120 * 86_400, self.customers)
        for customer in range(self.customers):
            many = 1 + chance.poisson(5.0)
            times = chance.uniform(came[customer], SECONDS - 60, many)
            self.visits += [(customer, float(round(at))) for at in (came[customer], *times)]
            for _ in range(chance.poisson(3.0 * keen[customer])):
                at = float(round(chance.uniform(came[customer], SECONDS - 60)))
                cents = int(chance.exponential(1_000) + 3_000 * keen[customer]) + 500
                self.orders.append((customer, at, cents))

    def project(self, **sections: Any) -> Project:
        """Declare the shop."""
        told = {"metrics": METRICS, "features": FEATURES, **sections}
        return shops.shop(**told)

    def tell(self, project: Project, stores: Stores) -> None:
        """Let all of it come in, each day's events at its end."""
        by_day: dict[int, list[Any]] = {}
        for number, (customer, at) in enumerate(self.visits, start=1):
            one = self._event("page_viewed", number, customer, at)
            by_day.setdefault(int(at // 86_400), []).append(one)
        for number, (customer, at, cents) in enumerate(self.orders, start=len(self.visits) + 1):
            said = {"order_id": f"o{number}", "revenue": f"{cents // 100}.{cents % 100:02}"}
            one = self._event("order_completed", number, customer, at, **said)
            by_day.setdefault(int(at // 86_400), []).append(one)
        for day in sorted(by_day):
            assert put(project, stores, *by_day[day], at=START + timedelta(days=day + 1)) == []
        compact(project, stores, FixedClock(NOW))

    def units(self, since: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Count by hand: when each was first seen, if it ordered in the week after, its revenue."""
        first = np.full(self.customers, np.inf)
        for customer, at, *_ in [*self.visits, *self.orders]:
            if at >= since:
                first[customer] = min(first[customer], at)
        ordered, cents = np.zeros(self.customers), np.zeros(self.customers)
        for customer, at, worth in self.orders:
            if first[customer] < at <= first[customer] + 7 * 86_400:
                ordered[customer] = 1.0
                cents[customer] += worth
        return first, ordered, cents / 100.0

    def _event(self, name: str, number: int, customer: int, at: float, **said: Any) -> Any:
        when = (START + timedelta(seconds=at)).isoformat()
        identifiers = {"email": f"c{customer}@example.com"}
        return event(name, number, identifiers=identifiers, time=when, properties=said)

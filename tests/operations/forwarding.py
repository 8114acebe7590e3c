"""A shop that forwards, and what the tests of forwarding do with it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy
import pytest

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.events.compact import compact
from liftwerk.operations.forward.report import Status, status
from liftwerk.operations.forward.run import forward
from liftwerk.store.stores import Stores
from tests.connectors.vendors import SECRET, Asked, Vendor
from tests.events import shop as shops

HOOK: dict[str, Any] = {
    "kind": "webhook",
    "purpose": "ads",
    "secret_env": "FORWARD_SECRET",
    "events": ["page_viewed", "order_completed"],
    "start": "beginning",
}
MOMENT = timedelta(seconds=1)


class Shop:
    """A shop's events, its destinations, and a clock that only moves when it is moved."""

    def __init__(
        self, stores: Stores, clock: FixedClock, monkeypatch: pytest.MonkeyPatch, seed: int = 7
    ) -> None:
        monkeypatch.setenv("FORWARD_SECRET", SECRET)
        self.stores = stores
        self.clock = clock
        self.generator = numpy.random.default_rng(seed)
        self.project: Project = shops.shop()
        self.number = 0
        self.slept = 0.0

    def destinations(self, **destinations: dict[str, Any]) -> None:
        self.project = shops.shop(destinations=destinations)

    def event(
        self,
        who: str = "ada",
        name: str = "page_viewed",
        consent: tuple[str, ...] = ("ads",),
        **fields: Any,
    ) -> dict[str, Any]:
        """Make the next event of a customer; its id is its number."""
        self.number += 1
        made: dict[str, Any] = {
            "time": self.clock.now().isoformat(),
            "identifiers": {"email": f"{who}@example.com"},
            "consent": shops.granted(*consent),
        }
        made.update(fields)
        return shops.event(name, self.number, **made)

    def order(self, who: str = "ada", order_id: str = "o1", **fields: Any) -> dict[str, Any]:
        made = {"properties": {"order_id": order_id, "revenue": "10.00"}, **fields}
        return self.event(who, "order_completed", **made)

    def put(self, *events: dict[str, Any], source: str = "till") -> None:
        """Let events in and bring them into the tables."""
        refused = shops.put(self.project, self.stores, *events, source=source, at=self.clock.now())
        assert refused == []
        compact(self.project, self.stores, self.clock)

    def withdraw(self, who: str = "ada", purpose: str = "ads") -> None:
        properties = {"granted": [], "withdrawn": [purpose]}
        long_ago = "2026-01-15T00:00:00Z"
        self.put(self.event(who, "consent_changed", time=long_ago, properties=properties))

    def forward(self, only: str | None = None) -> None:
        forward(
            self.project,
            self.stores,
            self.clock,
            self.generator,
            only=only,
            pause=self._sleep,
        )

    def _sleep(self, seconds: float) -> bool:
        self.slept += seconds
        self.clock.advance(timedelta(seconds=seconds))
        return False

    def until(
        self, done: Callable[[Status], bool], step: timedelta = MOMENT, most: int = 500
    ) -> int:
        """Forward and let time pass until the first destination's status is right."""
        for rounds in range(most):
            self.forward()
            if done(self.status()):
                return rounds
            self.clock.advance(step)
        raise AssertionError(self.status())

    def status(self, place: int = 0) -> Status:
        return status(self.project, self.stores, self.clock)[place]


def is_done(row: Status) -> bool:
    return row.state == "up to date"


def numbers(vendor: Vendor) -> list[int]:
    """Return the numbers of the events that a webhook took, in order."""
    return [number(asked) for asked in vendor.took]


def number(asked: Asked) -> int:
    return int(asked.json["id"].replace("-", ""), 16)

"""A shop's past in several cities that move together, and nothing tried in any of them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.events.compact import compact
from liftwerk.store.stores import Stores
from tests.events import shop as shops
from tests.events.shop import order, put

CITIES = tuple(f"city{number:02}" for number in range(14))
DAY = timedelta(days=1)

COUNTED: dict[str, Any] = {"description": "x", "from": "order_completed", "within": "7d"}
METRICS: dict[str, Any] = {
    "revenue": {**COUNTED, "aggregate": "sum", "property": "revenue"},
    "orders": {**COUNTED, "aggregate": "count"},
    "returns": {**COUNTED, "aggregate": "sum", "property": "revenue", "better": "lower"},
    "buyers": {**COUNTED, "aggregate": "any"},
    "basket": {"description": "x", "formula": "revenue / orders"},
    "visits": {**COUNTED, "from": "page_viewed", "aggregate": "count"},
}
RADIO: dict[str, Any] = {
    "design": "geo",
    "description": "Radio in two cities",
    "purpose": "measurement",
    "metrics": ["revenue"],
    "effect": "15%",
    "geo": "city",
    "arms": {"quiet": {}, "radio": {"geos": ["city03", "city07"]}},
}
FEE: dict[str, Any] = {
    "design": "switchback",
    "description": "A delivery fee",
    "purpose": "measurement",
    "metrics": ["revenue"],
    "effect": "30%",
    "switchback": {"block": "6h"},
    "arms": {"usual": {}, "dearer": {}},
}


def shop(root: Any = None, **experiments: dict[str, Any]) -> Project:
    """Declare the shop with its experiments."""
    events: dict[str, Any] = {name: dict(one) for name, one in shops.SHOP["events"].items()}
    ordered = events["order_completed"]
    city = {"city": {"type": "string", "required": False}}
    events["order_completed"] = {**ordered, "properties": {**ordered["properties"], **city}}
    told: dict[str, Any] = {"events": events, "metrics": METRICS, "experiments": experiments}
    if any(one["design"] == "geo" for one in experiments.values()):
        # `tell` lets an order come in from each city on each day of UTC.
        told["project"] = {**shops.SHOP["project"], "timezone": "UTC"}
    if root is not None:
        told["root"] = root
    return shops.shop(**told)


def tell(
    project: Project, stores: Stores, now: datetime, days: int, seed: int = 3
) -> list[tuple[datetime, str, float]]:
    """Let an order come in from each city on each of the last days; returns time, city, worth."""
    rng = np.random.default_rng(seed)
    common = 1.0 + 0.1 * rng.normal(size=days)
    usual = rng.uniform(80.0, 120.0, len(CITIES))
    worth = usual * common[:, None] * (1.0 + 0.03 * rng.normal(size=(days, len(CITIES))))
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    number, all_of_them = 0, []
    for place in range(days):
        told = []
        for city, amount in zip(CITIES, worth[place], strict=True):
            number += 1
            at = midnight - (days - place) * DAY + timedelta(seconds=int(rng.integers(86_400)))
            one = order(number, f"o{number}", f"{amount:.2f}", time=at.isoformat())
            one["properties"]["city"] = city
            one["identifiers"] = {"email": f"{number}@example.com"}
            told.append(one)
            all_of_them.append((at, city, round(float(amount), 2)))
        assert put(project, stores, *told, at=midnight - (days - place - 1) * DAY) == []
    compact(project, stores, FixedClock(now))
    return all_of_them

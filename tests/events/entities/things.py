"""A shop with reference data, and the slow, obvious twin of what is read of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.events.entities.put import Knowledge, Put, put, sort_rows
from liftwerk.events.entities.schema import check_rows, entity_of
from liftwerk.store.stores import Stores
from tests.events.shop import shop

ENTITIES: dict[str, Any] = {
    "product": {
        "key": ["sku"],
        "description": "What is sold",
        "properties": {
            "sku": {"type": "string"},
            "name": {"type": "string", "required": False},
            "price": {"type": "money", "minimum": "0"},
            "cost": {"type": "money", "required": False},
            "stock": {"type": "integer", "required": False},
        },
    },
    "exchange_rate": {
        "key": ["currency"],
        "description": "Euros for one unit of a currency",
        "properties": {
            "currency": {"type": "string"},
            "rate": {"type": "number", "minimum": "0"},
        },
    },
    "channel_spend": {
        "key": ["channel", "day"],
        "description": "What a channel cost on a day",
        "purposes": ["accounting"],
        "properties": {
            "channel": {"type": "string"},
            "day": {"type": "time"},
            "spend": {"type": "money"},
        },
    },
    "club_member": {
        "key": ["email"],
        "description": "Members of the club",
        "purposes": ["accounting"],
        "person": {"email": "email"},
        "properties": {
            "email": {"type": "string", "privacy": "personal"},
            "level": {"type": "string", "choices": ["gold", "silver"]},
        },
    },
}

DAY = timedelta(days=1)
START = datetime(2026, 1, 1, tzinfo=UTC)
Row = tuple[str, int, int, int]
"""A product's SKU, the days from which it holds and is known, and its price in cents."""


def things(root: Path | str = ".", **changes: Any) -> Project:
    """Build the shop with its entities."""
    changes.setdefault("entities", ENTITIES)
    return shop(root, **changes)


def day(number: int) -> datetime:
    return START + number * DAY


def body(name: str, valid: datetime | None, known: datetime | None, **properties: Any) -> bytes:
    row: dict[str, Any] = {"name": name, "version": 1, "properties": properties}
    if valid is not None:
        row["time"] = valid
    if known is not None:
        row["known_at"] = known
    return msgspec.json.encode(row)


def keep(
    project: Project,
    stores: Stores,
    name: str,
    bodies: Sequence[bytes],
    clock: FixedClock,
    knowledge: Knowledge = "told",
) -> Put:
    """Check, sort and keep rows; every one has to be good by itself."""
    kind = entity_of(project, name)
    checked = check_rows(kind, enumerate(bodies, start=1))
    assert not checked.bad
    done = sort_rows(kind, stores, checked.good, knowledge, clock.now())
    put(kind, stores, done.table, clock)
    return done


def price(row: Row) -> bytes:
    sku, valid, known, cents = row
    return body("product", day(valid), day(known), sku=sku, price=f"{cents / 100:.2f}")


def held(rows: Sequence[Row], sku: str, at: int, known: int) -> int | None:
    """Say the price that held on a day by what was known on another, by going through it all."""
    best: Row | None = None
    for row in rows:
        if row[0] != sku or row[1] > at or row[2] > known:
            continue
        if best is None or (row[1], row[2]) > (best[1], best[2]):
            best = row
    if best is None:
        return None
    return best[3]

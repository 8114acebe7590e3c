"""A small shop whose events the tests of four rooms share."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project, build
from liftwerk.events.admit import admit
from liftwerk.events.schema import schema_of
from liftwerk.sections import SECTIONS
from liftwerk.store.stores import Stores

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)

SHOP: dict[str, Any] = {
    "project": {"name": "shop", "currency": "EUR", "timezone": "Europe/Berlin"},
    "purposes": {
        "measurement": {"basis": "legitimate_interest"},
        "ads": {"basis": "consent", "withdrawal": "future"},
        "personalisation": {"basis": "consent", "withdrawal": "retroactive"},
        "accounting": {"basis": "legal_obligation"},
    },
    "sources": {
        "web": {"kind": "http", "trust": "browser", "key_env": "SHOP_WEB_KEY"},
        "till": {"kind": "http", "trust": "server", "key_env": "SHOP_TILL_KEY"},
        "file": {"kind": "file", "trust": "import"},
    },
    "identifiers": {
        "email": {"normalise": "email", "privacy": "personal"},
        "device": {"normalise": "none"},
    },
    "events": {
        "page_viewed": {"version": 1, "description": "A page"},
        "order_completed": {
            "version": 2,
            "description": "A paid order",
            "unique": ["order_id"],
            "properties": {
                "order_id": {"type": "string", "privacy": "pseudonymous"},
                "revenue": {"type": "money", "minimum": "0"},
                "discount": {
                    "type": "money",
                    "minimum": "-100",
                    "maximum": "0",
                    "required": False,
                },
                "items": {
                    "type": "list",
                    "required": False,
                    "of": {"sku": "string", "quantity": "integer", "price": "money"},
                },
            },
        },
        "rated": {
            "version": 1,
            "description": "A rating",
            "properties": {
                "stars": {"type": "integer", "minimum": "1", "maximum": "5"},
                "score": {"type": "number", "minimum": "0", "maximum": "1", "required": False},
                "mood": {"type": "string", "choices": ["good", "bad"], "required": False},
                "again": {"type": "boolean", "required": False},
                "bought": {"type": "time", "required": False},
                "tags": {"type": "list", "of": "string", "required": False},
                "from": {"type": "string", "required": False},
            },
        },
    },
}


def shop(root: Path | str = ".", **changes: Mapping[str, Any]) -> Project:
    """Build the shop, with sections replaced."""
    values = copy.deepcopy(SHOP)
    values.update(changes)
    return build(values, SECTIONS, root)


def event(name: str = "page_viewed", number: int = 1, **fields: Any) -> dict[str, Any]:
    """Make an envelope; the number is its id."""
    version = 1
    if name == "order_completed":
        version = 2
    made: dict[str, Any] = {
        "id": str(UUID(int=number)),
        "name": name,
        "version": version,
        "time": "2026-02-01T12:00:00Z",
        "identifiers": {"email": "ada@example.com"},
    }
    made.update(fields)
    return made


def order(number: int = 1, order_id: str = "o1", revenue: str = "10.00", **fields: Any) -> Any:
    properties = {"order_id": order_id, "revenue": revenue, **fields.pop("properties", {})}
    return event("order_completed", number, properties=properties, **fields)


def granted(*purposes: str, at: str = "2026-01-01T00:00:00Z") -> dict[str, Any]:
    return {"granted": list(purposes), "source": "api", "at": at}


def put(
    project: Project,
    stores: Stores,
    *events: dict[str, Any],
    source: str = "till",
    at: datetime = NOW,
) -> list[str]:
    """Admit events and append what was let in; returns the reasons of the rest."""
    bodies = [msgspec.json.encode(one) for one in events]
    admitted = admit(bodies, schema_of(project), source, at, stores.ledger.buried())
    stores.inbox.append([row for row in admitted.rows if row is not None])
    return [refusal.reason for refusal in admitted.refused]


def clock() -> FixedClock:
    return FixedClock(NOW)

"""Random shopping, as events and reference data, and the same as plain tables for plain SQL."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.events.compact import compact
from liftwerk.events.identifiers import leaf_key
from liftwerk.store.stores import Stores
from tests.events.entities.things import body, keep
from tests.events.shop import event, put

START = datetime(2026, 1, 1, tzinfo=UTC)
END = START + timedelta(days=90)
STAMP = pa.timestamp("us", "UTC")
PRODUCTS = ("mug", "lamp", "sofa")
CHANNELS = ("search", "social")


@dataclass
class Shopping:
    """What happened, told twice.

    Parameters
    ----------
    seed : int
    people : int
    orders : int
    """

    seed: int
    people: int = 20
    orders: int = 120
    events: list[dict[str, Any]] = field(default_factory=list)
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        chance = random.Random(self.seed)
        self.tables = {"orders": [], "items": [], "returns": [], "costs": [], "spends": []}
        self.tables["units"] = [
            {
                "person": person,
                "start": START + timedelta(days=chance.randrange(40), seconds=chance.randrange(60)),
                "arm": chance.choice(["control", "treated"]),
            }
            for person in range(self.people)
        ]
        for number in range(self.orders):
            self._order(chance, number)
        for sku in PRODUCTS:
            for day in (-10, 20, 45):
                cost = chance.randrange(100, 3000)
                stock = chance.choice([0, 0, 7])
                at = START + timedelta(days=day)
                row = {"sku": sku, "since": at, "cost": cost, "stock": stock}
                self.tables["costs"].append(row)
        for day in range(90):
            for channel in CHANNELS:
                at = START + timedelta(days=day)
                spent = chance.randrange(0, 20_000)
                self.tables["spends"].append({"channel": channel, "day": at, "spend": spent})

    def _order(self, chance: random.Random, number: int) -> None:
        person = chance.randrange(self.people)
        at = START + timedelta(seconds=chance.randrange(80 * 86400))
        items = [
            {
                "sku": chance.choice([*PRODUCTS, "gift"]),
                "quantity": chance.randrange(1, 5),
                "price": chance.randrange(100, 9000),
            }
            for _ in range(chance.randrange(4))
        ]
        cents = sum(one["quantity"] * one["price"] for one in items)
        order = f"o{number}"
        fact = {"person": person, "at": at, "cents": cents, "order_id": order}
        self.tables["orders"].append(fact)
        self.tables["items"] += [{**one, "order_id": order} for one in items]
        told = [{**one, "price": _money(one["price"])} for one in items]
        properties = {"order_id": order, "revenue": _money(cents), "items": told}
        self._tell("order_completed", person, at, properties)
        if chance.random() < 0.3:
            back = min(at + timedelta(seconds=chance.randrange(40 * 86400)), END)
            refund, cost = chance.randrange(cents + 1), chance.randrange(500)
            fact = {"person": person, "at": back, "refund": refund, "cost": cost}
            self.tables["returns"].append(fact)
            said = {"order_id": order, "refund": _money(refund), "cost": _money(cost)}
            self._tell("returned", person, back, said)

    def _tell(
        self,
        name: str,
        person: int,
        at: datetime,
        properties: dict[str, Any],
    ) -> None:
        number = len(self.events) + 1
        identifiers = names(person)
        if name == "returned":
            # That it is the same person is known by their order, which says both.
            del identifiers["email"]
        fields = {"identifiers": identifiers, "time": at.isoformat(), "properties": properties}
        self.events.append(event(name, number, **fields))

    def tell(self, project: Project, stores: Stores) -> None:
        """Let all of it come in."""
        refused = put(project, stores, *self.events, at=END)
        assert refused == []
        compact(project, stores, FixedClock(END))
        products = [
            body(
                "product",
                one["since"],
                one["since"],
                sku=one["sku"],
                price="0.00",
                cost=_money(one["cost"]),
                stock=one["stock"],
            )
            for one in self.tables["costs"]
        ]
        keep(project, stores, "product", products, FixedClock(END))
        spends = [
            body(
                "channel_spend",
                one["day"],
                one["day"],
                channel=one["channel"],
                day=one["day"].isoformat(),
                spend=_money(one["spend"]),
            )
            for one in self.tables["spends"]
        ]
        keep(project, stores, "channel_spend", spends, FixedClock(END))

    def spine(self) -> pa.Table:
        """Return the units, as an experiment assigned them."""
        units = self.tables["units"]
        keys = [leaf_key("device", f"d{one['person']}") for one in units]
        return pa.table(
            {
                "unit": pa.array(keys, pa.binary()),
                "customer": pa.array(keys, pa.binary()),
                "time": pa.array([one["start"] for one in units], STAMP),
                "arm": [one["arm"] for one in units],
            }
        )

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Ask the plain tables; amounts are in cents."""
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            for name, rows in self.tables.items():
                connection.register(name, pa.Table.from_pylist(rows))
            return connection.sql(statement).fetchall()


def names(person: int) -> dict[str, str]:
    return {"email": f"p{person}@example.com", "device": f"d{person}"}


def _money(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02}"

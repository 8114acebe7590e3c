"""What a shop's pages and servers send: the events of the benchmark `collect`, as JSON.

Ids are random v4, a thousand distinct TCF strings, one event in five says nothing of consent.
"""

from __future__ import annotations

import base64
import os
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec

STRINGS = 1_000
SILENT = 0.2
"""Share of events without consent."""

CUSTOMERS = 500_000
_POOL = 20_000
_ID = "@@@@@@@@-@@@@-4@@@-9@@@-@@@@@@@@@@@@"

PROJECT = """
[project]
name = "shop"
currency = "EUR"
timezone = "Europe/Berlin"

[purposes]
analytics = { basis = "consent" }
ads = { basis = "consent" }
accounting = { basis = "legal_obligation" }

[identifiers]
customer_id = {}
device = { anonymous = true }

[sources.web]
kind = "http"
trust = "browser"

[events.page_viewed]
version = 1
description = "A page was shown"
[events.page_viewed.properties]
path = { type = "string" }
title = { type = "string", required = false }
seconds = { type = "number", minimum = "0", required = false }

[events.product_viewed]
version = 1
description = "A product was looked at"
[events.product_viewed.properties]
sku = { type = "string" }
price = { type = "money", minimum = "0" }
position = { type = "integer", minimum = "0" }

[events.order_completed]
version = 1
description = "A paid order"
unique = ["order_id"]
[events.order_completed.properties]
order_id = { type = "string", privacy = "pseudonymous" }
revenue = { type = "money", minimum = "0" }
items = { type = "list", of = { sku = "string", quantity = "integer", price = "money" } }
"""


def tc_string(number: int, rng: random.Random) -> str:
    """Write a TCF v2 core string: what IAB's specification lays out, field by field."""
    day = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=number % 300)
    deciseconds = int(day.timestamp() * 10)
    fields = [
        (2, 6), (deciseconds, 36), (deciseconds, 36), (10 + number % 300, 12), (1, 12), (1, 6),
        (4, 6), (13, 6), (100 + number % 200, 12), (4, 6), (0, 1), (0, 1), (0, 12),
        (rng.getrandbits(24) | 1 << 23, 24), (rng.getrandbits(24), 24), (0, 1), (4, 6), (13, 6),
        (800, 16), (0, 1), (rng.getrandbits(800), 800), (0, 16), (0, 1), (0, 12),
    ]  # fmt: skip
    bits = "".join(f"{value:0{width}b}" for value, width in fields)
    bits += "0" * (-len(bits) % 8)
    packed = int(bits, 2).to_bytes(len(bits) // 8, "big")
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


class Traffic:
    """An endless supply of distinct events, cheap enough for a client on one core.

    Parameters
    ----------
    seed : int
    now : datetime.datetime
        About when the events happened.
    """

    def __init__(self, seed: int, now: datetime) -> None:
        rng = random.Random(seed)
        strings = [tc_string(number, rng) for number in range(STRINGS)]
        self._events = [_split(_event(rng, strings, now)) for _ in range(_POOL)]
        self._next = 0

    def take(self, count: int) -> list[bytes]:
        """Return events as JSON, each with an id that no other has."""
        drawn = os.urandom(16 * count).hex()
        found = []
        for place in range(0, 32 * count, 32):
            head, tail = self._events[self._next % _POOL]
            self._next += 1
            d = drawn[place : place + 32]
            ident = f"{d[:8]}-{d[8:12]}-4{d[13:16]}-9{d[17:20]}-{d[20:]}"
            found.append(head + ident.encode() + tail)
        return found

    def batches(self, size: int) -> Iterator[bytes]:
        """Return arrays of events, without end."""
        while True:
            yield b"[" + b",".join(self.take(size)) + b"]"

    def singles(self) -> Iterator[bytes]:
        """Return events alone, without end."""
        while True:
            yield from self.take(100)


def _split(event: dict[str, object]) -> tuple[bytes, bytes]:
    head, _, tail = msgspec.json.encode(event).partition(_ID.encode())
    return head, tail


def _event(rng: random.Random, strings: list[str], now: datetime) -> dict[str, object]:
    kind = rng.choices(("page_viewed", "product_viewed", "order_completed"), (70, 25, 5))[0]
    customer = rng.randrange(CUSTOMERS)
    identifiers = {"device": f"d-{customer:06d}-{rng.randrange(3)}"}
    if kind == "order_completed" or rng.random() < 0.3:
        identifiers["customer_id"] = f"c-{customer:06d}"
    at = now - timedelta(seconds=rng.random() * 3_600)
    event: dict[str, object] = {
        "id": _ID,
        "name": kind,
        "version": 1,
        "time": at,
        "sent_at": at + timedelta(seconds=rng.random()),
        "identifiers": identifiers,
        "session": f"s-{rng.getrandbits(48):012x}",
        "context": {
            "page": f"/c/{rng.randrange(300)}",
            "country": rng.choice(("DE", "AT", "CH")),
            "campaign": {"source": "newsletter", "medium": "email"},
        },
        "properties": _properties(rng, kind),
    }
    if rng.random() >= SILENT:
        event["consent"] = {"tcf": rng.choice(strings)}
    return event


def _properties(rng: random.Random, kind: str) -> dict[str, object]:
    def price() -> str:
        return f"{rng.randrange(1, 200)}.{rng.randrange(100):02d}"

    if kind == "page_viewed":
        return {
            "path": f"/p/{rng.randrange(5_000)}",
            "title": "A page",
            "seconds": rng.random() * 60,
        }
    if kind == "product_viewed":
        sku = f"sku-{rng.randrange(20_000)}"
        return {"sku": sku, "price": price(), "position": rng.randrange(40)}
    items = [
        {"sku": f"sku-{rng.randrange(20_000)}", "quantity": 1 + rng.randrange(3), "price": price()}
        for _ in range(1 + rng.randrange(4))
    ]
    return {"order_id": f"o-{rng.getrandbits(64):016x}", "revenue": price(), "items": items}

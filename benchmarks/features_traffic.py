"""What the benchmark `features` sends: a shop's customers, each with a history that goes on.

Few customers come often and many seldom. Browsers tell of pages and products, some knowing the
customer; the shop's server tells of orders, and links the customer's number to the device. Each
event has an id, a time and, if it is an order, a number that no other has.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from benchmarks.traffic import PROJECT as EVENTS

PACK = Path(__file__).with_name("features_pack.toml")
VIEW = "shop"
BROWSER, SHOP = "web", "till"
KEYS = {
    BROWSER: ("LIFTWERK_BENCHMARK_KEY", "lw-benchmark-own-write-key-0123456789"),
    SHOP: ("LIFTWERK_BENCHMARK_TILL_KEY", "lw-benchmark-till-write-key-0123456789"),
}
"""Source -> the variable with its key, and the key."""

ORDERS = 0.05
SILENT = 0.1
"""Share of events without consent."""

_POOL = 5_000
_TAIL = 0.025
_CONSENT = '"consent"'
_ID, _ORDER, _DEVICE, _CUSTOMER, _TIME = "@id@", "@order@", "@device@", "@customer@", "@time@"


def project_text() -> str:
    """Write the project: the shop of the benchmark `collect`, two sources and the pack."""
    (web, _), (till, _) = KEYS[BROWSER], KEYS[SHOP]
    declared = EVENTS.replace('kind = "http"', f'kind = "http"\nkey_env = "{web}"')
    shop = f'\n[sources.{SHOP}]\nkind = "http"\ntrust = "server"\nkey_env = "{till}"\n'
    return declared + shop + PACK.read_text()


class Shop:
    """An endless supply of distinct events, cheap enough for a client on one core.

    Parameters
    ----------
    seed : int
    customers : int
        How many there are.
    """

    def __init__(self, seed: int, customers: int) -> None:
        self._rng = random.Random(seed)
        self._customers = customers
        self._pools = {
            BROWSER: [_template(self._rng, BROWSER) for _ in range(_POOL)],
            SHOP: [_template(self._rng, SHOP) for _ in range(_POOL)],
        }

    def take(
        self, source: str, count: int, since: datetime, until: datetime, name: str = ""
    ) -> list[bytes]:
        """Return a source's events as JSON, with times between two moments.

        Of one customer, who is named and agreed to everything, or of all.
        """
        drawn = os.urandom(16 * count).hex()
        pool, rng, length = self._pools[source], self._rng, (until - since).total_seconds()
        found = []
        for place in range(0, 32 * count, 32):
            d = drawn[place : place + 32]
            customer = number_of(rng.random(), self._customers)
            at = since + timedelta(seconds=rng.random() * length)
            given = {
                _ID: f"{d[:8]}-{d[8:12]}-4{d[13:16]}-9{d[17:20]}-{d[20:]}",
                _ORDER: f"o-{d[:16]}",
                _DEVICE: f"d-{name or f'{customer:07d}'}",
                _CUSTOMER: name or f"c-{customer:07d}",
                _TIME: at.isoformat(),
            }
            pieces = pool[rng.randrange(_POOL)]
            while name and _CONSENT not in pieces[-1]:
                pieces = pool[rng.randrange(_POOL)]
            found.append("".join([given.get(piece, piece) for piece in pieces]).encode())
        return found


def number_of(draw: float, customers: int) -> int:
    """Say which customer comes: the most faithful come twenty times as often as the average.

    Examples
    --------
    >>> number_of(0.0, 1000), number_of(0.1, 1000), number_of(0.999, 1000)
    (0, 14, 998)
    """
    return int(customers * ((draw + _TAIL) ** 2 - _TAIL**2) / (1 + 2 * _TAIL))


def _template(rng: random.Random, source: str) -> Sequence[str]:
    """Write an event, cut where something differs from one to the next."""
    name = "order_completed"
    if source == BROWSER:
        name = rng.choices(("page_viewed", "product_viewed"), (70, 25))[0]
    identifiers = {"device": _DEVICE}
    if source == SHOP or rng.random() < 0.3:
        identifiers["customer_id"] = _CUSTOMER
    event: dict[str, object] = {
        "id": _ID,
        "name": name,
        "version": 1,
        "time": _TIME,
        "identifiers": identifiers,
        "session": f"s-{rng.getrandbits(48):012x}",
        "context": {"page": f"/c/{rng.randrange(300)}", "country": rng.choice(("DE", "AT", "CH"))},
        "properties": _properties(rng, name),
    }
    if rng.random() >= SILENT:
        event["consent"] = {"granted": ["analytics"], "source": "api"}  # the last of its keys
    text = msgspec.json.encode(event).decode()
    pieces = [text]
    for mark in (_ID, _ORDER, _DEVICE, _CUSTOMER, _TIME):
        pieces = [part for piece in pieces for part in _cut(piece, mark)]
    return pieces


def _cut(piece: str, mark: str) -> list[str]:
    before, found, after = piece.partition(mark)
    if not found:
        return [piece]
    return [before, mark, after]


def _properties(rng: random.Random, name: str) -> dict[str, object]:
    def price() -> str:
        return f"{rng.randrange(1, 200)}.{rng.randrange(100):02d}"

    if name == "page_viewed":
        path = f"/p/{rng.randrange(5_000)}"
        return {"path": path, "title": "A page", "seconds": round(rng.random() * 60, 3)}
    if name == "product_viewed":
        sku = f"sku-{rng.randrange(20_000)}"
        return {"sku": sku, "price": price(), "position": rng.randrange(40)}
    items = [
        {"sku": f"sku-{rng.randrange(20_000)}", "quantity": 1 + rng.randrange(3), "price": price()}
        for _ in range(1 + rng.randrange(4))
    ]
    return {"order_id": _ORDER, "revenue": price(), "items": items}

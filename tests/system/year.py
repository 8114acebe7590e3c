"""A year of a shop, in which training sets are taken; at its end all of them are made again.

Households share a tablet, so that their members are linked, told apart and linked again. Events
come late and repeatedly; a file of today says what it knew long ago; several sources report one
order, each otherwise; consents are taken back and given again; some customers are erased. Nothing
links two households, so that what an erasure may touch is known by the log alone.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.events.admit import admit
from liftwerk.events.compact import compact
from liftwerk.events.identifiers import leaf_key
from liftwerk.events.schema import schema_of
from liftwerk.features.digest import table_hash
from liftwerk.features.training import load_training_set, rebuild, take_training_set
from liftwerk.governance.erase import erase, look_up, request
from liftwerk.store.inbox.protocol import InboxRow
from liftwerk.store.stores import Stores
from tests.events import shop as shops
from tests.events.shop import event, granted, order

START = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 365
HOUSEHOLDS = 24
PURPOSES = ("ads", "personalisation", "measurement")
ORDERS = {"entity": "customer", "from": "order_completed"}
SPENT = {**ORDERS, "property": "revenue"}
FEATURES: dict[str, Any] = {
    "views": {"entity": "customer", "from": "page_viewed", "aggregate": "count"},
    "views_30d": {
        "entity": "customer",
        "from": "page_viewed",
        "aggregate": "count",
        "window": "30d",
    },
    "spend": {**SPENT, "aggregate": "sum"},
    "spend_90d": {**SPENT, "aggregate": "sum", "window": "90d", "hop": "7d"},
    "faded": {**SPENT, "aggregate": "decayed_sum", "half_life": "30d"},
    "mean_order": {**SPENT, "aggregate": "mean"},
    "most": {**SPENT, "aggregate": "max", "where": "source <> 'web'"},
    "last_order": {**ORDERS, "aggregate": "last", "property": "order_id"},
    "kinds": {**ORDERS, "aggregate": "distinct", "property": "order_id"},
    "days_since": {**ORDERS, "aggregate": "time_since"},
    "per_view": {"entity": "customer", "expression": "spend / (views + 1)"},
}
CHOICES = 8
"""Different lists of features; a set asks for one of them."""

BURST = 6
"""Sets that are taken at one moment, about."""

LATE = (0, 0, 0, 2, 24, 10 * 24, 60 * 24)


def shop() -> Project:
    return shops.shop(identity={"at_most": 2}, features=FEATURES)


def at(hour: float) -> datetime:
    return START + timedelta(hours=hour)


@dataclass
class Household:
    """Who lives together, by e-mail address and device; the last device is everybody's."""

    name: str
    emails: list[str]
    devices: list[str]
    orders: list[str] = field(default_factory=list)


@dataclass
class Taken:
    """A set that was taken, and where it rests."""

    file: Path
    leaves: list[bytes]
    offset: int
    purpose: str


class Year:
    """Lives a year, and makes its sets again.

    Parameters
    ----------
    stores : Stores
        The caller holds the home.
    folder : Path
        For the sets.
    draw : random.Random
    events, sets, erasures : int
        How many.
    """

    def __init__(
        self,
        stores: Stores,
        folder: Path,
        draw: random.Random,
        events: int,
        sets: int,
        erasures: int,
    ) -> None:
        self.project = shop()
        self.stores = stores
        self.folder = folder
        self.draw = draw
        self.events = events
        moments = draw.sample(range(events // 20, events), max(1, sets // BURST))
        self.places = Counter(draw.choice(moments) for _ in range(sets))
        self.erasing = set(draw.sample(range(events // 4, events), erasures))
        self.houses = [_household(draw, number) for number in range(HOUSEHOLDS)]
        self.chosen = [_features(draw, place) for place in range(CHOICES)]
        self.log: list[tuple[list[bytes], str | None]] = []
        self.sent: list[tuple[dict[str, Any], str]] = []
        self.waiting: list[InboxRow] = []
        self.taken: list[Taken] = []
        self.counts: Counter[str] = Counter()

    def live(self) -> None:
        """Live it: events come in, some are sorted, sets are taken, customers are erased."""
        for number in range(self.events):
            hour = DAYS * 24 * number / self.events
            self._comes(number + 1, hour)
            if number in self.erasing:
                self._erase(hour)
            elif self.draw.random() < 0.012:
                self._sort(hour)
            if self.places[number] and self.stores.ledger.latest_snapshot() is None:
                self._sort(hour)
            for _ in range(self.places[number]):
                self._take(hour)
        self._sort(DAYS * 24)

    def check(self) -> Counter[str]:
        """Make every set again; returns what there was."""
        buried = self.stores.ledger.buried()
        for one in self.taken:
            before = load_training_set(one.file)
            done = rebuild(self.project, self.stores, before, str(one.file))
            concerned = self._concerned(buried, one.offset)
            gone = [leaf in buried for leaf in one.leaves]
            touched = [leaf in concerned for leaf in one.leaves]
            kept = pa.array([not it for it in touched])
            then, now = (table.filter(kept) for table in (before.table, done.again.table))
            assert then.equals(now), f"{one.file.name} up to {one.offset}"
            assert done.again.erased == sum(gone), one.file.name
            assert done.versions == {}
            assert not done.settings_changed
            if not any(touched):
                assert done.same
                again = self.folder / "again.parquet"
                done.again.save(again)
                assert again.read_bytes() == one.file.read_bytes(), one.file.name
                assert done.again.sha256 == before.sha256
                self.counts["sets equal to the last byte"] += 1
            self.counts["sets"] += 1
            self.counts["rows"] += len(gone)
            self.counts["rows compared"] += len(gone) - sum(touched)
            self.counts["rows of the erased"] += sum(gone)
            self.counts["rows of who lived with them"] += sum(touched) - sum(gone)
            self.counts["rows with a value"] += _told(then)
            self.counts["sets with erased customers and the rest equal"] += any(gone) and done.same
            if self.draw.random() < 0.1:
                self._hold_against_today(before, done.again.table.num_rows)
        return self.counts

    def _hold_against_today(self, before: Any, rows: int) -> None:
        """Count sets that would be others, were it not for what they knew."""
        names = list(before.origin.features)
        spine = before.table.drop_columns(names)
        today = take_training_set(
            self.project, self.stores, spine, names, before.origin.purpose
        ).table
        self.counts["sets held against today"] += 1
        self.counts["sets that are others today"] += table_hash(today) != before.sha256

    def _comes(self, number: int, hour: float) -> None:
        draw = self.draw
        if self.sent and draw.random() < 0.05:
            body, source = draw.choice(self.sent)
            self.counts["repeated"] += 1
        else:
            body, source = self._event(number, hour)
            self.sent.append((body, source))
        admitted = admit(
            [msgspec.json.encode(body)],
            schema_of(self.project),
            source,
            at(hour),
            self.stores.ledger.buried(),
        )
        for row in admitted.rows:
            if row is not None:
                self.waiting.append(row)
                leaves = [leaf_key(space, said) for space, said in body["identifiers"].items()]
                self.log.append((leaves, body.get("properties", {}).get("order_id")))
                self.counts[body["name"]] += 1

    def _sort(self, hour: float) -> None:
        self.stores.inbox.append(self.waiting)
        self.waiting = []
        compact(self.project, self.stores, FixedClock(at(hour)))

    def _event(self, number: int, hour: float) -> tuple[dict[str, Any], str]:
        draw = self.draw
        house = draw.choice(self.houses)
        kinds = ["page_viewed"] * 5 + ["order_completed"] * 6 + ["consent_changed"] * 2
        kind = draw.choice([*kinds, "identity_linked", "identity_unlinked"])
        source = draw.choice(("web", "till", "file"))
        person = draw.randrange(len(house.emails))
        email, device = (
            house.emails[person],
            draw.choice([house.devices[person], house.devices[-1]]),
        )
        both = {"email": email, "device": device}
        identifiers = draw.choice([{"email": email}, {"device": device}, both])
        properties: dict[str, Any] = {}
        if kind.startswith(("consent", "identity")):
            source = draw.choice(("till", "file"))
        if kind == "consent_changed":
            chosen = draw.sample(PURPOSES, draw.randrange(1, 3))
            sides = draw.choice([("granted", "withdrawn"), ("withdrawn", "granted")])
            properties = dict(zip(sides, (chosen, []), strict=True))
        if kind.startswith("identity"):
            identifiers = both
            properties = {"reason": "no"} if kind == "identity_unlinked" else {}
        late = draw.choice(LATE)
        self.counts["late"] += late > 0
        fields: dict[str, Any] = {"time": at(hour - late), "identifiers": identifiers}
        if draw.random() < 0.8:
            fields["consent"] = granted(*draw.sample(PURPOSES, draw.randrange(1, 4)))
        if source == "file":
            # What is learnt today may say that it was known long ago: it was not in a set then.
            fields["known_at"] = at(hour - draw.uniform(0, late))
        if kind == "order_completed":
            if not house.orders or draw.random() < 0.6:
                house.orders.append(f"{house.name}-{number}")
            return order(number, draw.choice(house.orders[-4:]), f"{number}.00", **fields), source
        return event(kind, number, properties=properties, **fields), source

    def _take(self, hour: float) -> None:
        draw = self.draw
        houses = draw.sample(self.houses, draw.randrange(1, 5))
        said, leaves = [], []
        for _ in range(draw.randrange(4, 40)):
            house = draw.choice(houses)
            space, names = draw.choice([("email", house.emails), ("device", house.devices)])
            name = draw.choice(names)
            said.append(f"{space}:{name}")
            leaves.append(leaf_key(space, name))
        # Also ahead of what is known by now: the end of a campaign that has just begun.
        times = [at(draw.uniform(0, hour + 48)) for _ in said]
        spine = pa.table(
            {
                "customer": said,
                "time": pa.array(times, pa.timestamp("us", "UTC")),
                "label": [draw.random() for _ in said],
            }
        )
        file = self.folder / f"set-{len(self.taken):04}.parquet"
        purpose = draw.choice(PURPOSES)
        made = take_training_set(
            self.project, self.stores, spine, draw.choice(self.chosen), purpose
        )
        made.save(file)
        self.taken.append(Taken(file, leaves, made.origin.offset, purpose))

    def _erase(self, hour: float) -> None:
        house = self.draw.choice(self.houses)
        clock = FixedClock(at(hour))
        self._sort(hour)
        customer = f"email:{self.draw.choice(house.emails)}"
        request(self.project, self.stores, [customer], "test", clock, "request")
        look_up(self.project, self.stores, "test", clock)
        erase(self.project, self.stores, self.stores.ledger.erasing(), "test", clock, search=False)
        self.counts["erasures"] += 1

    def _concerned(self, buried: frozenset[bytes], offset: int) -> set[bytes]:
        """Say whom erasures may touch: who is in an event, or an order, with somebody erased."""
        groups: dict[Any, set[Any]] = {}
        for leaves, order_id in self.log[:offset]:
            group: set[Any] = set()
            for one in [*leaves, *([order_id] if order_id is not None else [])]:
                group |= groups.get(one, {one})
            for one in group:
                groups[one] = group
        found = set(buried)
        for leaf in buried:
            found |= groups.get(leaf, set())
        return found


def _features(draw: random.Random, place: int) -> list[str]:
    """Choose some; most are of one event, as it takes longer to read two."""
    viewed = [name for name in FEATURES if name.startswith("views")]
    bought = [name for name, one in FEATURES.items() if one.get("from") == ORDERS["from"]]
    among = (viewed, bought, bought, list(FEATURES))[place % 4]
    return draw.sample(among, draw.randrange(1, min(5, len(among) + 1)))


def _household(draw: random.Random, number: int) -> Household:
    people = draw.randrange(1, 4)
    return Household(
        f"h{number}",
        [f"p{person}@h{number}.org" for person in range(people)],
        [*(f"d{person}-h{number}" for person in range(people)), f"tablet-h{number}"],
    )


def _told(table: pa.Table) -> int:
    """Count rows in which anything but nothing is known."""
    found = pa.chunked_array([pa.array([False] * table.num_rows, pa.bool_())])
    for column in table.columns[3:]:
        is_told = pc.is_valid(column)
        if pa.types.is_floating(column.type):
            is_told = pc.fill_null(pc.not_equal(column, 0.0), False)
        found = pc.or_(found, is_told)
    return pc.sum(pc.cast(found, pa.int64())).as_py() or 0

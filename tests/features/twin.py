"""What was known of one person, told by plain Python from the rules' own words.

One event at a time: may it be read, whose is it, is it the best report, does it count. Slow and
obvious; the oracle of every way in which values are made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from liftwerk.definitions import Project
from liftwerk.events.identifiers import leaf_key
from liftwerk.features.definition import FEATURES
from liftwerk.privacy.definition import PURPOSES
from liftwerk.privacy.permitted import AsOf, Grant, Withdrawal, permitted
from liftwerk.store.instants import to_microseconds
from tests.identity.naive import Fact
from tests.identity.naive import World as Links

from . import naive
from .worlds import EVENTS, LISTS, SPACES, World

TRUST = {"till": "server", "file": "import", "web": "browser"}
SUREST = ("server", "import", "browser")
SKEW = timedelta(seconds=10)
CONSENT_AHEAD = timedelta(hours=24)
EVER = 2**62
Leaf = tuple[int, str]


@dataclass(frozen=True)
class Row:
    """One event of the log."""

    offset: int
    source: str
    received: datetime
    body: Mapping[str, Any]

    @property
    def time(self) -> datetime:
        """When it happened: a browser's clock is set right."""
        time: datetime = self.body["time"]
        sent = self.body.get("sent_at")
        if self.source == "web" and sent is not None and abs(self.received - sent) > SKEW:
            return time + (self.received - sent)
        return time

    @property
    def known_at(self) -> datetime:
        if self.source == "file":
            known: datetime = self.body.get("known_at", self.time)
            return known
        return self.received

    @property
    def agreed(self) -> datetime | None:
        """When the consent in it was given; a day ahead is nothing that was known."""
        at: datetime | None = self.body.get("consent", {}).get("at")
        if at is not None and at - self.received > CONSENT_AHEAD:
            return None
        return at

    @property
    def name(self) -> str:
        return str(self.body["name"])

    @property
    def named(self) -> list[Leaf]:
        said = self.body["identifiers"]
        return [(place, said[space]) for place, space in enumerate(SPACES) if space in said]

    @property
    def leaves(self) -> list[bytes]:
        return [key_of(leaf) for leaf in self.named]


def key_of(leaf: Leaf) -> bytes:
    """Return the leaf key of an identifier."""
    return leaf_key(SPACES[leaf[0]], leaf[1])


class Twin:
    """One person's log as the rules see it.

    Parameters
    ----------
    world : World
    project : Project
    rows : list of Row
        What was admitted, in the order of the log.
    leaves : list of (int, str)
        Every identifier of the person.
    gone : set of bytes
        Who is erased.
    """

    def __init__(
        self, world: World, project: Project, rows: list[Row], leaves: list[Leaf], gone: set[bytes]
    ) -> None:
        self.world = world
        self.project = project
        self.purpose = project.get(PURPOSES)[world.purpose]
        self.leaves = leaves
        self.gone = gone
        self.rows: list[Row] = []
        seen = set()
        for row in rows:
            if row.body["id"] not in seen and not row.body.get("synthetic"):
                self.rows.append(row)
            seen.add(row.body["id"])

    def served(self, asked: Leaf, time: datetime, offset: int) -> dict[str, Any]:
        """Return every value as it is served: by what the log held up to an offset."""
        whose = self.customers(offset, EVER)
        return self._values(asked, time, whose, lambda row: True, offset)

    def trained(self, asked: Leaf, time: datetime, offset: int) -> dict[str, Any]:
        """Return every value as training reads it: by what was known at that time."""
        whose = self.customers(offset, to_microseconds(time))
        return self._values(asked, time, whose, lambda row: row.known_at <= time, offset)

    def is_late_within(self, asked: Leaf, time: datetime, offset: int) -> bool:
        """Say whether an event that counts in a window was told later than it happened."""
        whose = self.customers(offset, EVER)
        for feature in self.project.get(FEATURES).values():
            if feature.window is None or feature.from_ is None:
                continue
            head = naive._head(feature, to_microseconds(time))
            for row in self._counting(feature.from_, asked, whose, lambda row: True, offset):
                is_within = head <= to_microseconds(row.time) < to_microseconds(time)
                if is_within and row.received > row.time:
                    return True
        return False

    def customers(self, offset: int, at: int) -> dict[Leaf, Leaf]:
        """Say whose each identifier is, as a row of a time may know it."""
        kinds = {"identity_linked": "together", "identity_unlinked": "apart"}
        facts = []
        for row in self.rows:
            pair = row.named
            is_heard = row.offset <= offset and row.source != "web"
            if is_heard and len(pair) == 2 and not self.gone & set(row.leaves):
                times = to_microseconds(row.time), to_microseconds(row.known_at)
                facts.append(
                    Fact(pair[0], pair[1], *times, row.offset, kinds.get(row.name, "seen"))
                )
        anonymous = {SPACES.index("device")} if self.world.entity == "visitor" else set()
        whose = Links(facts, at_most=2, anonymous=anonymous).customers(at)
        return {leaf: whose.get(leaf, leaf) for leaf in self.leaves}

    def _readable(self, name: str, offset: int) -> list[Row]:
        customers = self.customers(offset, EVER)
        changes: dict[str, list[Any]] = {"granted": [], "withdrawn": []}
        for row in self.rows:
            if row.name != "consent_changed":
                continue
            # An erasure spares what a change says of others.
            whose = {customers[leaf] for leaf in row.named if key_of(leaf) not in self.gone}
            about = [leaf for leaf in self.leaves if customers[leaf] in whose]
            for side, kind in (("granted", Grant), ("withdrawn", Withdrawal)):
                changes[side] += [
                    kind(key_of(leaf), one, row.time, row.known_at, row.offset)
                    for leaf in about
                    for one in row.body["properties"][side]
                ]
        return [
            row
            for row in self.rows
            if row.name == name
            and row.offset <= offset
            and not self.gone & set(row.leaves)
            and permitted(
                row.body.get("consent", {}).get("granted"),
                row.time,
                row.leaves,
                name=self.world.purpose,
                purpose=self.purpose,
                withdrawals=changes["withdrawn"],
                grants=changes["granted"],
                as_of=AsOf(offset=offset),
                agreed=row.agreed,
            )
        ]

    def _counting(
        self, name: str, asked: Leaf, whose: Mapping[Leaf, Leaf], known: Any, offset: int
    ) -> list[Row]:
        rows = [row for row in self._readable(name, offset) if known(row)]
        if "unique" in EVENTS[name]:
            rows = _once(rows)
        return [row for row in rows if self._is_about(row, asked, whose)]

    def _is_about(self, row: Row, asked: Leaf, whose: Mapping[Leaf, Leaf]) -> bool:
        """Say whether an event is about what is asked of; of an article its items tell."""
        match self.world.entity:
            case "customer":
                return whose[row.named[0]] == whose[asked]
            case "visitor":
                return asked in row.named
            case "session":
                return bool(row.body.get("session") == asked[1])
            case _:
                items = row.body["properties"].get("items", [])
                return any(item["sku"] == asked[1] for item in items)

    def _values(
        self, asked: Leaf, time: datetime, whose: Mapping[Leaf, Leaf], known: Any, offset: int
    ) -> dict[str, Any]:
        rows = {name: self._counting(name, asked, whose, known, offset) for name in EVENTS}
        at = to_microseconds(time)
        values: dict[str, Any] = {}
        for name, feature in self.project.get(FEATURES).items():
            if feature.from_ is None:
                read, said = self.world.reckoned[name]
                numbers = [None if values[one] is None else float(values[one]) for one in read]
                values[name] = said(numbers)
                continue
            types = {key: one["type"] for key, one in EVENTS[feature.from_]["properties"].items()}
            types |= LISTS.get(feature.unnest or "", {})
            events = [
                naive.Event(
                    customer=b"",
                    time=to_microseconds(row.time),
                    known_at=0,
                    offset=row.offset,
                    weight=row.body.get("weight", 1.0),
                    properties=properties,
                )
                for row in rows[feature.from_]
                for properties in _properties(row, feature.from_, feature.unnest)
                if self.world.entity != "article" or properties["items.sku"] == asked[1]
            ]
            type_ = types.get(feature.property or "", "")
            values[name] = naive.value(
                feature, type_, events, b"", at, lambda text, row: self.world.holds[text](row)
            )
        return values


def _once(rows: Iterable[Row]) -> list[Row]:
    """Keep the best report of each order."""
    best: dict[str, Row] = {}

    def rank(row: Row) -> tuple[Any, ...]:
        trust = SUREST.index(TRUST[row.source])
        return bool(row.body.get("modelled")), trust, row.known_at, row.offset

    for row in sorted(rows, key=rank):
        best.setdefault(row.body["properties"]["order_id"], row)
    return sorted(best.values(), key=lambda row: row.offset)


def _properties(row: Row, event: str, unnest: str | None) -> list[dict[str, Any]]:
    """Return what conditions and aggregates see of an event: once, or once for each item."""
    said = row.body.get("properties", {})
    seen: dict[str, Any] = {
        key: _plain(said.get(key), one["type"]) for key, one in EVENTS[event]["properties"].items()
    }
    country = row.body.get("context", {}).get("country")
    if isinstance(country, dict):
        country = None
    if country is not None:
        country = str(country)
    seen |= {
        "source": row.source,
        "trust": TRUST[row.source],
        "modelled": bool(row.body.get("modelled")),
        "session": row.body.get("session"),
        "country": country,
    }
    if unnest is None:
        return [seen]
    if unnest == "tags":
        return [{**seen, "tags": tag} for tag in said.get("tags", [])]
    types = LISTS[unnest]
    return [
        {**seen, **{name: _plain(item[name.partition(".")[2]], types[name]) for name in types}}
        for item in said.get(unnest, [])
    ]


def _plain(value: Any, type_: str) -> Any:
    if value is None:
        return None
    if type_ == "money":
        return int(Decimal(value) * 100)
    if type_ == "number":
        return value + 0.0
    if type_ == "time" and isinstance(value, datetime):
        return value.astimezone(UTC)
    return value


def id_of(row: Row) -> bytes:
    """Return the event's id."""
    return UUID(row.body["id"]).bytes

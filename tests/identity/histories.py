"""Random histories of customers, lived twice and told once more by plain Python.

A history is a list of steps: an event comes in, what came in is sorted, somebody is erased. It is
lived step by step in one home, and from its whole log at once in a fresh one: all that is derived
must be the same. `Twin` says what may be read, whose it is and what it counts, one row at a time,
from the rules' own words.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.events.compact import compact
from liftwerk.events.consent.statements import read_statements
from liftwerk.events.identifiers import leaf_key
from liftwerk.features.as_of import training_set
from liftwerk.governance.erase import erase, look_up, request
from liftwerk.identity.mapping import identity_map
from liftwerk.identity.resolve import customers_of, relations
from liftwerk.metrics.count import per_decision
from liftwerk.privacy.definition import PURPOSES
from liftwerk.privacy.permitted import AsOf, Grant, Withdrawal, permitted
from liftwerk.store.home import Home
from liftwerk.store.instants import to_microseconds
from liftwerk.store.stores import Stores, open_stores
from tests.events import shop as shops
from tests.events.shop import event, granted, order, put

from .naive import Fact, World

START = datetime(2026, 1, 1, tzinfo=UTC)
END = START + timedelta(days=90)
SPACES = ("email", "device")
NAMES = {"email": ("ada@x.org", "bob@x.org", "eve@x.org"), "device": ("d1", "d2", "d3", "d4")}
LEAVES = {
    leaf_key(space, name): (place, name)
    for place, space in enumerate(SPACES)
    for name in NAMES[space]
}
ASKED = ("ads", "personalisation", "measurement")
READ = ("page_viewed", "order_completed")
SURE = {"till": 0, "file": 1, "web": 3}
LINKING = ("till", "file")
FEATURES = ("views", "spend")
SECTIONS: dict[str, Any] = {
    "identity": {"at_most": 2},
    "features": {
        "views": {"entity": "customer", "from": "page_viewed", "aggregate": "count"},
        "spend": {
            "entity": "customer",
            "from": "order_completed",
            "aggregate": "sum",
            "property": "revenue",
        },
    },
    "metrics": {
        "orders": {
            "description": "Orders",
            "from": "order_completed",
            "aggregate": "count",
            "within": "30d",
        }
    },
}


def shop() -> Project:
    return shops.shop(**SECTIONS)


def at(hour: int) -> datetime:
    return START + timedelta(hours=hour)


@dataclass(frozen=True)
class Comes:
    """An event comes in."""

    body: dict[str, Any]
    source: str
    hour: int


@dataclass(frozen=True)
class Sorts:
    """What came in is sorted."""


@dataclass(frozen=True)
class Goes:
    """Somebody is erased."""

    namespace: str
    name: str


Step = Comes | Sorts | Goes


def history(draw: random.Random, events: int = 24) -> list[Step]:
    """Make up a history; the same draws make the same one."""
    steps: list[Step] = []
    sent: list[Comes] = []
    for hour in range(events):
        if sent and draw.random() < 0.1:
            again = draw.choice(sent)
            come = Comes(again.body, again.source, hour)
        else:
            come = _comes(draw, hour + 1, hour)
            sent.append(come)
        steps.append(come)
        if draw.random() < 0.2:
            steps.append(Sorts())
        if draw.random() < 0.015:
            space = draw.choice(SPACES)
            steps.append(Goes(space, draw.choice(NAMES[space])))
    return steps


def _comes(draw: random.Random, number: int, hour: int) -> Comes:
    kinds = ["page_viewed"] * 3 + ["order_completed"] * 4 + ["consent_changed"] * 3
    kind = draw.choice([*kinds, "identity_linked", "identity_unlinked"])
    source = draw.choice(("web", "till", "file"))
    spaces = draw.choice([["email"], ["device"], ["email", "device"]])
    properties: dict[str, Any] = {}
    if kind not in READ:
        source = draw.choice(LINKING)
    if kind == "consent_changed":
        chosen = draw.sample(ASKED, draw.randrange(1, 3))
        sides = draw.choice([("granted", "withdrawn"), ("withdrawn", "granted")])
        properties = dict(zip(sides, (chosen, []), strict=True))
    if kind.startswith("identity"):
        spaces = list(SPACES)
        properties = {"reason": "no"} if kind == "identity_unlinked" else {}
    late = draw.choice([0, 0, 0, 1, 5, 12])
    fields: dict[str, Any] = {
        "time": at(hour - late),
        "identifiers": {space: draw.choice(NAMES[space]) for space in spaces},
    }
    if draw.random() < 0.7:
        fields["consent"] = granted(*draw.sample(ASKED, draw.randrange(4)))
        if draw.random() < 0.5:
            fields["consent"]["at"] = at(draw.randrange(-5, hour + 1))
    if source == "file" and draw.random() < 0.5:
        fields["known_at"] = at(hour - draw.randrange(late + 1))
    if draw.random() < 0.08:
        fields["synthetic"] = True
    if kind == "order_completed":
        return Comes(order(number, draw.choice("xyz"), f"{number}.00", **fields), source, hour)
    return Comes(event(kind, number, properties=properties, **fields), source, hour)


# ------------------------------------------------------------------------------------ two homes


@dataclass
class Lived:
    """What was admitted, in the order of the log, and who is gone."""

    log: list[Comes]
    gone: set[bytes]


def live(project: Project, stores: Stores, steps: Iterable[Step]) -> Lived:
    """Live a history step by step."""
    lived = Lived([], set())
    for step in steps:
        match step:
            case Comes():
                if not put(project, stores, step.body, source=step.source, at=at(step.hour)):
                    lived.log.append(step)
            case Sorts():
                compact(project, stores, FixedClock(END))
            case Goes():
                compact(project, stores, FixedClock(END))
                erase_one(project, stores, f"{step.namespace}:{step.name}")
    compact(project, stores, FixedClock(END))
    lived.gone = set(stores.ledger.buried())
    return lived


def erase_one(project: Project, stores: Stores, customer: str) -> None:
    clock = FixedClock(END)
    request(project, stores, [customer], "test", clock, "request")
    look_up(project, stores, "test", clock)
    erase(project, stores, stores.ledger.erasing(), "test", clock, search=False)


def rebuild(project: Project, stores: Stores, lived: Lived) -> None:
    """Make the same of the whole log at once."""
    for come in lived.log:
        assert put(project, stores, come.body, source=come.source, at=at(come.hour)) == []
    compact(project, stores, FixedClock(END))
    if lived.gone:
        with stores.ledger.change("test", "test", "test", {}, END) as change:
            stores.ledger.queue_erasure(change, "all", sorted(lived.gone))
            stores.ledger.know_erasures(change, {"all": sorted(lived.gone)})
        erase(project, stores, stores.ledger.erasing(), "test", FixedClock(END), search=False)


def derived(project: Project, stores: Stores) -> dict[str, Any]:
    """Return all that is derived from the events of a home."""
    found: dict[str, Any] = {
        "map": identity_map(project, stores).to_pylist(),
        "consent": read_statements(project, stores, list(LEAVES)),
    }
    asked = questions()
    for purpose in (*ASKED, "accounting"):
        with relations(project, stores, purpose, names=READ) as connection:
            for name in READ:
                table = connection.sql(f'SELECT * FROM {name} ORDER BY "offset"')
                found[f"{name} for {purpose}"] = table.to_arrow_table().to_pylist()
        rows = training_set(project, stores, asked, FEATURES, purpose)
        found[f"features for {purpose}"] = rows.to_pylist()
        decided = {"decision": pa.array([bytes(16)] * asked.num_rows, pa.binary())}
        decided |= {"action": pa.array(["mail"] * asked.num_rows)}
        spine = pa.table({**dict(zip(asked.column_names, asked.columns, strict=True)), **decided})
        counted = per_decision(project, stores, spine, ["orders"], purpose, now=END)
        found[f"metrics for {purpose}"] = counted.to_pylist()
    return found


def questions() -> pa.Table:
    asked = [(leaf, at(hour)) for leaf in LEAVES for hour in (-3, 4, 9, 15, 22, 40)]
    return pa.table(
        {
            "customer": pa.array([leaf for leaf, _ in asked], pa.binary()),
            "time": pa.array([time for _, time in asked], pa.timestamp("us", "UTC")),
        }
    )


# ------------------------------------------------------------------------------------- the twin


@dataclass(frozen=True)
class Row:
    """One event of the log."""

    offset: int
    source: str
    time: datetime
    known_at: datetime
    body: dict[str, Any]

    @property
    def id(self) -> bytes:
        return UUID(self.body["id"]).bytes

    @property
    def name(self) -> str:
        return str(self.body["name"])

    @property
    def properties(self) -> dict[str, Any]:
        found: dict[str, Any] = self.body.get("properties", {})
        return found

    @property
    def leaves(self) -> list[bytes]:
        return [leaf_key(space, name) for space, name in self.body["identifiers"].items()]

    @property
    def surest(self) -> bytes:
        return min(self.leaves, key=lambda leaf: LEAVES[leaf])


class Twin:
    """The log as rules see it, one row at a time."""

    def __init__(self, project: Project, lived: Lived) -> None:
        self.purposes = project.get(PURPOSES)
        self.gone = lived.gone
        self.rows: list[Row] = []
        seen = set()
        for offset, come in enumerate(lived.log, 1):
            if come.body["id"] in seen:
                continue
            seen.add(come.body["id"])
            known = at(come.hour)
            if come.source == "file":
                known = come.body.get("known_at", come.body["time"])
            row = Row(offset, come.source, come.body["time"], known, come.body)
            if not row.body.get("synthetic"):
                self.rows.append(row)

    def world(self, offset: int) -> World:
        """Return what tells whose is what, up to an offset."""
        kinds = {"identity_linked": "together", "identity_unlinked": "apart"}
        facts = []
        for row in self.rows:
            pair = [LEAVES[leaf] for leaf in row.leaves]
            is_known = row.offset <= offset and row.source in LINKING
            if is_known and len(pair) == len(SPACES) and not self.gone & set(row.leaves):
                times = to_microseconds(row.time), to_microseconds(row.known_at)
                kind = kinds.get(row.name, "seen")
                facts.append(Fact(pair[0], pair[1], *times, row.offset, kind))
        return World(facts, at_most=2)

    def customers(self, offset: int, time: datetime = END) -> dict[bytes, bytes]:
        """Return whose each leaf key is."""
        keys = {leaf: key for key, leaf in LEAVES.items()}
        whose = self.world(offset).customers(to_microseconds(time))
        return {key: keys[whose.get(leaf, leaf)] for key, leaf in LEAVES.items()}

    def readable(self, name: str, purpose: str, offset: int) -> list[Row]:
        """Return the events of a kind that may be read, up to an offset."""
        customers = self.customers(offset)
        changes: dict[str, list[Any]] = {"granted": [], "withdrawn": []}
        for row in self.rows:
            if row.name == "consent_changed":
                whose = {customers[leaf] for leaf in row.leaves if leaf not in self.gone}
                about = [leaf for leaf in LEAVES if customers[leaf] in whose]
                for side, kind in (("granted", Grant), ("withdrawn", Withdrawal)):
                    changes[side] += [
                        kind(leaf, one, row.time, row.known_at, row.offset)
                        for leaf in about
                        for one in row.properties[side]
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
                name=purpose,
                purpose=self.purposes[purpose],
                withdrawals=changes["withdrawn"],
                grants=changes["granted"],
                as_of=AsOf(offset=offset),
                agreed=_instant(row.body.get("consent", {}).get("at")),
            )
        ]

    def features(self, purpose: str) -> list[tuple[float, float]]:
        """Answer the questions: how many views, and how much was spent."""
        last = len(self.rows) * 10
        views, orders = (self.readable(name, purpose, last) for name in READ)
        answers = []
        for question in questions().to_pylist():
            time = question["time"]
            whose = self.customers(last, time)
            known = [row for row in views if row.known_at <= time]
            told = once(row for row in orders if row.known_at <= time)
            mine = [
                [
                    row
                    for row in rows
                    if row.time < time and whose[row.surest] == whose[question["customer"]]
                ]
                for rows in (known, told)
            ]
            spent = sum(float(row.properties["revenue"]) for row in mine[1])
            answers.append((float(len(mine[0])), spent))
        return answers


def _instant(text: str | datetime | None) -> datetime | None:
    if isinstance(text, str):
        return datetime.fromisoformat(text)
    return text


def once(rows: Iterable[Row]) -> list[Row]:
    """Keep the best report of each order."""
    best: dict[str, Row] = {}
    for row in sorted(rows, key=lambda row: (SURE[row.source], row.known_at, row.offset)):
        best.setdefault(row.properties.get("order_id", row.body["id"]), row)
    return sorted(best.values(), key=lambda row: row.offset)


# ------------------------------------------------------------------------------------ the check


def check(folder: Path, steps: list[Step], offsets: int) -> Counter[str]:
    """Live a history and hold it against its rebuilding and its twin.

    Parameters
    ----------
    folder : Path
        An empty folder for the two homes.
    steps : list of Step
    offsets : int
        At how many offsets to read, evenly spread; the last one is always among them.

    Returns
    -------
    Counter
        What there was: events, merged leaves, reports that another one superseded, and so on.
    """
    project = shop()
    with open_stores(Home.open(folder / "kept", create=True)) as kept, kept.home.hold("test"):
        lived = live(project, kept, steps)
        incremental = derived(project, kept)
        twin = Twin(project, lived)
        many = len(lived.log)
        counts = Counter(events=many, erased=len(twin.gone))
        for offset in sorted({many - many * step // offsets for step in range(offsets)} | {many}):
            customers = twin.customers(offset)
            known = customers_of(project, kept, list(LEAVES), AsOf(offset=offset))
            assert known == customers, f"customers up to {offset}"
            counts["merged"] += sum(leaf != whose for leaf, whose in customers.items())
            for purpose in ASKED:
                with relations(project, kept, purpose, AsOf(offset=offset), READ) as connection:
                    found = {
                        name: connection.sql(
                            f'SELECT id, customer FROM {name} ORDER BY "offset"'
                        ).fetchall()
                        for name in READ
                    }
                for name in READ:
                    allowed = twin.readable(name, purpose, offset)
                    expected = [(row.id, customers[row.surest]) for row in once(allowed)]
                    assert found[name] == expected, f"{name} for {purpose} up to {offset}"
                    happened = [row for row in twin.rows if row.name == name]
                    counts["rows"] += len(expected)
                    counts["superseded"] += len(allowed) - len(expected)
                    counts["hidden"] += sum(row.offset <= offset for row in happened) - len(allowed)
        for purpose in ASKED:
            rows = incremental[f"features for {purpose}"]
            answers = [tuple(row[name] for name in FEATURES) for row in rows]
            assert answers == twin.features(purpose), f"features for {purpose}"
            counts["answers"] += sum(any(answer) for answer in answers)
    with open_stores(Home.open(folder / "fresh", create=True)) as fresh, fresh.home.hold("test"):
        rebuild(project, fresh, lived)
        anew = derived(project, fresh)
    for what, value in incremental.items():
        assert anew[what] == value, what
    return counts

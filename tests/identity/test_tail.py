"""What is read behind the snapshot is what the tables say once it is compacted."""

from __future__ import annotations

import itertools
import random
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.events.compact import compact
from liftwerk.events.tail import Behind, Tail
from liftwerk.identity.history import histories
from liftwerk.identity.mapping import customers_as_of
from liftwerk.identity.resolve import relations
from liftwerk.privacy.permitted import NOW, AsOf
from liftwerk.store.home import Home
from liftwerk.store.stores import Stores, open_stores
from tests.events.shop import event, put

from .histories import ASKED, END, READ, Comes, at, history, questions, shop

TOLD = ("consent_changed", "identity_linked", "identity_unlinked")
KEY = "order_id"
ALL = '* EXCLUDE ("offset")'


def told(draw: random.Random, events: int) -> list[Comes]:
    """Make up what comes in; some say other things under an id that was there before."""
    comes = [step for step in history(draw, events) if isinstance(step, Comes)]
    found: list[Comes] = []
    for come in comes:
        found.append(come)
        if draw.random() < 0.15:
            other = draw.choice(found)
            body = {**come.body, "id": other.body["id"], "session": "another"}
            found.append(Comes(body, come.source, come.hour))
    return found


def take(project: Project, stores: Stores, comes: list[Comes]) -> None:
    for come in comes:
        put(project, stores, come.body, source=come.source, at=at(come.hour))


def everything(
    project: Project,
    stores: Stores,
    views: list[tuple[str, bool]],
    as_of: AsOf,
    tail: Behind | None = None,
) -> dict[str, Any]:
    """Return what can be read of a state by purpose, with what is superseded or without."""
    found: dict[str, Any] = {}
    for purpose, superseded in views:
        names = READ
        if purpose == "audit":
            names = (*READ, *TOLD)
        with relations(project, stores, purpose, as_of, names, superseded, tail) as connection:
            for name in names:
                rows = connection.sql(f'SELECT * FROM {name} ORDER BY "offset"')
                found[f"{name} for {purpose}"] = rows.to_arrow_table().to_pylist()
    purpose = views[0][0]
    with histories(project, stores, questions(), purpose, as_of, READ, tail) as (known, spine):
        found["spine"] = spine.to_pylist()
        for name in READ:
            rows = known.sql(f'SELECT * FROM {name} ORDER BY customer, "offset"')
            found[f"history of {name}"] = rows.to_arrow_table().to_pylist()
    return found


def check(folder: Path, draw: random.Random, events: int) -> Counter[str]:
    """Read a history behind a snapshot, compact it, and read it again."""
    project = shop()
    comes = told(draw, events)
    half = len(comes) // 2
    splits = sorted([draw.randrange(half), draw.randrange(half, len(comes)), len(comes)])
    as_of = draw.choice([NOW, NOW, AsOf(at(14)), AsOf(offset=draw.randrange(len(comes)))])
    views = [(draw.choice(ASKED), False), ("audit", False), ("accounting", True)]
    counts: Counter[str] = Counter()
    with open_stores(Home.open(folder / "home", create=True)) as stores, stores.home.hold("test"):
        take(project, stores, comes[: splits[0]])
        if draw.random() < 0.8:
            compact(project, stores, FixedClock(END))
        tail = Tail(project, stores)
        for first, last in itertools.pairwise(splits):
            take(project, stores, comes[first:last])
            while tail.offset < stores.inbox.last_offset():
                with tail.reading(limit=draw.choice([1, 3, 100])):
                    pass
            with tail.reading() as behind:
                before = everything(project, stores, views, as_of, behind)
            counts["behind"] += sum(rows.num_rows for rows in behind.tables.values())
            counts["dropped"] += behind.offset - behind.since
            compact(project, stores, FixedClock(END))
            after = everything(project, stores, views, as_of)
            for what, rows in after.items():
                assert before[what] == rows, what
            with tail.reading() as behind:
                assert (behind.tables, behind.offset) == ({}, stores.inbox.last_offset())
        counts["dropped"] -= counts["behind"]
        orders = after["order_completed for accounting"]
        counts["superseded"] += sum(row["superseded_at"] is not None for row in orders)
        for name in ("consent_changed", "identity_linked"):
            counts[name] += len(after[f"{name} for audit"])
    return counts


@settings(
    max_examples=3,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(draw=st.randoms(use_true_random=False))
def test_the_tail_is_what_the_tables_will_say(draw: random.Random) -> None:
    with tempfile.TemporaryDirectory() as folder:
        check(Path(folder), draw, events=16)


def test_the_tail_of_a_history_with_all_there_is(tmp_path: Path) -> None:
    counts = check(tmp_path, random.Random(6), events=60)
    what = ("behind", "dropped", "superseded", "consent_changed", "identity_linked")
    assert all(counts[one] for one in what), counts


def test_customers_are_made_anew_only_for_what_can_link(stores: Stores, clock: FixedClock) -> None:
    project = shop()
    ada, bob = {"email": "ada@x.org"}, {"email": "bob@x.org"}
    phone = {"device": "d1"}
    put(project, stores, event(number=1, identifiers={**ada, **phone}))
    compact(project, stores, clock)
    tail = Tail(project, stores)
    with tail.reading() as behind:
        first = customers_as_of(project, stores, tail=behind)
    put(project, stores, event(number=2, identifiers=bob))
    put(project, stores, event(number=3, identifiers={**bob, "device": "d2"}), source="web")
    with tail.reading() as behind:
        second = customers_as_of(project, stores, tail=behind)
    put(project, stores, event(number=4, identifiers={**bob, "device": "d2"}))
    with tail.reading() as behind:
        third = customers_as_of(project, stores, tail=behind)
        before = customers_as_of(project, stores, AsOf(offset=3), behind)
    assert first is not None
    assert second is not None
    assert third is not None
    assert before is not None
    assert second.links is first.links is before.links
    assert [one.as_of.offset for one in (first, second, third)] == [1, 3, 4]
    assert (first.merged.num_rows, third.merged.num_rows) == (1, 2)

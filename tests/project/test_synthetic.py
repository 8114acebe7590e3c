"""The checks of a tracking test fail when what they promise is broken: each is broken once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project, load
from liftwerk.events.admit import admit
from liftwerk.events.compact import compact
from liftwerk.events.consent.change import change_consent
from liftwerk.events.schema import schema_of
from liftwerk.project.synthetic.door import Answer
from liftwerk.project.synthetic.hold import held
from liftwerk.project.synthetic.journey import ACCEPTED, CHANGED, REFUSED, Journey, Record
from liftwerk.sections import SECTIONS
from liftwerk.store.home import Home
from liftwerk.store.inbox.protocol import InboxRow
from liftwerk.store.stores import Stores, open_stores
from tests.events.shop import NOW

pytestmark = pytest.mark.slow

CLOCK_STEP = timedelta(milliseconds=5)


class Ticking(FixedClock):
    """Goes on a little each time it is asked: no two things happen at once."""

    def now(self) -> Any:
        self.at = getattr(self, "at", NOW) + CLOCK_STEP
        return self.at


class InProcess:
    """The collector's own code without HTTP, and what may go wrong between it and the tables."""

    def __init__(self, project: Project, stores: Stores, clock: Ticking, source: str) -> None:
        self.project, self.stores, self.clock, self.source = project, stores, clock, source
        self.deaf_to: set[str] = set()

    def post(self, path: str, document: Any) -> Answer:
        if path == "/v1/consent":
            told = (document["identifiers"], document["granted"], document["withdrawn"])
            if document["withdrawn"] and "withdrawals" in self.deaf_to:
                told = (document["identifiers"], document["withdrawn"], [])
            marked = "changes" not in self.deaf_to
            given = (self.project, self.stores, *told, self.source, self.clock, marked)
            return Answer(200, {"accepted": 1, "event": change_consent(*given)})
        bodies = [msgspec.json.encode(one) for one in document]
        now = self.clock.now()
        admitted = admit(bodies, schema_of(self.project), self.source, now)
        rows = [row for row in admitted.rows if row is not None]
        self.stores.inbox.append([self._spoilt(row) for row in rows])
        refused = [msgspec.to_builtins(one) for one in admitted.refused]
        status = 200
        if refused:
            status = 422
        return Answer(status, {"accepted": len(rows), "refused": refused})

    def _spoilt(self, row: InboxRow) -> InboxRow:
        body = row.body
        if "marks" in self.deaf_to:
            body = body.replace(b'"synthetic":true,', b"")
        if "cookies" in self.deaf_to:
            body = body.replace(b'"cookie":"liftwerk', b'"cookie":"lost')
        if "shares" in self.deaf_to:
            said = msgspec.json.decode(body)
            said.get("properties", {}).pop("share", None)
            body = msgspec.json.encode(said)
        return row._replace(body=body)


@pytest.fixture(scope="module")
def project() -> Project:
    return load(Path(__file__).parent / "tracked.toml", SECTIONS)


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    home = Home.open(tmp_path / "home", create=True)
    with open_stores(home) as opened, home.hold("test"):
        yield opened


def walk(project: Project, stores: Stores, source: str = "backend", *deaf_to: str) -> Record:
    clock = Ticking(NOW)
    door = InProcess(project, stores, clock, source)
    door.deaf_to.update(deaf_to)
    record = Record()
    began = clock.now()
    generator = np.random.default_rng(7)
    given: Any = (project, source, door, clock, generator, "run", record)
    Journey(*given).walk(0)
    record.between = (began, clock.now())
    compact(project, stores, clock)
    return record


def failed(project: Project, stores: Stores, record: Record) -> dict[str, list[str]]:
    clock = FixedClock(NOW + timedelta(minutes=5))
    return {name: wrong for name, wrong in held(project, stores, record, clock) if wrong}


@pytest.mark.parametrize("source", ["web", "backend"])
def test_where_nothing_is_wrong_nothing_fails(
    project: Project, stores: Stores, source: str
) -> None:
    record = walk(project, stores, source)
    assert record.faults == {}
    assert len(record.sent) == 4 * 2 + 1
    assert len(record.refused) == 3
    found = dict(held(project, stores, record, FixedClock(NOW + timedelta(minutes=5))))
    assert [name for name, wrong in found.items() if wrong] == []
    names = list(found)
    assert [name for name in names if name.startswith("consent")] == [
        f"consent holds for {name}"
        for name in ("accounting", "service", "measurement", "profiling", "ads", "personalisation")
    ]
    assert names[-3:] == [
        "no feature counts it",
        "no metric counts it",
        "no destination is told of it",
    ]


def test_without_its_mark_it_would_reach_every_reader(project: Project, stores: Stores) -> None:
    found = failed(project, stores, walk(project, stores, "backend", "marks", "changes"))
    assert set(found) == {
        "all of it is marked as test traffic",
        "no purpose reads it",
        "no customer is known by it",
        "no feature counts it",
        "no metric counts it",
    }


def test_a_withdrawal_that_is_not_heard_is_found(project: Project, stores: Stores) -> None:
    found = failed(project, stores, walk(project, stores, "backend", "withdrawals"))
    assert set(found) == {
        f"consent holds for {name}"
        for name in ("measurement", "profiling", "ads", "personalisation")
    }
    assert "bought from backend, withdrawn: can be read" in found["consent holds for ads"]


def test_a_field_that_is_lost_is_named(project: Project, stores: Stores) -> None:
    found = failed(project, stores, walk(project, stores, "backend", "cookies", "shares"))
    wrong = found["each field is as it was sent"]
    assert "bought: property share is lost or made up" in wrong
    assert "looked: identifier cookie is another" in wrong


def test_an_event_that_rests_though_it_was_refused_is_found(
    project: Project, stores: Stores
) -> None:
    record = walk(project, stores)
    record.refused.append(record.sent[0])
    assert set(failed(project, stores, record)) == {"what was refused is in no table"}


def test_a_clock_that_is_wrong_is_told(project: Project, stores: Stores) -> None:
    record = walk(project, stores)
    assert record.between is not None
    later = timedelta(minutes=1)
    record.between = (record.between[0] + later, record.between[1] + later)
    [words] = failed(project, stores, record)["the collector's clock is ours"]
    assert "behind" in words


class Refusing(InProcess):
    """A collector of another schema: it knows nothing that is sent, and takes what is broken."""

    def post(self, path: str, document: Any) -> Answer:
        if path == "/v1/consent":
            return Answer(422, {"detail": "no purpose 'ads'"})
        if any("liftwerk_not_declared" in one["properties"] for one in document):
            return Answer(200, {"accepted": len(document)})
        return Answer(422, {"refused": [{"index": 0, "reason": "unknown event"}], "accepted": 0})


def test_what_the_collector_answers_is_held_against_what_it_must(
    project: Project, stores: Stores
) -> None:
    record = Record()
    clock = Ticking(NOW)
    door = Refusing(project, stores, clock, "backend")
    given: Any = (project, "backend", door, clock, np.random.default_rng(1), "run", record)
    Journey(*given).walk(0)
    assert set(record.faults) == {ACCEPTED, REFUSED, CHANGED}
    assert record.faults[ACCEPTED][0] == "backend: 422, unknown event"

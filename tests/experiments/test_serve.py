"""One process's answers: told before they are given, told once, and nothing told of the erased."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.errors import UnknownName
from liftwerk.events.collect import Collector
from liftwerk.events.identifiers import leaf_key
from liftwerk.experiments.evaluate import Answer
from liftwerk.experiments.serve import Answers
from liftwerk.store.stores import Stores
from tests.events.shop import NOW
from tests.experiments.test_evaluate import CONTROLS, begun, project

ADA = {"targetingKey": "email:ada@example.com"}
CONTROL = Answer("page", "nothing", "nothing", "STATIC")


@pytest.fixture
def definitions() -> Project:
    return project("0%", greeting={})


@pytest.fixture
def answers(definitions: Project, stores: Stores, clock: FixedClock) -> Iterator[Answers]:
    begun(definitions, stores, clock)
    collector = Collector(definitions, stores, clock)
    one = Answers(definitions, collector, CONTROLS)
    yield one
    one.close()
    collector.close()


def test_an_answer_is_told_once(answers: Answers, stores: Stores) -> None:
    async def ask() -> None:
        for _ in range(3):
            [answer] = await answers.answer(["page"], ADA)
            assert isinstance(answer, Answer)
            assert answer.reason == "SPLIT"
            assert stores.inbox.count() == 1
        await answers.answer(["page"], ADA, exposed=True)

    asyncio.run(ask())
    rows = stores.inbox.read(0, 9)
    assert rows.column("name").to_pylist() == ["assigned", "variant_shown"]


def test_each_placement_is_answered_for_itself(answers: Answers) -> None:
    found = asyncio.run(answers.answer(["mail", "nowhere", "page"], ADA))
    assert [type(one) for one in found] == [Answer, UnknownName, Answer]


def test_nothing_is_told_of_the_erased(
    answers: Answers, definitions: Project, stores: Stores, clock: FixedClock
) -> None:
    with stores.ledger.change("jane", "erase", "x", {}, NOW) as change:
        stores.ledger.bury(change, [leaf_key("email", "ada@example.com")])
    collector = Collector(definitions, stores, clock)  # one that knows of it already
    later = Answers(definitions, collector, CONTROLS)
    try:
        assert asyncio.run(later.answer(["page"], ADA)) == [CONTROL]
    finally:
        later.close()
        collector.close()
    assert stores.inbox.count() == 0


def test_nobody_is_given_an_arm_before_it_is_durable(
    answers: Answers, stores: Stores, tmp_path: Path
) -> None:
    """While another process holds the inbox, the answer waits."""

    async def ask() -> None:
        with sqlite3.connect(tmp_path / "home" / "inbox.sqlite", isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            waiting = asyncio.ensure_future(answers.answer(["page"], ADA))
            done, _ = await asyncio.wait([waiting], timeout=0.5)
            assert not done
            other.execute("ROLLBACK")
        [answer] = await waiting
        assert isinstance(answer, Answer)
        assert answer.reason == "SPLIT"

    asyncio.run(ask())
    assert stores.inbox.count() == 1

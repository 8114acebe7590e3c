"""The runner: content-addressed steps, skipped with a reason, fenced, safe to repeat."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from liftwerk.clock import FixedClock
from liftwerk.errors import HomeInUse, UnknownName
from liftwerk.operations.run import LEASE, Outputs, Step, plan_steps, run_steps
from liftwerk.store.home import Home
from liftwerk.store.stores import Stores, open_stores

START = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    with open_stores(Home.open(tmp_path / "home", create=True)) as opened:
        yield opened


class World:
    """Two steps in a row; the second reads what the first gave."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores
        self.source = "a"
        self.worked: list[str] = []

    def steps(self) -> list[Step]:
        return [
            Step("first", "reads", lambda outputs: {"source": self.source}, self._first),
            Step("second", "counts", lambda outputs: {"of": outputs["first"]["sha"]}, self._second),
        ]

    def _first(self, outputs: Outputs, tell: Any) -> dict[str, Any]:
        self.worked.append("first")
        sha = self.stores.artefacts.put(self.source.encode())
        return {"sha": sha, "artefacts": {"copy": sha}}

    def _second(self, outputs: Outputs, tell: Any) -> dict[str, Any]:
        self.worked.append("second")
        return {"length": len(self.stores.artefacts.get(outputs["first"]["sha"]))}


def run(world: World, **options: Any) -> list[tuple[str, bool, str]]:
    results = run_steps(
        world.steps(), world.stores, FixedClock(START), lambda step, doing: None, **options
    )
    return [(result.name, result.skipped, result.reason) for result in results]


def test_unchanged_steps_are_skipped_with_the_reason(stores: Stores) -> None:
    world = World(stores)
    assert [skipped for _, skipped, _ in run(world)] == [False, False]
    again = run(world)
    assert [skipped for _, skipped, _ in again] == [True, True]
    assert again[0][2] == "unchanged since 2026-03-01 00:00:00 UTC"
    assert world.worked == ["first", "second"]


def test_a_later_step_sees_the_same_of_one_that_ran_and_of_one_that_was_skipped(
    stores: Stores,
) -> None:
    given = {"z": 1.0, "a": {"y": (2, 3), "b": 0.1 + 0.2}, "näher": None}
    seen: list[str] = []

    def second(outputs: Outputs, tell: Any) -> dict[str, Any]:
        seen.append(repr(outputs["first"]))
        return {}

    steps = [
        Step("first", "gives", lambda outputs: {}, lambda outputs, tell: given),
        Step("second", "reads", lambda outputs: {}, second),
    ]
    for force_from in (None, "second"):
        run_steps(steps, stores, FixedClock(START), lambda step, doing: None, force_from)
    assert seen[0] == seen[1]
    assert seen[0].startswith("{'z': 1.0, 'a': {'y': [2, 3], 'b': 0.30000000000000004}")


def test_a_changed_input_runs_the_step_and_those_that_read_it(stores: Stores) -> None:
    world = World(stores)
    run(world)
    world.source = "b"
    assert [skipped for _, skipped, _ in run(world)] == [False, False]
    world.source = "a"
    assert [skipped for _, skipped, _ in run(world)] == [True, True]


def test_a_lost_artefact_is_made_again(stores: Stores) -> None:
    world = World(stores)
    run(world)
    for sha in stores.artefacts.names():
        stores.artefacts.delete(sha)
    results = run(world)
    assert results[0] == ("first", False, "its copy is gone")
    assert results[1][1]


def test_force_from_a_step_runs_it_and_all_after(stores: Stores) -> None:
    world = World(stores)
    run(world)
    assert [skipped for _, skipped, _ in run(world, force_from="second")] == [True, False]
    with pytest.raises(UnknownName, match="did you mean 'second'"):
        run(world, force_from="secund")


def test_a_plan_says_what_would_run_and_changes_nothing(stores: Stores) -> None:
    world = World(stores)
    assert plan_steps(world.steps(), stores) == [
        ("first", True, "new inputs or definitions"),
        ("second", True, "depends on what first gives"),
    ]
    assert world.worked == []
    run(world)
    assert [runs for _, runs, _ in plan_steps(world.steps(), stores)] == [False, False]


def test_a_second_runner_is_refused_while_the_lease_lasts(stores: Stores) -> None:
    world = World(stores)
    stores.ledger.acquire_lease(LEASE, "another machine", START, 600.0)
    with pytest.raises(HomeInUse):
        run(world)
    assert world.worked == []


def test_a_runner_that_lost_its_lease_cannot_commit(stores: Stores) -> None:
    world = World(stores)

    def overtaken(outputs: Outputs, tell: Any) -> dict[str, Any]:
        late = START + timedelta(hours=1)
        stores.ledger.acquire_lease(LEASE, "another machine", late, 600.0)
        return {"sha": "stale"}

    steps = [Step("first", "is slow", lambda outputs: {"source": "a"}, overtaken)]
    with pytest.raises(HomeInUse):
        run_steps(steps, stores, FixedClock(START), lambda step, doing: None)
    assert stores.ledger.steps() == []
    assert world.worked == []


def test_a_step_that_fails_leaves_nothing_and_lets_go_of_the_lease(stores: Stores) -> None:
    def fail(outputs: Outputs, tell: Any) -> dict[str, Any]:
        raise UnknownName("no such thing", "here", "nothing to do")

    steps = [Step("first", "fails", lambda outputs: {}, fail)]
    with pytest.raises(UnknownName):
        run_steps(steps, stores, FixedClock(START), lambda step, doing: None)
    assert stores.ledger.steps() == []
    assert [skipped for _, skipped, _ in run(World(stores))] == [False, False]

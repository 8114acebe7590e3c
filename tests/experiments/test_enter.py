"""Everybody gets their arm at once: the same as one by one, told once, and kept."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.csv
import pytest

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.errors import ProjectError, Refused
from liftwerk.events.compact import compact
from liftwerk.events.identifiers import leaf_key
from liftwerk.experiments.enter import enter
from liftwerk.experiments.spine import assigned_units
from liftwerk.project.experiments import Experiments
from liftwerk.store.stores import Stores
from tests.events.shop import NOW, event, granted, put
from tests.experiments.test_evaluate import CONTROLS, NAMES, ask, begun, board, project, tell

FEW = NAMES[:60]


def seen(definitions: Project, stores: Stores, clock: FixedClock, **fields: Any) -> None:
    events = [
        event(number=number, identifiers={"email": name}, **fields)
        for number, name in enumerate(FEW, start=1)
    ]
    assert put(definitions, stores, *events) == []
    compact(definitions, stores, clock)


def given(definitions: Project, stores: Stores, clock: FixedClock) -> dict[bytes, str | None]:
    rows = enter(definitions, stores, clock, "greeting", CONTROLS).to_pylist()
    for row in rows:
        assert row["action"] == {"warm": "greet"}.get(row["arm"], "nothing")
        assert row["probability"] == (0.5 if row["arm"] else None)
    return {row["customer"]: row["arm"] for row in rows}


@pytest.mark.parametrize("hashed", ["sha256", "growthbook"])
def test_all_at_once_is_one_by_one_and_told_once(
    hashed: str, stores: Stores, clock: FixedClock
) -> None:
    definitions = project(greeting={"hash": hashed})
    runs = begun(definitions, stores, clock)
    seen(definitions, stores, clock)
    arms = given(definitions, stores, clock)
    expected = {}
    for name in FEW:
        answer = ask(definitions, runs, targetingKey=f"email:{name}")
        expected[leaf_key("email", name)] = answer.variant if answer.experiment else None
    assert arms == expected
    assert {"control", "warm", None} == set(arms.values())
    assert given(definitions, stores, clock) == arms  # before what was told is sorted
    compact(definitions, stores, clock)
    assert given(definitions, stores, FixedClock(NOW + timedelta(days=1))) == arms
    compact(definitions, stores, clock)
    assert stores.inbox.quarantine_list() == []
    told = assigned_units(definitions, stores, "greeting").table
    assert dict(zip(told["unit"].to_pylist(), told["arm"].to_pylist(), strict=True)) == {
        key: arm for key, arm in arms.items() if arm is not None
    }


def test_who_was_given_an_arm_by_another_key_keeps_it(stores: Stores, clock: FixedClock) -> None:
    definitions = project("0%", greeting={})
    runs = begun(definitions, stores, clock)
    seen(definitions, stores, clock)
    whole = given(definitions, stores, clock)
    name = next(one for one in FEW if whole[leaf_key("email", one)] == "control")
    phones = (f"phone-{number}" for number in range(99))
    answers = (ask(definitions, runs, targetingKey=f"device:{phone}") for phone in phones)
    warm = next(answer for answer in answers if answer.variant == "warm")
    assert warm.unit is not None
    stores.inbox.erase(range(1, 10_000))  # as if nothing had been told to all
    tell(definitions, stores, warm)
    phone = warm.unit.written
    put(definitions, stores, event(number=999, identifiers={"email": name, "device": phone}))
    compact(definitions, stores, clock)
    assert given(definitions, stores, clock)[leaf_key("email", name)] == "warm"
    compact(definitions, stores, clock)
    assert assigned_units(definitions, stores, "greeting").mixed == 0


def test_consent_goes_with_it_and_decides_who_enters(stores: Stores, clock: FixedClock) -> None:
    definitions = project("0%", greeting={"purpose": "ads"})
    begun(definitions, stores, clock)
    seen(definitions, stores, clock, consent=granted("ads"))
    put(definitions, stores, event(number=998, identifiers={"email": "no@example.com"}))
    compact(definitions, stores, clock)
    arms = given(definitions, stores, clock)
    assert len(arms) == len(FEW)
    compact(definitions, stores, clock)
    assert assigned_units(definitions, stores, "greeting").table.num_rows == len(FEW)


def test_testers_get_theirs(stores: Stores, clock: FixedClock) -> None:
    definitions = project("0%", greeting={"testers": {f"email:{FEW[0]}": "warm"}})
    begun(definitions, stores, clock, "1%")
    seen(definitions, stores, clock)
    rows = enter(definitions, stores, clock, "greeting", CONTROLS).to_pylist()
    assert next(r for r in rows if r["customer"] == leaf_key("email", FEW[0]))["arm"] == "warm"
    compact(definitions, stores, clock)
    assert assigned_units(definitions, stores, "greeting").testers == 1


def test_a_file_says_who_gets_what(tmp_path: Path, stores: Stores, clock: FixedClock) -> None:
    definitions = project(greeting={})
    experiments = Experiments(definitions, stores, clock, "jane")
    begun(definitions, stores, clock)
    seen(definitions, stores, clock)
    done = experiments.assign("greeting", tmp_path / "plan.csv")
    table = pyarrow.csv.read_csv(tmp_path / "plan.csv")
    assert table.column_names == ["customer", "arm", "action", "probability"]
    assert set(table["customer"].to_pylist()) == set(FEW)
    assert done["customers"] == len(FEW)
    assert done["arms"] == {arm: table["arm"].to_pylist().count(arm) for arm in ("control", "warm")}
    draw = experiments.show("greeting")["draw"]
    assert (draw["salt"], draw["arms"]) == ("greeting", ["control", "warm"])
    with pytest.raises(ProjectError, match="csv"):
        experiments.assign("greeting", tmp_path / "plan.xlsx")
    experiments.stop("greeting", "enough")
    assert experiments.show("greeting")["draw"] is None


def test_it_is_refused_where_it_makes_no_sense(stores: Stores, clock: FixedClock) -> None:
    definitions = project(greeting={}, visiting={"unit": "visitor", "placement": "mail"})
    with pytest.raises(Refused, match="declared"):
        enter(definitions, stores, clock, "greeting", CONTROLS)
    begun(definitions, stores, clock)
    with pytest.raises(Refused, match="not given to customers"):
        enter(definitions, stores, clock, "visiting", CONTROLS)
    assert board(definitions, stores).stopped == frozenset()

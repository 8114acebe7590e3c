"""Who gets which action: by the rule, and control for whoever is in no experiment."""

from __future__ import annotations

from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.definitions.typed import Duration, Share
from liftwerk.errors import InputError, UnknownName
from liftwerk.events.compact import compact
from liftwerk.events.identifiers import leaf_key
from liftwerk.events.read import read
from liftwerk.events.schema import schema_of
from liftwerk.experiments.assign import held_out
from liftwerk.experiments.board import Board, board_of
from liftwerk.experiments.definition import EXPERIMENTS
from liftwerk.experiments.draw import slot
from liftwerk.experiments.evaluate import Answer, evaluate
from liftwerk.experiments.ramp import ramp
from liftwerk.experiments.register import register
from liftwerk.experiments.spine import assigned_units
from liftwerk.experiments.start import start
from liftwerk.experiments.state import states
from liftwerk.experiments.stop import stop
from liftwerk.experiments.subject import NoTargetingKey, Subject
from liftwerk.experiments.switchback import schedule
from liftwerk.experiments.tell import told
from liftwerk.store.stores import Stores
from tests.events import shop as shops
from tests.events.shop import NOW, granted

BERLIN = ZoneInfo("Europe/Berlin")  # the zone of the shop
CONTROLS = {"page": "nothing", "mail": "nothing"}
NAMES = [f"customer-{number}@example.com" for number in range(400)]


def project(holdout: str = "10%", **experiments: dict[str, Any]) -> Project:
    whole = {
        name: {
            "design": "ab",
            "description": "x",
            "arms": {"control": {}, "warm": {"action": "greet"}},
            "metrics": ["visits"],
            "purpose": "measurement",
            "placement": "page",
            **fields,
        }
        for name, fields in experiments.items()
    }
    return shops.shop(
        identifiers={"email": {"normalise": "email"}, "device": {"anonymous": True}},
        metrics={
            "visits": {
                "description": "Pages",
                "from": "page_viewed",
                "aggregate": "count",
                "within": "7d",
            },
            "revenue": {
                "description": "Money",
                "from": "order_completed",
                "aggregate": "sum",
                "property": "revenue",
                "within": "7d",
            },
        },
        goal={"metric": "revenue", "holdout": holdout, "salt": "hold"},
        actions={"nothing": {"label": "Nothing"}, "greet": {"label": "A greeting"}},
        placements={name: {"channel": "web", "control": "nothing"} for name in CONTROLS},
        experiments=whole,
    )


def begun(definitions: Project, stores: Stores, clock: FixedClock, share: str = "100%") -> Board:
    for name, experiment in definitions.get(EXPERIMENTS).items():
        register(definitions, stores, clock, "jane", name, {"unplanned": "a test"})
        first = min(Share(share), experiment.share, key=lambda one: one.exact)
        start(definitions, stores, clock, "jane", name, first)
    return board(definitions, stores)


def board(definitions: Project, stores: Stores) -> Board:
    return board_of(definitions, states(stores.ledger), CONTROLS)


def ask(
    definitions: Project, runs: Board, placement: str = "page", later: str = "0s", **context: Any
) -> Answer:
    now = NOW + timedelta(microseconds=Duration(later).microseconds)
    return evaluate(runs, placement, Subject(definitions, context, now), now)


def everybody(definitions: Project, runs: Board) -> dict[str, Answer]:
    return {name: ask(definitions, runs, targetingKey=f"email:{name}") for name in NAMES}


def test_who_enters_gets_the_arms_action(stores: Stores, clock: FixedClock) -> None:
    definitions = project(greeting={})
    answers = everybody(definitions, begun(definitions, stores, clock))
    for name, answer in answers.items():
        unit = leaf_key("email", name).hex()
        if held_out("hold", Fraction(1, 10), unit):
            assert answer == Answer("page", "nothing", "nothing", "STATIC")
            continue
        assert answer.reason == "SPLIT"
        assert (answer.experiment, answer.probability) == ("greeting", 0.5)
        assert answer.value == {"control": "nothing", "warm": "greet"}[answer.variant]
    arms = [answer.variant for answer in answers.values()]
    assert min(arms.count("warm"), arms.count("control")) > 130
    assert arms.count("nothing") > 20


def test_a_ramp_and_a_stop_move_nobody(stores: Stores, clock: FixedClock) -> None:
    definitions = project(greeting={})
    before = everybody(definitions, begun(definitions, stores, clock, "20%"))
    ramp(definitions, stores, clock, "jane", "greeting", Share("60%"))
    after = everybody(definitions, board(definitions, stores))
    entered = [name for name in NAMES if before[name].experiment is not None]
    assert all(after[name] == before[name] for name in entered)
    assert len(entered) < sum(one.experiment is not None for one in after.values())
    stop(stores, clock, "jane", "greeting", "enough")
    answers = everybody(definitions, board(definitions, stores)).values()
    assert set(answers) == {Answer("page", "nothing", "nothing", "DISABLED")}


def test_of_two_experiments_in_a_layer_each_unit_is_in_one(
    stores: Stores, clock: FixedClock
) -> None:
    definitions = project(
        "0%", one={"layer": "l", "share": "50%"}, other={"layer": "l", "share": "50%"}
    )
    answers = everybody(definitions, begun(definitions, stores, clock)).values()
    found = [answer.experiment for answer in answers]
    assert set(found) == {"one", "other"}
    assert 150 < found.count("one") < 250


def test_testers_get_their_arm_and_are_told_as_such(stores: Stores, clock: FixedClock) -> None:
    definitions = project("0%", greeting={"testers": {"email:me@example.com": "warm"}})
    runs = begun(definitions, stores, clock, "1%")
    answer = ask(definitions, runs, targetingKey="email:ME@example.com")
    assert (answer.reason, answer.variant, answer.value) == ("TARGETING_MATCH", "warm", "greet")
    tell(definitions, stores, answer)
    compact(definitions, stores, clock)
    [row] = read(definitions, stores, "assigned", "measurement").to_pylist()
    assert (row["tester"], row["probability"]) == (True, 1.0)
    spine = assigned_units(definitions, stores, "greeting")
    assert (spine.table.num_rows, spine.testers) == (0, 1)


def test_nobody_enters_without_the_consent_that_the_purpose_rests_on(
    stores: Stores, clock: FixedClock
) -> None:
    definitions = project("0%", greeting={"purpose": "ads"})
    runs = begun(definitions, stores, clock)
    key = "email:ada@example.com"
    assert ask(definitions, runs, targetingKey=key).experiment is None
    other = granted("personalisation")
    assert ask(definitions, runs, targetingKey=key, consent=other).experiment is None
    assert ask(definitions, runs, targetingKey=key, consent=granted("ads")).experiment is not None
    with pytest.raises(InputError, match="consent"):
        ask(definitions, runs, targetingKey=key, consent={"granted": ["ads"]})


def test_what_is_told_is_read_as_a_spine(stores: Stores, clock: FixedClock) -> None:
    definitions = project(greeting={})
    answers = everybody(definitions, begun(definitions, stores, clock))
    for later in (timedelta(0), timedelta(hours=1)):  # told again, it is the same event
        for answer in answers.values():
            tell(definitions, stores, answer, NOW + later, exposed=answer.variant == "warm")
    compact(definitions, stores, clock)
    assert stores.inbox.quarantine_list() == []
    rows = assigned_units(definitions, stores, "greeting").table.to_pylist()
    expected = {
        leaf_key("email", name): answer.variant
        for name, answer in answers.items()
        if answer.experiment is not None
    }
    assert {row["unit"]: row["arm"] for row in rows} == expected
    assert len(rows) == len(expected)
    for row in rows:
        assert row["time"] == NOW
        assert (row["exposed"] == NOW) == (row["arm"] == "warm")


def test_a_visitor_is_named_by_an_anonymous_identifier(stores: Stores, clock: FixedClock) -> None:
    definitions = project("0%", greeting={"unit": "visitor"})
    runs = begun(definitions, stores, clock)
    phone = {"device": leaf_key("device", "phone").hex()}
    for context in (
        {"targetingKey": "device:phone"},
        {"targetingKey": "phone", "namespace": "device"},
        {"targetingKey": "email:ada@example.com", "device": "phone"},
    ):
        answer = ask(definitions, runs, **context)
        assert answer.unit is not None
        assert answer.unit.leaves == phone
    with pytest.raises(NoTargetingKey):
        ask(definitions, runs, targetingKey="email:ada@example.com")


def test_a_session_is_told_by_its_id_alone(stores: Stores, clock: FixedClock) -> None:
    definitions = project("0%", greeting={"unit": "session"})
    runs = begun(definitions, stores, clock)
    answer = ask(definitions, runs, session="s-1", targetingKey="email:ada@example.com")
    assert ask(definitions, runs, targetingKey="s-1") == answer
    tell(definitions, stores, answer)
    compact(definitions, stores, clock)
    [row] = assigned_units(definitions, stores, "greeting").table.to_pylist()
    assert (row["unit"], row["customer"]) == (b"s-1", None)


def test_in_a_switchback_all_get_the_arm_of_the_hour(stores: Stores, clock: FixedClock) -> None:
    turns = {"block": "4h"}
    definitions = project("10%", greeting={"design": "switchback", "switchback": turns})
    runs = begun(definitions, stores, clock)
    zone = definitions.timezone
    arms = []
    for hours in range(0, 160, 4):
        answer = ask(definitions, runs, later=f"{hours}h")
        same = ask(definitions, runs, later=f"{hours}h", targetingKey="email:ada@example.com")
        assert same == answer
        assert answer.unit is not None
        at = NOW + timedelta(hours=hours)
        assert answer.unit.text == slot(Duration("4h"), at, zone)
        arms.append(answer.variant)
    greeting = definitions.get(EXPERIMENTS)["greeting"]
    planned = schedule("greeting", greeting, NOW, NOW + timedelta(hours=160), zone)
    assert planned.column("arm").to_pylist()[: len(arms)] == arms
    held = next(n for n in NAMES if held_out("hold", Fraction(1, 10), leaf_key("email", n).hex()))
    assert ask(definitions, runs, targetingKey=f"email:{held}").experiment is None


def test_a_switchback_turns_on_the_clocks_of_the_project(stores: Stores, clock: FixedClock) -> None:
    """And a reading finds the arms that were given: Berlin's 4 o'clock begins no block in UTC."""
    definitions = project("0%", greeting={"design": "switchback", "switchback": {"block": "4h"}})
    runs = begun(definitions, stores, clock)
    end = NOW + timedelta(days=40)
    table = schedule("greeting", definitions.get(EXPERIMENTS)["greeting"], NOW, end, BERLIN)
    given = {row["unit"]: row["arm"] for row in table.to_pylist()}
    for hour in range(0, 40 * 24, 7):
        answer = ask(definitions, runs, later=f"{hour}h")
        assert answer.unit is not None
        assert given[answer.unit.text] == answer.variant
        begins = datetime.fromisoformat(answer.unit.text).astimezone(BERLIN)
        assert begins.hour % 4 == 0


def test_a_region_gets_the_arm_that_names_it(stores: Stores, clock: FixedClock) -> None:
    arms = {"quiet": {}, "loud": {"action": "greet", "geos": ["north"]}}
    definitions = project("0%", greeting={"design": "geo", "geo": "region", "arms": arms})
    runs = begun(definitions, stores, clock)
    assert ask(definitions, runs, region="north").variant == "loud"
    assert ask(definitions, runs, region="south").variant == "quiet"
    with pytest.raises(InputError, match="no region is named"):
        ask(definitions, runs)


def test_what_is_wrong_with_a_question_is_said(stores: Stores, clock: FixedClock) -> None:
    definitions = project(greeting={})
    runs = begun(definitions, stores, clock)
    with pytest.raises(UnknownName, match="did you mean 'page'"):
        ask(definitions, runs, "pge")
    with pytest.raises(NoTargetingKey):
        ask(definitions, runs)
    with pytest.raises(InputError, match="no text"):
        ask(definitions, runs, targetingKey=7)
    with pytest.raises(InputError, match="'phone'"):
        ask(definitions, runs, targetingKey="x", namespace="phone")
    with pytest.raises(InputError, match="email"):
        ask(definitions, runs, targetingKey="email:no address")
    # Where nothing runs, nobody has to be named.
    assert ask(definitions, runs, "mail") == Answer("mail", "nothing", "nothing", "STATIC")


def tell(
    definitions: Project,
    stores: Stores,
    answer: Answer,
    at: datetime = NOW,
    exposed: bool = False,
) -> None:
    rows = told(schema_of(definitions), answer, None, at, exposed)
    if rows:
        stores.inbox.append(rows)

"""Plans of switchbacks and geo tests: by the project's events, refused with what would do."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, get_args, get_type_hints

import pytest
from scipy.special import ndtr, ndtri

from liftwerk.clock import FixedClock
from liftwerk.errors import DefinitionError, InputError, Refused, UnknownName
from liftwerk.experiments.definition import ExperimentDefinition
from liftwerk.experiments.planning import PLANNERS
from liftwerk.experiments.planning.plan import Change, Plan, demand_feasible
from liftwerk.experiments.register import register
from liftwerk.experiments.start import start
from liftwerk.experiments.state import state_of
from liftwerk.experiments.stop import stop
from liftwerk.project.experiments import Experiments
from liftwerk.project.reading import document
from liftwerk.stats.interval import critical
from liftwerk.store.home import Home
from liftwerk.store.stores import Stores, open_stores
from tests.experiments.regions import CITIES, FEE, RADIO, shop, tell

pytestmark = pytest.mark.slow

NOW = datetime(2026, 6, 1, 9, 30, tzinfo=UTC)
DAYS = 100
ORDERS: list[tuple[datetime, str, float]] = []


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    home = Home.open(tmp_path_factory.mktemp("regions") / "home", create=True)
    with open_stores(home) as stores, home.hold("test"):
        ORDERS[:] = tell(shop(), stores, NOW, DAYS)
        yield stores


def door(stores: Stores, experiment: dict[str, Any], now: datetime = NOW) -> Experiments:
    return Experiments(shop(new=experiment), stores, FixedClock(now), "jane")


def plan(stores: Stores, experiment: dict[str, Any], now: datetime = NOW, **asked: Any) -> Plan:
    return door(stores, experiment, now).plan("new", **{"simulate": False, **asked})


def radio(*cities: str, **more: Any) -> dict[str, Any]:
    return {**RADIO, "arms": {"quiet": {}, "radio": {"geos": list(cities)}}, **more}


def test_what_is_judged_together_is_planned_together(stores: Stores) -> None:
    # Two metrics go by Holm when they are read: the smallest p-value at half of what one has.
    for alone in (FEE, RADIO):
        both = {**alone, "metrics": ["revenue", "orders"]}
        one, two = plan(stores, alone), plan(stores, both)
        assert (one.comparisons, two.comparisons) == (1, 2)
        assert one.level == two.level == 0.95
        strict = plan(stores, {**alone, "level": "97.5%"})
        assert (two.detectable, two.curve) == (strict.detectable, strict.curve)
        assert "2 comparisons are judged together, each at Holm's first step." in two.notes


def test_every_design_has_its_planner() -> None:
    declared = get_type_hints(ExperimentDefinition)["design"]
    assert set(PLANNERS) == set(get_args(declared))


# ------------------------------------------------------------------------------------- switchback


def test_turns_are_planned_by_what_was_counted(stores: Stores) -> None:
    found = plan(stores, {**FEE, "counter_metrics": {"orders": "60%"}})
    assert found.feasible
    assert (found.design, found.counted, found.unit) == ("switchback", "blocks", "EUR")
    # The first whole block of 8 weeks begins at 10 and no order came in its first hours: from 16.
    began = NOW.replace(hour=16, minute=0) - timedelta(weeks=8)
    ended = NOW.replace(hour=4, minute=0)
    counted = sum(worth for at, _, worth in ORDERS if began <= at < ended)
    hours = (ended - began).total_seconds() / 3600
    assert found.baseline == pytest.approx(counted / hours, rel=1e-9)
    *before, last = found.curve
    assert last.power >= 0.8 > max(one.power for one in before)
    assert (last.day, last.units) == (found.days, found.entering)
    assert found.days % 7 == 0
    assert found.known_in == found.days / 7
    assert found.units == found.entering == found.days * 4
    assert found.per_arm == {"usual": found.units / 2, "dearer": found.units / 2}
    assert found.detectable <= 0.3
    assert found.cost.amount == pytest.approx(0.3 * found.baseline * 6 * found.units / 2)
    (orders,) = found.beside
    assert (orders.role, orders.margin, orders.enough) == ("counter", 0.6, True)
    assert found == plan(stores, {**FEE, "counter_metrics": {"orders": "60%"}})


def test_simulated_turns_see_what_the_formula_promises(stores: Stores) -> None:
    found = plan(stores, FEE, simulate=True)
    nothing, _, planned, more = found.simulated
    assert (planned.effect, planned.by_day) == (0.3, ((found.days, planned.power),))
    # An effect that is multiplied on makes the treated vary more than the formula takes them to.
    drift = critical(0.95) + ndtri(found.curve[-1].power)
    promised = ndtr(drift / math.sqrt((1.0 + 1.3**2) / 2.0) - critical(0.95))
    assert abs(planned.power - promised) < 3.3 * math.sqrt(0.25 / planned.runs)
    assert found.curve[-1].power - planned.power > 0.1
    assert "simulated experiments saw it" in found.notes[-1]
    assert nothing.power <= 0.05 + 3.0 * math.sqrt(0.05 * 0.95 / nothing.runs)
    assert more.power >= planned.power


def test_nothing_is_planned_for_longer_than_a_year(stores: Stores) -> None:
    assert plan(stores, {**FEE, "effect": "1%"}, within=5_000).days == 364
    assert plan(stores, FEE, within=0).days == 1


def test_of_what_is_better_low_a_decrease_is_planned(stores: Stores) -> None:
    found = plan(stores, {**FEE, "metrics": ["returns"]})
    assert found.effect == -0.3
    assert found.detectable < 0.0
    assert found.curve == tuple(
        type(one)(one.day, one.units, one.power, -one.detectable) for one in plan(stores, FEE).curve
    )


def test_every_change_that_is_proposed_for_turns_works(stores: Stores) -> None:
    arms = {"usual": {}, "dearer": {}, "free": {}}
    asked = {**FEE, "effect": "33%", "arms": arms, "share": "80%"}
    found = plan(stores, asked, within=42)
    assert not found.feasible
    assert (found.days, found.known_in) == (42, None)
    assert found.units > found.entering
    assert {one.what for one in found.nearest} == {"effect", "share", "days", "arms", "block"}
    times = [one.times for one in found.nearest]
    assert times == sorted(times)
    for change in found.nearest:
        within, told = changed_turns(asked, change)
        assert plan(stores, told, within=within).feasible, change
    with pytest.raises(Refused, match="out of reach: what 42 days show") as refused:
        demand_feasible(found)
    assert found.nearest[0].words in str(refused.value)


def changed_turns(asked: dict[str, Any], change: Change) -> tuple[int, dict[str, Any]]:
    if change.what == "days":
        return int(change.to), asked
    if change.what == "block":
        turns = {**asked["switchback"], "block": f"{round(change.to * 60)}min"}
        return 42, {**asked, "switchback": turns}
    if change.what == "arms":
        kept = dict(list(asked["arms"].items())[: int(change.to)])
        return 42, {**asked, "arms": kept}
    return 42, {**asked, change.what: f"{100 * change.to:g}%"}


def test_without_a_history_of_turns_it_says_what_it_takes(stores: Stores) -> None:
    early = NOW - timedelta(days=DAYS)
    with pytest.raises(Refused, match=r"no baseline .*nothing was counted of revenue.*collect 14"):
        plan(stores, FEE, now=early)
    with pytest.raises(Refused, match=r"\([89]\.\d days of revenue\).*collect 14 days"):
        plan(stores, FEE, now=early + timedelta(days=9))
    with pytest.raises(InputError, match="counted for each customer"):
        plan(stores, {**FEE, "metrics": ["buyers"]})
    with pytest.raises(Refused, match="nothing was counted of visits"):
        plan(stores, {**FEE, "metrics": ["visits"]})


# -------------------------------------------------------------------------------------------- geo


def test_cells_are_planned_by_their_regions_own_days(stores: Stores) -> None:
    found = plan(stores, radio("city03", "city07", counter_metrics={"orders": "50%"}))
    assert found.feasible
    assert (found.design, found.counted, found.method) == ("geo", "markets", "fixed")
    assert found.per_arm == {"quiet": 12, "radio": 2}
    (cell,) = found.cells
    assert (cell.arm, cell.markets) == ("radio", ("city03", "city07"))
    assert cell.power == found.curve[-1].power >= 0.8
    assert all(one.power < 0.8 for one in found.curve[:-1])
    assert cell.detectable == found.detectable <= 0.15
    assert cell.windows == 30
    midnight = NOW.replace(hour=0, minute=0)
    treated = [(at, worth) for at, city, worth in ORDERS if city in cell.markets]
    assert found.baseline == pytest.approx(sum(worth for _, worth in treated) / 2 / DAYS)
    last = midnight - timedelta(days=found.days)
    in_the_end = sum(worth for at, worth in treated if at >= last)
    assert cell.break_even == pytest.approx(0.15 * in_the_end)
    control = sum(worth for _, city, worth in ORDERS if city not in cell.markets)
    assert found.cost.amount == pytest.approx(0.15 * control / DAYS * found.days)
    whole = sum(worth for _, _, worth in ORDERS)
    assert cell.part == pytest.approx(1.0 - control / whole)
    nothing, _, planned, _ = found.simulated
    assert (nothing.power, planned.power) == (cell.false_alarms, cell.power)
    (orders,) = found.beside
    assert (orders.role, orders.margin) == ("counter", 0.5)


TWO = {"quiet": {}, "tv": {"geos": ["city01", "city02"]}, "radio": {"geos": ["city05"]}}


def test_every_change_that_is_proposed_for_cells_works(stores: Stores) -> None:
    asked, within = {**RADIO, "effect": "4%", "arms": TWO}, 7
    found = plan(stores, asked, within=within)
    assert not found.feasible
    assert (found.days, found.known_in) == (7, None)
    assert {one.what for one in found.nearest} == {"effect", "days", "arms", "markets"}
    for change in found.nearest:
        longest, told = changed_cells(asked, change, within)
        assert plan(stores, told, within=longest).feasible, change
    with pytest.raises(Refused, match="what 7 days show is") as refused:
        demand_feasible(found)
    assert found.nearest[0].words in str(refused.value)


def changed_cells(asked: dict[str, Any], change: Change, within: int) -> tuple[int, dict[str, Any]]:
    if change.what == "days":
        return int(change.to), asked
    if change.what == "effect":
        return within, {**asked, "effect": f"{100 * change.to:g}%"}
    control = next(iter(asked["arms"]))
    if change.what == "arms":
        dropped = change.words.partition("without ")[2].partition(", for ")[0].split(", ")
        kept = {arm: told for arm, told in asked["arms"].items() if arm not in dropped}
        return within, {**asked, "arms": kept}
    told = change.words.removeprefix("treat ").rpartition(" for ")[0]
    arms = {one.rpartition(" in ")[2]: one.rpartition(" in ")[0] for one in told.split(" and ")}
    chosen = {arm: {"geos": cell.split(", ")} for arm, cell in arms.items()}
    return within, {**asked, "arms": {control: {}, **asked["arms"], **chosen}}


def test_regions_that_cannot_be_are_refused_with_those_that_can(stores: Stores) -> None:
    with pytest.raises(UnknownName, match=r"names the region 'city3', of 'radio'") as refused:
        plan(stores, radio("city3", effect="10%"))
    hint = refused.value.hint
    assert hint.startswith("did you mean 'city13'? (nearest: treat city")
    cities = hint.partition("treat ")[2].partition(" in radio")[0].split(", ")
    assert plan(stores, radio(*cities, effect="10%")).feasible
    with pytest.raises(Refused, match=r"4 of 14 regions are left .* treat 9 at most"):
        plan(stores, radio(*CITIES[:10]))
    with pytest.raises(DefinitionError, match="a region has one arm, and 'tv' names it"):
        plan(stores, {**RADIO, "arms": {**TWO, "radio": {"geos": ["city02"]}}})


def test_without_a_history_of_regions_it_says_what_it_takes(stores: Stores) -> None:
    early = NOW - timedelta(days=DAYS)
    with pytest.raises(Refused, match=r"no baseline .*nothing was counted of revenue.*collect 39"):
        plan(stores, RADIO, now=early - timedelta(days=1))
    with pytest.raises(Refused, match=r"\(30 days of revenue\).*of 7 days, once 9 more days"):
        plan(stores, RADIO, now=early + timedelta(days=30))
    with pytest.raises(InputError, match="is a ratio"):
        plan(stores, {**RADIO, "metrics": ["basket"]})
    with pytest.raises(InputError, match="does not say in which 'city'"):
        plan(stores, {**RADIO, "metrics": ["visits"]})
    short = plan(stores, RADIO, now=early + timedelta(days=75), effect=0.001)
    assert short.days in (7, 14)  # 14 days take 70 of history, 21 days take 105
    assert "The history is too short to try a test of more than 14 days." in short.notes


# ------------------------------------------------------------------------------------- the start


@pytest.mark.parametrize("experiment", [FEE, RADIO], ids=["switchback", "geo"])
def test_what_is_planned_is_registered_and_what_cannot_work_is_not(
    stores: Stores, experiment: dict[str, Any]
) -> None:
    own = door(stores, experiment)
    own.register("new", own.plan("new", simulate=False))
    shown = own.show("new")
    assert (shown["stage"], shown["unplanned"]) == ("registered", "")
    assert shown["plan"]["counted"] in ("blocks", "markets")
    said = document(shop(new=experiment), stores, FixedClock(NOW), shown, None)["plan"]
    assert said[0].startswith("Planned for ")
    assert said[1].startswith("An effect of ")
    assert said[2:] in ([], ["radio: city03, city07."])
    with pytest.raises(Refused, match=r"out of reach.*nearest: look for"):
        own.register("new", own.plan("new", effect=0.001, within=14, simulate=False))
    assert state_of(stores.ledger, "new").plan == shown["plan"]


def test_what_ran_in_the_history_is_told(stores: Stores) -> None:
    began = NOW - timedelta(days=20)
    words = "earlier ran in these days: what it changed is taken for chance."
    assert words not in plan(stores, FEE).notes
    told = (shop(earlier=FEE), stores, FixedClock(began), "jane", "earlier")
    register(*told, {"unplanned": "a test"})
    start(*told)
    stop(stores, FixedClock(began + timedelta(days=3)), "jane", "earlier", "enough")
    assert words in plan(stores, FEE).notes
    assert words in plan(stores, RADIO).notes
    assert words not in plan(stores, FEE, now=began - timedelta(hours=1)).notes

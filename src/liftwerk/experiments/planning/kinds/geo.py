"""Plan a geo test: the declared cells, by placebo tests over the project's own regions."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import date, timedelta

import msgspec

from liftwerk.definitions.project import Project
from liftwerk.errors import InputError, Refused, UnknownName, did_you_mean
from liftwerk.experiments.geo.cells import of_arms
from liftwerk.experiments.geo.markets import Markets
from liftwerk.experiments.geo.measured import markets_of
from liftwerk.experiments.geo.power import days_needed
from liftwerk.experiments.planning.ask import Asked
from liftwerk.experiments.planning.cells import Found, GeoTest, keenest, lengths, propose
from liftwerk.experiments.planning.judged import (
    comparisons,
    direction,
    money_metric,
    others,
    ran_meanwhile,
    together,
)
from liftwerk.experiments.planning.nearest import larger_effect
from liftwerk.experiments.planning.plan import (
    HORIZON,
    WEEK,
    Beside,
    Cell,
    Change,
    Cost,
    Plan,
    Point,
    Simulated,
)
from liftwerk.experiments.planning.simulate import TIMES
from liftwerk.experiments.read import unit_of
from liftwerk.metrics.definition import METRICS
from liftwerk.metrics.kinds import earns_money, kind_of
from liftwerk.privacy.permitted import AsOf
from liftwerk.stats.synthetic_control.measure import FEWEST_DONORS
from liftwerk.store.stores import Stores

DAY = timedelta(days=1)


def plan_geo(project: Project, stores: Stores, asked: Asked) -> Plan:
    """Plan a geo test: which effect its cells show after how many days.

    Parameters
    ----------
    project : Project
    stores : Stores
    asked : Asked
        There is no formula for such a test: it is simulated whatever is asked.

    Returns
    -------
    Plan
        Also where it cannot work: with what would.

    Raises
    ------
    Refused
        If there is too little history, or too few regions are left without the action.
    UnknownName
        If a cell names a region that no event names.
    InputError
        If a metric is not added up over time, or its events name no region.
    """
    experiment, first = asked.experiment, asked.experiment.metrics[0]
    where = f"experiment {asked.name}"
    effect = asked.effect * direction(project, first)
    asked.tell("plan", f"{first} by {experiment.geo} in the last year")
    markets = _history(project, stores, asked, first)
    tried = lengths(markets, asked.within)
    if not tried:
        raise _too_little(markets, asked, where)
    level, wanted = experiment.level.value, experiment.power.value
    test = GeoTest(markets, of_arms(experiment), effect, level, wanted, len(experiment.metrics))
    _demand_regions(test, tried[-1], asked, where)
    found: list[Found] = []
    for days in tried:
        asked.tell("plan", f"placebo tests of {days} days over {len(markets.days)} days of history")
        found.append(test.of(days))
        if found[-1].power >= wanted:
            break
    plan = _plan(project, asked, test, found, effect)
    changes: list[Change] = []
    if not plan.feasible:
        asked.tell("plan", "what would do instead")
        changes = _nearest(test, found, asked, effect)
    return msgspec.structs.replace(
        plan,
        nearest=tuple(sorted(changes, key=lambda one: one.times)),
        cost=_cost(project, stores, asked, plan, test),
        beside=tuple(_beside(project, stores, asked, keenest(found).days)),
        notes=(
            *_notes(test, found, asked),
            *ran_meanwhile(stores, asked.now - len(markets.days) * DAY, asked.now),
        ),
    )


def _history(project: Project, stores: Stores, asked: Asked, metric: str) -> Markets:
    """Lay out the whole days before now, at most a year of them."""
    today = asked.now.astimezone(project.timezone).date()
    first: date = today - HORIZON * DAY
    told = (project, stores, asked.experiment, metric, first, today - DAY, AsOf(asked.now))
    try:
        return markets_of(*told)
    except InputError as error:
        if error.what != NOTHING:
            raise
        hint = f"collect {days_needed(WEEK)} days of {metric} that name their region"
        what = f"there is no baseline to plan by (nothing was counted of {metric})"
        raise Refused(what, f"experiment {asked.name}", hint) from None


NOTHING = "there are no rows"


def _too_little(markets: Markets, asked: Asked, where: str) -> Refused:
    history = markets.days.shape[0]
    shortest = min(WEEK, asked.within)
    needed = days_needed(shortest)
    what = f"there is no baseline to plan by ({history} days of {asked.experiment.metrics[0]})"
    hint = f"nearest: a test of {shortest} days, once {needed - history} more days are collected"
    return Refused(what, where, hint)


def _demand_regions(test: GeoTest, days: int, asked: Asked, where: str) -> None:
    """Refuse cells of regions that are not there, or that leave too few without the action."""
    names = test.markets.names
    for arm, cell in test.cells.items():
        for region in cell:
            if region not in names:
                what = f"no event of the last year names the region {region!r}, of {arm!r}"
                hint = did_you_mean(region, names)
                proposed = _instead(test, arm, days, asked)
                if proposed:
                    hint += f" (nearest: {proposed})"
                raise UnknownName(what, where, hint)
    left = len(test.others)
    if left < FEWEST_DONORS:
        what = f"{left} of {len(names)} regions are left without the action"
        most = len(names) - FEWEST_DONORS
        hint = f"nearest: treat {most} at most, so that {FEWEST_DONORS} can stand in for them"
        if most < len(test.cells):
            hint = f"a geo test takes {len(test.cells) + FEWEST_DONORS} regions at least"
        raise Refused(what, where, hint)


def _instead(test: GeoTest, arm: str, days: int, asked: Asked) -> str:
    """Say which markets an arm could have; empty where none are found."""
    elsewhere = [name for other, cell in test.cells.items() if other != arm for name in cell]
    taken = [name for name in elsewhere if name in test.markets.names]
    chosen = propose(test, len(test.cells[arm]), taken, days, asked.rng)
    if chosen is None:
        return ""
    return f"treat {', '.join(chosen)} in {arm} for {days} days"


def _plan(project: Project, asked: Asked, test: GeoTest, found: list[Found], effect: float) -> Plan:
    experiment, first = asked.experiment, asked.experiment.metrics[0]
    shown = keenest(found)
    feasible = shown.power >= test.wanted
    known_in = None
    if feasible:
        known_in = math.ceil(shown.days / WEEK)
    columns = [place for cell in test.columns.values() for place in cell]
    treated = test.markets.values[:, columns]
    many = {arm: len(cell) for arm, cell in test.cells.items()}
    many = {experiment.control: len(test.others), **many}
    whole = sum(many.values())
    weakest = min(shown.tried.values(), key=lambda one: one.explained)
    return Plan(
        experiment=asked.name,
        design=experiment.design,
        metric=first,
        kind=kind_of(project, first),
        unit=unit_of(project, first),
        baseline=float(treated.mean()),
        deviation=float(treated.std(axis=0).mean()),
        reduction=weakest.explained,
        effect=effect,
        method="fixed",
        level=experiment.level.value,
        power=test.wanted,
        comparisons=comparisons(experiment),
        arms={arm: part / whole for arm, part in many.items()},
        share=1.0,
        units=whole,
        per_arm=many,
        entering=whole,
        days=shown.days,
        within=asked.within,
        matures=0.0,
        known_in=known_in,
        feasible=feasible,
        detectable=shown.detectable,
        curve=tuple(Point(one.days, whole, one.power, one.detectable) for one in found),
        simulated=tuple(
            Simulated(effect * times, power, ((shown.days, power),), shown.windows)
            for times, power in zip(TIMES, test.powers(shown, TIMES), strict=True)
        ),
        counted="markets",
        cells=tuple(_cells(project, test, shown, first, effect)),
    )


def _cells(
    project: Project, test: GeoTest, found: Found, metric: str, effect: float
) -> Iterable[Cell]:
    """Say what each arm's markets show, and what it may cost."""
    whole = float(test.markets.values.sum())
    paid = earns_money(project, project.get(METRICS)[metric])
    for arm, tried in found.tried.items():
        usual = test.markets.values[:, test.columns[arm]]
        break_even = None
        if paid:
            break_even = abs(effect) * float(usual[-found.days :].sum())
        yield Cell(
            arm=arm,
            markets=test.cells[arm],
            power=test.power_of(tried),
            detectable=test.detectable_of(tried),
            false_alarms=tried.false_alarms,
            windows=tried.windows,
            part=float(usual.sum()) / max(whole, 1e-300),
            break_even=break_even,
        )


def _nearest(test: GeoTest, found: list[Found], asked: Asked, effect: float) -> list[Change]:
    """List the changes that alone would make it possible."""
    shown = keenest(found)
    changes: list[Change | None] = []
    if shown.detectable is not None:
        larger = larger_effect(effect, shown.detectable)
        if larger is not None:
            words = f"{larger.words}, in {shown.days} days"
            changes.append(msgspec.structs.replace(larger, words=words))
    for days in lengths(test.markets, HORIZON):
        if days > asked.within and test.of(days).power >= test.wanted:
            words = f"let the test take {days} days: --within {days}d"
            changes.append(Change("days", float(days), days / asked.within, words))
            break
    best = max(found, key=lambda one: one.power)
    changes += [_other_markets(test, best, asked), _fewer_cells(test, best)]
    return [one for one in changes if one is not None]


def _other_markets(test: GeoTest, best: Found, asked: Asked) -> Change | None:
    """Choose other or more markets for the arms that do not see it, by market selection."""
    failing = [arm for arm, one in best.tried.items() if test.power_of(one) < test.wanted]
    taken = [name for arm in test.cells if arm not in failing for name in test.cells[arm]]
    told, moved, many = [], 0, 0
    for arm in failing:
        chosen = propose(test, len(test.cells[arm]), taken, best.days, asked.rng)
        if chosen is None:
            return None
        taken += chosen
        moved += len(set(chosen) ^ set(test.cells[arm]))
        many += len(chosen)
        told.append(f"{', '.join(chosen)} in {arm}")
    words = f"treat {' and '.join(told)} for {best.days} days"
    before = sum(len(cell) for cell in test.cells.values())
    return Change("markets", float(many), 1.0 + moved / before, words)


def _fewer_cells(test: GeoTest, best: Found) -> Change | None:
    """Leave the arms out that do not see it; their markets then stand in for the others."""
    powers = {arm: test.power_of(one) for arm, one in best.tried.items()}
    kept = {arm: test.cells[arm] for arm, power in powers.items() if power >= test.wanted}
    if not kept:
        # Alone it is judged less strictly.
        strongest = max(powers, key=lambda arm: powers[arm])
        kept = {strongest: test.cells[strongest]}
    if len(kept) == len(test.cells):
        return None
    fewer = test.with_cells(kept)
    if fewer.of(best.days).power < test.wanted:
        return None
    dropped = ", ".join(arm for arm in test.cells if arm not in kept)
    arms = len(kept) + 1.0
    words = f"compare {len(kept) + 1} arms, without {dropped}, for {best.days} days"
    return Change("arms", arms, (len(test.cells) + 1.0) / arms, words)


def _beside(project: Project, stores: Stores, asked: Asked, days: int) -> Iterable[Beside]:
    """Say what the same test tells of the other metrics."""
    experiment = asked.experiment
    for metric, role, margin in others(experiment):
        asked.tell("plan", f"placebo tests of {metric}")
        try:
            markets = _history(project, stores, asked, metric)
        except Refused:
            # Of this one nothing is known: that is no reason not to plan by the first.
            yield Beside(metric, role, 0.0, None, margin)
            continue
        cells = of_arms(experiment)
        known = all(name in markets.names for cell in cells.values() for name in cell)
        if not known or days not in lengths(markets, days):
            yield Beside(metric, role, float(markets.values.mean()), None, margin)
            continue
        sign = direction(project, metric)
        if role == "counter":
            sign = -sign  # what has to be ruled out of a counter-metric is that it gets worse
        judged = 1
        if role == "primary":
            judged = len(experiment.metrics)
        told = (sign * abs(asked.effect), experiment.level.value, experiment.power.value, judged)
        seen = GeoTest(markets, cells, *told).of(days).detectable
        enough, least = None, None
        if seen is not None:
            least = abs(seen)
        if margin is not None:
            enough = least is not None and least <= margin
        yield Beside(metric, role, float(markets.values.mean()), least, margin, enough)


def _cost(project: Project, stores: Stores, asked: Asked, plan: Plan, test: GeoTest) -> Cost | None:
    """Say what the markets in control do not earn, in money, if the effect is as planned."""
    experiment = asked.experiment
    metric = money_metric(project, [*experiment.metrics, *experiment.counter_metrics])
    if metric is None:
        return None
    markets = test.markets
    if metric != plan.metric:
        try:
            markets = _history(project, stores, asked, metric)
        except Refused:
            return None
    treated = {name for cell in test.cells.values() for name in cell}
    left = [place for place, name in enumerate(markets.names) if name not in treated]
    value = float(markets.values[:, left].mean())
    days = plan.days or plan.within
    words = (
        f"{len(left)} markets in control on {days} days, each without"
        f" {100 * abs(plan.effect):.3g}% of {metric}, {value:,.4g} a day on average"
    )
    return Cost(abs(plan.effect) * value * len(left) * days, project.currency, words)


def _notes(test: GeoTest, found: list[Found], asked: Asked) -> Iterable[str]:
    history = len(test.markets.days)
    shown = keenest(found)
    yield (
        f"Read in {shown.windows} windows of {history} days of history ({test.markets.days[0]} to"
        f" {test.markets.days[-1]}) in which nothing was done, with effects put in; they are worth"
        f" {min(history // shown.days, shown.windows)} that do not overlap."
    )
    longest = lengths(test.markets, HORIZON)[-1]
    if asked.within > longest and shown.power < test.wanted:
        yield f"The history is too short to try a test of more than {longest} days."
    if not asked.simulate:
        yield "Of a geo test there is no formula: it is simulated anyway."
    yield from together(comparisons(asked.experiment))
    yield "It is read once, when it has run; the day of the start counts as one of the test."

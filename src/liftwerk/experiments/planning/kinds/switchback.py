"""Plan a switchback: arms that take turns, by the metric's own history in such blocks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import msgspec
import pyarrow as pa

from liftwerk.definitions.project import Project
from liftwerk.errors import ProjectError, Refused
from liftwerk.experiments.definition import Switchback
from liftwerk.experiments.planning.ask import Asked
from liftwerk.experiments.planning.judged import (
    comparisons,
    direction,
    first_step,
    money_metric,
    others,
    ran_meanwhile,
    together,
)
from liftwerk.experiments.planning.nearest import larger_effect, percent, rounded_up
from liftwerk.experiments.planning.plan import (
    HORIZON,
    WEEK,
    Beside,
    Change,
    Cost,
    Plan,
    Point,
    Simulated,
    finite,
)
from liftwerk.experiments.planning.simulate import RUNS, TIMES, doubts
from liftwerk.experiments.read import unit_of
from liftwerk.experiments.switchback.measured import HISTORY, history_of
from liftwerk.experiments.switchback.power import Turns, laid_out, other_lengths
from liftwerk.experiments.switchback.turns import turns_of
from liftwerk.metrics.kinds import kind_of
from liftwerk.store.stores import Stores

FEWEST_DAYS = 14
"""Less than this is no history to plan by: a week has to have been seen twice."""

ROOM = 0.7
"""Days that may be missing from these, since the first and the last are not whole."""

HOUR = 3.6e9


@dataclass(frozen=True, eq=False)
class _Past:
    """Histories of an experiment's metrics, each counted once."""

    project: Project
    stores: Stores
    asked: Asked
    tables: dict[str, pa.Table] = field(default_factory=dict)

    def laid(
        self, metric: str, turns: Switchback | None = None, arms: Sequence[str] | None = None
    ) -> Turns:
        """Lay a metric out for control and the arm with the fewest blocks: it decides.

        Parameters
        ----------
        metric : str
        turns : Switchback, optional
            By default as it is declared.
        arms : sequence of str, optional
            Only these; they share what the others had.

        Raises
        ------
        Refused
            If there is too little history.
        """
        experiment = self.asked.experiment
        if turns is None:
            turns = turns_of(self.asked.name, experiment)
        if arms is None:
            arms = list(experiment.arms)
        if metric not in self.tables:
            told = (self.project, self.stores, self.asked.name, experiment, metric)
            self.tables[metric] = history_of(*told, now=self.asked.now)
        table = self.tables[metric]
        if table.num_rows == 0:
            raise self._too_little(f"nothing was counted of {metric}")
        shares = [experiment.shares[arm] for arm in arms]
        part = experiment.share.exact / sum(shares, Fraction(0))
        laid = laid_out(
            table,
            turns,
            self.project.timezone,
            (float(part * shares[0]), float(part * min(shares[1:]))),
            level=first_step(experiment.level.value, comparisons(experiment, len(arms) - 1)),
            wanted=experiment.power.value,
        )
        if laid.days < FEWEST_DAYS - ROOM:
            raise self._too_little(f"{laid.days:.1f} days of {metric}")
        return laid

    def _too_little(self, found: str) -> Refused:
        hint = f"collect {FEWEST_DAYS} days of it first; nothing nearer can be worked out"
        where = f"experiment {self.asked.name}"
        return Refused(f"there is no baseline to plan by ({found})", where, hint)


def plan_switchback(project: Project, stores: Stores, asked: Asked) -> Plan:
    """Plan a switchback by the last weeks of its first metric.

    Parameters
    ----------
    project : Project
    stores : Stores
    asked : Asked

    Returns
    -------
    Plan
        Also where it cannot work: with what would.

    Raises
    ------
    Refused
        If there is too little history.
    InputError
        If a metric is not added up over time.
    ProjectError
        If the metric does not vary, or nothing is a part of its mean.
    """
    past, first = _Past(project, stores, asked), asked.experiment.metrics[0]
    asked.tell("plan", f"{first} in the last weeks")
    laid = past.laid(first)
    if not _tells(laid):
        what = f"{first} is the same in all {len(laid.series.value):,} periods of the history"
        hint = "judge it by a metric that something happens in"
        raise ProjectError(what, f"experiment {asked.name}", hint)
    effect = asked.effect * direction(project, first)
    plan = _plan(past, laid, effect)
    if asked.simulate:
        asked.tell("plan", f"{RUNS} experiments of the history, simulated")
        plan = msgspec.structs.replace(plan, simulated=_simulated(laid, plan, asked))
    changes: list[Change] = []
    if not plan.feasible:
        changes = _nearest(past, laid, effect)
    return msgspec.structs.replace(
        plan,
        nearest=tuple(sorted(changes, key=lambda one: one.times)),
        notes=(
            *_notes(laid, plan),
            *ran_meanwhile(stores, asked.now - HISTORY, asked.now),
            *doubts(plan),
        ),
        cost=_cost(past, plan),
        beside=tuple(_beside(past, plan)),
    )


def _tells(laid: Turns) -> bool:
    """Say whether effects can be parts of a metric, and something varies."""
    return laid.mean != 0.0 and laid.variance[0] > 0.0


def _days_needed(laid: Turns, effect: float, longest: int) -> int | None:
    """Find the fewest weeks that see an effect; None where not even all days do."""
    for days in _marks(longest):
        if laid.power(days, effect) >= laid.wanted:
            return days
    return None


def _marks(days: int) -> list[int]:
    """List the ends of weeks, and the last day."""
    return sorted({*range(WEEK, days, WEEK), days})


def _plan(past: _Past, laid: Turns, effect: float) -> Plan:
    asked, experiment = past.asked, past.asked.experiment
    first, share = experiment.metrics[0], experiment.share.value
    days = _days_needed(laid, effect, asked.within)
    lasts = days or asked.within
    variance, explained = laid.variance
    entering = laid.blocks(lasts) / laid.kept * share
    needed, known_in = entering, None
    if days is not None:
        known_in = math.ceil(days / WEEK)
    elif math.isfinite(laid.detectable(lasts)):
        needed = entering * (laid.detectable(lasts) / effect) ** 2
    sign = math.copysign(1.0, effect)
    points = tuple(
        Point(
            day,
            round(laid.blocks(day) / laid.kept * share),
            laid.power(day, effect),
            finite(sign * laid.detectable(day)),
        )
        for day in _marks(lasts)
    )
    shares = {arm: float(part) for arm, part in experiment.shares.items()}
    return Plan(
        experiment=asked.name,
        design=experiment.design,
        metric=first,
        kind=kind_of(past.project, first),
        unit=unit_of(past.project, first),
        baseline=laid.mean,
        deviation=math.sqrt(variance),
        reduction=explained,
        effect=effect,
        method="fixed",
        level=experiment.level.value,
        power=laid.wanted,
        comparisons=comparisons(experiment),
        arms=shares,
        share=share,
        units=round(needed),
        per_arm={arm: round(part * needed) for arm, part in shares.items()},
        entering=round(entering),
        days=lasts,
        within=asked.within,
        matures=0.0,
        known_in=known_in,
        feasible=days is not None,
        detectable=points[-1].detectable,
        curve=points,
        counted="blocks",
    )


def _simulated(laid: Turns, plan: Plan, asked: Asked) -> tuple[Simulated, ...]:
    days = plan.days or plan.within
    effects = [plan.effect * times for times in TIMES]
    found = laid.simulate(days, effects, RUNS, asked.rng)
    return tuple(
        Simulated(one, power, ((days, power),), RUNS)
        for one, power in zip(effects, found, strict=True)
    )


def _nearest(past: _Past, laid: Turns, effect: float) -> list[Change]:
    """List the changes that alone would make it possible."""
    within, turns = past.asked.within, turns_of(past.asked.name, past.asked.experiment)
    sign = math.copysign(1.0, effect)
    found = [larger_effect(effect, sign * laid.detectable(within))]
    longer = _days_needed(laid, effect, HORIZON)
    if longer is not None and longer > within:
        words = f"let the arms take turns for {longer} days: --within {longer}d"
        found.append(Change("days", float(longer), longer / within, words))
    found += [_more_blocks(past, laid, effect), _fewer_arms(past, effect)]
    for other in other_lengths(turns):
        try:
            tried = past.laid(past.asked.experiment.metrics[0], other)
        except Refused:
            # The history's periods are longer than such a block.
            continue
        if _days_needed(tried, effect, within) is not None:
            times = other.block.microseconds / turns.block.microseconds
            words = f'let them take turns in blocks of {other.block}: block = "{other.block}"'
            hours = other.block.microseconds / HOUR
            found.append(Change("block", hours, max(times, 1.0 / times), words))
    return [one for one in found if one is not None]


def _more_blocks(past: _Past, laid: Turns, effect: float) -> Change | None:
    """Ask for a larger part of all blocks, where only some are in the experiment."""
    share = past.asked.experiment.share.value
    needed = share * (laid.detectable(past.asked.within) / abs(effect)) ** 2
    if needed > 1.0 or needed <= share:
        return None
    part = min(rounded_up(needed), 1.0)
    words = f"let a share of {percent(part)} of all blocks be in it"
    return Change("share", part, part / share, words)


def _fewer_arms(past: _Past, effect: float) -> Change | None:
    experiment = past.asked.experiment
    names = list(experiment.arms)
    for many in range(len(names) - 1, 1, -1):
        laid = past.laid(experiment.metrics[0], arms=names[:many])
        if _days_needed(laid, effect, past.asked.within) is not None:
            words = f"compare {many} arms, without {', '.join(names[many:])}"
            return Change("arms", float(many), len(names) / many, words)
    return None


def _beside(past: _Past, plan: Plan) -> Iterable[Beside]:
    """Say what as many turns tell of the other metrics."""
    lasts = plan.days or plan.within
    for metric, role, margin in others(past.asked.experiment):
        try:
            laid = past.laid(metric)
        except Refused:
            # Of this one nothing is known: that is no reason not to plan by the first.
            yield Beside(metric, role, 0.0, None, margin)
            continue
        if not _tells(laid):
            yield Beside(metric, role, laid.mean, None, margin)
            continue
        seen = laid.detectable(lasts)
        enough = None
        if margin is not None:
            enough = seen <= margin
        yield Beside(metric, role, laid.mean, finite(seen), margin, enough)


def _cost(past: _Past, plan: Plan) -> Cost | None:
    """Say what control's blocks do not earn, in money, if the effect is as large as planned."""
    experiment = past.asked.experiment
    judged = [*experiment.metrics, *experiment.counter_metrics]
    metric = money_metric(past.project, judged)
    if metric is None:
        return None
    try:
        laid = past.laid(metric)
    except Refused:
        return None
    blocks = plan.arms[experiment.control] * plan.entering
    # A period is a part of a block: a block is worth what its periods are together.
    value = laid.mean * (int(laid.series.age.max()) + 1)
    words = (
        f"{blocks:,.0f} blocks in control, each without {100 * abs(plan.effect):.3g}% of {metric},"
        f" {value:,.4g} on average"
    )
    return Cost(abs(plan.effect * value) * blocks, past.project.currency, words)


def _notes(laid: Turns, plan: Plan) -> Iterable[str]:
    lasts = plan.days or plan.within
    yield (
        f"{len(laid.series.value):,} periods of {laid.days:.0f} days were given lots, as if arms"
        " had taken turns in them."
    )
    if lasts > laid.days + ROOM:
        yield "Days beyond these are taken to be like them."
    if laid.series.washout:
        yield f"Washout leaves the first {laid.series.washout} of each block's periods out."
    yield from together(plan.comparisons)
    yield "It is read once, when it has run."

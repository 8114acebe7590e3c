"""How many weeks of turns it takes, from the metric's own history."""

from __future__ import annotations

import math
from datetime import tzinfo

import numpy as np
import pyarrow as pa
from msgspec import Struct

from liftwerk.definitions.typed import Duration
from liftwerk.errors import Refused
from liftwerk.experiments.definition import ExperimentDefinition, Switchback
from liftwerk.experiments.switchback.blocks import blocks_between
from liftwerk.experiments.switchback.series import Series, lay_out, span
from liftwerk.experiments.switchback.turns import TIME, turns_of
from liftwerk.stats.estimate import Unknown
from liftwerk.stats.switchback import Periods, detectable

LONGEST = 26
"""Weeks beyond which no plan is made."""
WEEK = 7 * 86_400_000_000
TIMES = (2, 4)
"""Shorter and longer blocks that are tried: a half, a quarter, twice, four times."""


class Length(Struct, frozen=True):
    """What some weeks of turns can see.

    Attributes
    ----------
    weeks, blocks : int
    detectable : float
        The smallest effect that is found with the wanted power, as a part of the metric's mean.
    """

    weeks: int
    blocks: int
    detectable: float


class Plan(Struct, frozen=True):
    """Whether a switchback can see the effect that matters, and when.

    Attributes
    ----------
    experiment : str
    effect : float
        The smallest effect that matters, as a part of the metric's mean.
    weeks, blocks : int or None
        What it takes; None where no plan of `LONGEST` weeks sees it.
    mean : float
        The metric's mean for each period, in its history.
    history_weeks : float
        Weeks of history that this rests on; what is beyond is extrapolated by the root of time.
    lengths : tuple of Length
        What other lengths can see.
    nearest : tuple of str
        Where it can't be seen: what could, the nearest first.
    """

    experiment: str
    effect: float
    weeks: int | None
    blocks: int | None
    mean: float
    history_weeks: float
    lengths: tuple[Length, ...]
    nearest: tuple[str, ...]


def plan_switchback(
    name: str, experiment: ExperimentDefinition, history: pa.Table, *, zone: tzinfo
) -> Plan | Unknown:
    """Plan a switchback by giving lots to a history in which nothing was changed.

    Parameters
    ----------
    name : str
    experiment : ExperimentDefinition
        Its blocks, washout, arms, smallest effect, level and power.
    history : pyarrow.Table
        As `read_switchback` takes it.
    zone : tzinfo
        The project's time zone.

    Returns
    -------
    Plan or Unknown
        Unknown with less than two weeks of history, or where its mean is 0.

    Raises
    ------
    Refused
        If it is no switchback, or periods don't fit into blocks.
    """
    turns = turns_of(name, experiment)
    found = _lengths(name, experiment, history, turns, zone)
    if isinstance(found, Unknown):
        return found
    lengths, mean, weeks_seen = found
    wanted = experiment.effect.value
    enough = next((one for one in lengths if one.detectable <= wanted), None)
    if enough is not None:
        return Plan(name, wanted, enough.weeks, enough.blocks, mean, weeks_seen, lengths, ())
    nearest = [
        f"an effect of {lengths[-1].detectable:.1%} is seen within {lengths[-1].weeks} weeks",
        *_other_blocks(name, experiment, history, turns, zone),
    ]
    return Plan(name, wanted, None, None, mean, weeks_seen, lengths, tuple(nearest))


def demand_seen(name: str, plan: Plan | Unknown) -> Plan:
    """Refuse a plan that does not see the effect, with the nearest ones that would.

    Raises
    ------
    Refused
    """
    where = f"experiment {name}"
    if isinstance(plan, Unknown):
        raise Refused(plan.reason, where, f"it takes {plan.needs}")
    if plan.weeks is None:
        what = f"an effect of {plan.effect:.2%} is not seen within {LONGEST} weeks"
        raise Refused(what, where, "; ".join(plan.nearest))
    return plan


def _lengths(
    name: str,
    experiment: ExperimentDefinition,
    history: pa.Table,
    turns: Switchback,
    zone: tzinfo,
) -> tuple[tuple[Length, ...], float, float] | Unknown:
    """Say what each number of weeks can see."""
    if history.num_rows == 0:
        return Unknown("the metric has no history", "two weeks of the metric")
    start, end = span(history)
    blocks = list(blocks_between(turns.block, start, end, zone))
    laid = pa.table(
        {
            "begins": pa.array([block.begins for block in blocks], TIME),
            "ends": pa.array([block.ends for block in blocks], TIME),
        }
    )
    series = lay_out(history, laid, turns, zone)
    seen = int(series.start[-1] - series.start[0]) / WEEK
    mean = float(series.weight @ series.value / max(series.weight.sum(), 1e-300))
    if seen < 1.9:
        return Unknown(f"{seen:.1f} weeks of history are too few", "two weeks of the metric")
    if mean == 0.0:
        return Unknown("the metric's mean is 0", "a metric of which an effect can be a part")
    shares = experiment.shares
    # The arm with the fewest blocks decides.
    least = min(list(shares)[1:], key=lambda arm: shares[arm])
    both = shares[least] + shares[experiment.control]
    rng = np.random.default_rng(0)
    found = []
    whole = math.floor(seen + 0.1)
    for weeks in range(1, LONGEST + 1):
        used = min(weeks, whole)
        smallest = detectable(
            _last(series, used),
            washout=series.washout,
            share=float(shares[least] / both),
            rng=rng,
            level=experiment.level.value,
            power=experiment.power.value,
        )
        if isinstance(smallest, Unknown):
            continue
        # Blocks of further arms are lost to this pair; weeks beyond the history are like it.
        scale = math.sqrt(used / (weeks * float(both)))
        count = round(weeks * WEEK / turns.block.microseconds)
        found.append(Length(weeks, count, smallest * scale / abs(mean)))
    if not found:
        return Unknown(f"blocks of {turns.block} are too few in {LONGEST} weeks", "shorter blocks")
    return tuple(found), mean, seen


def _last(series: Series, weeks: int) -> Periods:
    """Take the last weeks of a history, in blocks, with no arm on."""
    kept = series.start > series.start[-1] - weeks * WEEK
    return Periods(
        value=series.value[kept],
        on=np.zeros(int(kept.sum()), dtype=np.bool_),
        block=series.row[kept],
        age=series.age[kept],
        weight=series.weight[kept],
        season=series.season[kept],
    )


def _other_blocks(
    name: str,
    experiment: ExperimentDefinition,
    history: pa.Table,
    turns: Switchback,
    zone: tzinfo,
) -> list[str]:
    """Try shorter and longer blocks with the same washout, and tell those that would do."""
    told = []
    for factor in (*(1 / times for times in TIMES), *TIMES):
        length = round(turns.block.microseconds * factor)
        if length <= turns.washout.microseconds or length % 60_000_000:
            continue
        other = Switchback(Duration(_written(length)), turns.washout)
        try:
            found = _lengths(name, experiment, history, other, zone)
        except Refused:
            # The history's periods are longer than such a block.
            continue
        if isinstance(found, Unknown):
            continue
        enough = next((one for one in found[0] if one.detectable <= experiment.effect.value), None)
        if enough is not None:
            told.append((enough.weeks, f"blocks of {other.block} see it in {enough.weeks} weeks"))
    return [words for _, words in sorted(told)]


def _written(microseconds: int) -> str:
    """Write a length as a duration that reads well."""
    minutes = microseconds // 60_000_000
    for unit, size in (("d", 1440), ("h", 60)):
        if minutes % size == 0:
            return f"{minutes // size}{unit}"
    return f"{minutes}min"

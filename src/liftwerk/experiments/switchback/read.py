"""Read a switchback: what each arm added, a second opinion, and how long arms are remembered."""

from __future__ import annotations

import hashlib
from datetime import datetime, tzinfo
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

from liftwerk.experiments.definition import ExperimentDefinition, Switchback, salt_of
from liftwerk.experiments.switchback.series import Series, lay_out
from liftwerk.experiments.switchback.turns import schedule, turns_of
from liftwerk.stats.estimate import Estimate, Unknown
from liftwerk.stats.switchback import (
    CarryOver,
    Effect,
    Periods,
    carry_over,
    effect,
    second_opinion,
)


class ArmReading(Struct, frozen=True):
    """What one arm did, against control.

    Attributes
    ----------
    arm : str
    blocks, control_blocks : int
    control, treated : float or None
        The arms' means in their settled periods; None where one has none.
    effect : Effect
        What the arm adds to a settled period.
    second_opinion : Estimate or Unknown
        The same by Newey-West: shown beside it, and judged by nobody.
    carry_over : CarryOver or Unknown
        How long a block remembers the arm before it.
    warning : str or None
        Where it remembers longer than the washout.
    """

    arm: str
    blocks: int
    control_blocks: int
    control: float | None
    treated: float | None
    effect: Effect
    second_opinion: Estimate | Unknown
    carry_over: CarryOver | Unknown
    warning: str | None


class Turn(Struct, frozen=True):
    """One block of a switchback.

    Attributes
    ----------
    begins, counted, ends : datetime
        Its first part, until it is `counted`, is washout.
    arm : str or None
        None where the block is not in the experiment.
    value : float or None
        The mean of its settled periods; None where none has a value.
    """

    begins: datetime
    counted: datetime
    ends: datetime
    arm: str | None
    value: float | None


class Reading(Struct, frozen=True):
    """What a switchback showed.

    Attributes
    ----------
    experiment : str
    arms : tuple of ArmReading
        All but control, in their order.
    periods : int
        That lie in blocks of the experiment.
    washout : int
        Periods of a block that are not counted.
    turns : tuple of Turn
        Its blocks, in the order of time.
    """

    experiment: str
    arms: tuple[ArmReading, ...]
    periods: int
    washout: int
    turns: tuple[Turn, ...]


def read_switchback(
    name: str,
    experiment: ExperimentDefinition,
    table: pa.Table,
    *,
    start: datetime,
    end: datetime,
    zone: tzinfo,
    share: Fraction = Fraction(1),
) -> Reading:
    """Read a metric's periods as a switchback.

    Parameters
    ----------
    name : str
    experiment : ExperimentDefinition
    table : pyarrow.Table
        A row a period: ``start`` (timestamp), ``value``, and ``weight`` for a ratio.
    start, end : datetime
        When the experiment started, and until when it is read: only whole blocks between them.
    zone : tzinfo
        The project's time zone.
    share : fractions.Fraction
        The part of all blocks that are in the experiment.

    Returns
    -------
    Reading
        The same for the same table: the lots that it is compared with follow from the salt.

    Raises
    ------
    Refused
        If it is no switchback, there are no periods, or they don't fit into blocks.
    """
    turns = turns_of(name, experiment)
    blocks = schedule(name, experiment, start, end, zone, share)
    whole = pc.and_(
        pc.greater_equal(blocks.column("begins"), start), pc.less_equal(blocks.column("ends"), end)
    )
    blocks = blocks.filter(whole)
    series = lay_out(table, blocks, turns, zone)
    arms = np.array([arm or "" for arm in blocks.column("arm").to_pylist()])
    shares = experiment.shares
    control = experiment.control
    readings = []
    for arm in list(shares)[1:]:
        own, theirs = shares[arm], shares[control]
        periods = _periods(series, blocks, arms, arm, control)
        chance = float(own / (own + theirs))
        rng = np.random.default_rng(_seed(name, experiment, arm))
        remembered = carry_over(periods, washout=series.washout)
        readings.append(
            ArmReading(
                arm=arm,
                blocks=int(np.unique(periods.block[periods.on]).shape[0]),
                control_blocks=int(np.unique(periods.block[~periods.on]).shape[0]),
                control=_mean(periods, series.washout, on=False),
                treated=_mean(periods, series.washout, on=True),
                effect=effect(
                    periods,
                    washout=series.washout,
                    share=chance,
                    rng=rng,
                    level=experiment.level.value,
                ),
                second_opinion=second_opinion(
                    periods, washout=series.washout, level=experiment.level.value
                ),
                carry_over=remembered,
                warning=_warning(remembered, series.washout),
            )
        )
    inside = int((arms[series.row] != "").sum())
    shown = _turns(series, blocks, turns)
    return Reading(name, tuple(readings), inside, series.washout, shown)


def _periods(series: Series, blocks: pa.Table, arms: np.ndarray, arm: str, control: str) -> Periods:
    """Keep the periods of two arms."""
    given = arms[series.row]
    kept = (given == arm) | (given == control)
    numbers = blocks.column("block").to_numpy()
    return Periods(
        value=series.value[kept],
        on=given[kept] == arm,
        block=numbers[series.row][kept],
        age=series.age[kept],
        weight=series.weight[kept],
        season=series.season[kept],
    )


def _mean(periods: Periods, washout: int, on: bool) -> float | None:
    settled = periods.settled(washout)
    own = settled.on == on
    weight = settled.weight[own]
    if not weight.sum():
        return None
    return float(weight @ settled.value[own] / weight.sum())


def _turns(series: Series, blocks: pa.Table, turns: Switchback) -> tuple[Turn, ...]:
    """List the blocks with their means."""
    settled = series.age >= series.washout
    row, weight = series.row[settled], series.weight[settled]
    many = blocks.num_rows
    weights = np.bincount(row, weight, many)
    sums = np.bincount(row, weight * series.value[settled], many)
    made = []
    for block, total, weighs in zip(blocks.to_pylist(), sums, weights, strict=True):
        value = float(total / weighs) if weighs else None
        counted = block["begins"] + turns.washout.timedelta
        made.append(Turn(block["begins"], counted, block["ends"], block["arm"], value))
    return tuple(made)


def _seed(name: str, experiment: ExperimentDefinition, arm: str) -> int:
    """Make the seed of the other lots from the salt: a reading can be repeated."""
    text = f"{salt_of(name, experiment)}\0{arm}\0lots"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def _warning(found: CarryOver | Unknown, washout: int) -> str | None:
    if isinstance(found, Unknown) or not found.beyond:
        return None
    shown = f"the arm before still shows {found.length} periods into a block"
    if found.length <= washout:
        shown = f"the blocks before still add {found.left:.3g} to a period"
    return (
        f"{shown}, and only {washout} are left out: the effect is mixed with what is carried over; "
        "a longer washout, in longer blocks, would separate them"
    )

"""What turns can see, by lots that are given to a metric's history in which nothing was changed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import tzinfo
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import ndtr

from liftwerk.definitions.typed import Duration
from liftwerk.experiments.definition import Switchback
from liftwerk.experiments.switchback.blocks import blocks_between
from liftwerk.experiments.switchback.series import Series, lay_out, span
from liftwerk.experiments.switchback.turns import TIME
from liftwerk.stats.estimate import Unknown
from liftwerk.stats.interval import critical
from liftwerk.stats.switchback import Periods, p_values, spread

Bools = NDArray[np.bool_]

DAY = 86_400_000_000
WEEK = 7 * DAY
LOTS = 999
TRIED = 399
"""Lots that a simulated reading is compared with: its p-value is as exact as with more."""


@dataclass(frozen=True, eq=False)
class Turns:
    """A metric's past, laid out in the blocks of a switchback that is planned.

    Attributes
    ----------
    series : Series
    block : int
        Microseconds.
    chance : float
        With which a block goes to the treated arm, of the two that are compared.
    kept : float
        The part of all blocks that these two have; the others are lost to the comparison.
    level, wanted : float
        Of the interval; the power.
    """

    series: Series
    block: int
    chance: float
    kept: float
    level: float
    wanted: float

    @property
    def days(self) -> float:
        """Days from the first period to the last."""
        return int(self.series.start[-1] - self.series.start[0]) / DAY

    @cached_property
    def mean(self) -> float:
        """A period's mean, of what the weights count."""
        total = max(float(self.series.weight.sum()), 1e-300)
        return float(self.series.weight @ self.series.value / total)

    @cached_property
    def variance(self) -> tuple[float, float]:
        """A period's variance, and the part of it that the hour and the day of the week explain."""
        root = np.sqrt(self.series.weight)
        off = (self.series.value - self.mean) * root
        seasons = self.series.season * root[:, None]
        fitted = seasons @ np.linalg.lstsq(seasons, off, rcond=None)[0]
        total = float(off @ off)
        if total <= 0.0:
            return 0.0, 0.0
        left = off - fitted
        return total / float(self.series.weight.sum()), max(1.0 - float(left @ left) / total, 0.0)

    @cached_property
    def _spreads(self) -> dict[int, float]:
        return {}

    def blocks(self, days: int) -> float:
        """Say how many blocks the two arms have in some days."""
        return self.kept * days * DAY / self.block

    def error(self, days: int) -> float:
        """Say how sure a reading of some days is: its standard error, as a part of the mean.

        Parameters
        ----------
        days : int
            Beyond the history they are taken to be like it.

        Returns
        -------
        float
            Infinite where there are too few blocks.
        """
        used = min(days, max(round(self.days), 1))
        if used not in self._spreads:
            self._spreads[used] = self._spread(used)
        found = self._spreads[used] / abs(self.mean)
        return found * math.sqrt(used / (days * self.kept))

    def power(self, days: int, effect: float) -> float:
        """Say how likely an effect, as a part of the mean, is seen after some days."""
        error = self.error(days)
        if error == 0.0 or not math.isfinite(error):
            return float(error == 0.0)
        far, edge = abs(effect) / error, critical(self.level)
        return float(ndtr(far - edge) + ndtr(-far - edge))

    def detectable(self, days: int) -> float:
        """Say which effect, as a part of the mean, is seen with the wanted power."""
        factor = critical(self.level) + critical(2.0 * self.wanted - 1.0)
        return factor * self.error(days)

    def simulate(
        self, days: int, effects: list[float], runs: int, rng: np.random.Generator
    ) -> list[float]:
        """Give turns to weeks of the history, and count how often the reading sees an effect.

        Weeks are drawn anew each time, and each block's arm by lot; an effect is multiplied on
        where the treated arm is on, and the reading's own method (`stats.switchback`) judges.

        Parameters
        ----------
        days : int
        effects : list of float
            As parts of the mean.
        runs : int
        rng : numpy.random.Generator

        Returns
        -------
        list of float
            For each effect, the part of the runs that saw it.
        """
        seen = np.zeros(len(effects))
        for _ in range(runs):
            periods = self._drawn(days, rng)
            found = p_values(
                periods,
                np.where(periods.on, periods.value, 0.0),
                effects,
                washout=self.series.washout,
                share=self.chance,
                rng=rng,
                lots=TRIED,
            )
            if found is not None:
                seen += found <= 1.0 - self.level
        return [float(count / runs) for count in seen]

    def _spread(self, used: int) -> float:
        """Take the root mean square over all stretches of so many days."""
        found = []
        for kept in self._stretches(used):
            one = spread(
                self._periods(kept),
                washout=self.series.washout,
                share=self.chance,
                rng=np.random.default_rng(0),
                lots=LOTS,
            )
            if isinstance(one, Unknown):
                return math.inf
            found.append(one)
        return float(np.sqrt(np.mean(np.square(found))))

    def _stretches(self, used: int) -> Iterator[Bools]:
        """Choose stretches of the history, the last one first, each a week before the one after."""
        end = int(self.series.start[-1])
        first = int(self.series.start[0])
        while True:
            yield (self.series.start > end - used * DAY) & (self.series.start <= end)
            end -= WEEK
            if end - used * DAY < first - DAY // 2:
                return

    def _periods(self, kept: Bools) -> Periods:
        """Take periods of the history, in blocks, with no arm on."""
        series = self.series
        return Periods(
            value=series.value[kept],
            on=np.zeros(int(kept.sum()), dtype=np.bool_),
            block=series.row[kept],
            age=series.age[kept],
            weight=series.weight[kept],
            season=series.season[kept],
        )

    def _drawn(self, days: int, rng: np.random.Generator) -> Periods:
        """Draw blocks, weeks of neighbours at a time, and give each its arm.

        The history is taken for a circle, so that all of its blocks are drawn equally often.
        """
        series = self.series
        _, first, size = np.unique(series.row, return_index=True, return_counts=True)
        many, together = round(days * DAY / self.block), max(WEEK // self.block, 1)
        starts = rng.integers(first.shape[0], size=-(-many // together))
        blocks = (starts[:, None] + np.arange(together)).ravel()[:many] % first.shape[0]
        ends = size[blocks].cumsum()
        number = np.repeat(np.arange(blocks.shape[0]), size[blocks])
        place = np.arange(ends[-1]) - (ends - size[blocks])[number] + first[blocks][number]
        lot = rng.random(blocks.shape[0])
        taken = (lot < self.kept)[number]
        on = (lot < self.kept * self.chance)[number]
        return Periods(
            value=series.value[place][taken],
            on=on[taken],
            block=number[taken],
            age=series.age[place][taken],
            weight=series.weight[place][taken],
            season=series.season[place][taken],
        )


def laid_out(
    history: pa.Table, turns: Switchback, zone: tzinfo, shares: tuple[float, float], **asked: float
) -> Turns:
    """Lay a history out in blocks.

    Parameters
    ----------
    history : pyarrow.Table
        As `read_switchback` takes it.
    turns : Switchback
    zone : tzinfo
        The project's time zone.
    shares : (float, float)
        The parts of all blocks that control and the treated arm have.
    asked : float
        ``level`` and ``wanted``, as of `Turns`.

    Returns
    -------
    Turns

    Raises
    ------
    Refused
        If there are no periods, or they don't fit into blocks.
    """
    start, end = span(history)
    blocks = list(blocks_between(turns.block, start, end, zone))
    laid = pa.table(
        {
            "begins": pa.array([block.begins for block in blocks], TIME),
            "ends": pa.array([block.ends for block in blocks], TIME),
        }
    )
    series = _from_a_whole_block(lay_out(history, laid, turns, zone))
    control, treated = shares
    both = control + treated
    return Turns(series, turns.block.microseconds, treated / both, both, **asked)


def other_lengths(turns: Switchback) -> Iterator[Switchback]:
    """List blocks of a half and a quarter, twice and four times the length, with the same washout.

    Examples
    --------
    >>> turns = Switchback(Duration("6h"), Duration("2h"))
    >>> [str(one.block) for one in other_lengths(turns)]
    ['3h', '12h', '1d']
    """
    for factor in (0.5, 0.25, 2.0, 4.0):
        length = round(turns.block.microseconds * factor)
        if length > turns.washout.microseconds and length % 60_000_000 == 0:
            yield Switchback(Duration(_written(length)), turns.washout)


def _from_a_whole_block(series: Series) -> Series:
    """Leave a first block out whose beginning is not there."""
    if series.age[0] == 0 or (series.row == series.row[0]).all():
        return series
    kept = series.row > series.row[0]
    return Series(
        series.start[kept],
        series.value[kept],
        series.weight[kept],
        series.row[kept],
        series.age[kept],
        series.season[kept],
        series.washout,
    )


def _written(microseconds: int) -> str:
    """Write a length as a duration that reads well."""
    minutes = microseconds // 60_000_000
    for unit, size in (("d", 1440), ("h", 60)):
        if minutes % size == 0:
            return f"{minutes // size}{unit}"
    return f"{minutes}min"

"""Cells of the coverage map for switchbacks: what each method says of simulated weeks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from liftwerk.simulation import switching_shop
from liftwerk.simulation.switching_unseen import HOURS, TAKEN_BACK_HOURS
from liftwerk.stats.estimate import Estimate, Unknown
from liftwerk.stats.switchback import Periods, carry_over, effect, second_opinion
from liftwerk.stats.switchback.periods import hourly_season
from tests.stats.coverage import Draw, Played, World

LOTS = 999
Z = 1.959964


@dataclass(frozen=True)
class Cell:
    effect: str
    weeks: int = 4
    block: int = 4
    carry_over: int = 0
    washout: int = 0
    memory: float = 0.0
    tail: str = "normal"
    share: float = 0.5

    @property
    def name(self) -> str:
        words = [self.effect, f"{self.weeks} weeks of {self.block} h"]
        words.append(f"carry-over {self.carry_over} h, washout {self.washout} h")
        words.append(f"memory {self.memory:g}, {self.tail}")
        if self.share != 0.5:
            words.append(f"share {self.share:g}")
        return ", ".join(words)

    def draw(self, rng: np.random.Generator) -> Periods:
        hours = self.weeks * switching_shop.WEEK
        time = np.arange(hours)
        block = time // self.block
        on = (rng.random(block[-1] + 1) < self.share)[block]
        outcome = switching_shop.undisturbed(rng, hours, memory=self.memory, tail=self.tail)
        value = switching_shop.switched(outcome, on, self.effect, self.carry_over)
        season = hourly_season(time % 24, time // 24 % 7)
        return Periods(value, on, block, time % self.block, np.ones(hours), season)

    @property
    def truth(self) -> float:
        """The arm always on over never on, over the periods that are counted."""
        hours = self.weeks * switching_shop.WEEK
        counted = np.arange(hours) % self.block >= self.washout
        return float(switching_shop.effect_by_hour(self.effect, hours)[counted].mean())


def read(cell: Cell, seed: int, count: int) -> dict[str, float]:
    """Read `count` simulated experiments with each method."""
    rng = np.random.default_rng([seed, 81])
    held: dict[str, list[bool]] = {"lot": [], "newey_west": [], "naive": []}
    widths: dict[str, list[float]] = {"lot": [], "newey_west": [], "naive": []}
    unknown, lengths, warned = 0, [], []
    for _ in range(count):
        periods = cell.draw(rng)
        found = effect(periods, washout=cell.washout, share=cell.share, rng=rng, lots=LOTS)
        answers = {
            "lot": found.estimate,
            "newey_west": second_opinion(periods, washout=cell.washout),
        }
        for name, answer in answers.items():
            if isinstance(answer, Unknown):
                unknown += name == "lot"
                continue
            held[name].append(answer.low <= cell.truth <= answer.high)
            widths[name].append(answer.high - answer.low)
        apart, half = naive(periods)
        held["naive"].append(abs(apart - cell.truth) <= half)
        widths["naive"].append(2.0 * half)
        remembered = carry_over(periods, washout=cell.washout)
        if not isinstance(remembered, Unknown):
            lengths.append(remembered.length)
            warned.append(remembered.beyond)
    summary = {f"{name}_covered": round(float(np.mean(one)), 4) for name, one in held.items()}
    summary |= {f"{name}_width": round(float(np.median(one)), 3) for name, one in widths.items()}
    summary["unknown"] = round(unknown / count, 4)
    if lengths:
        summary["carry_over_median"] = float(np.median(lengths))
        summary["carry_over_found"] = round(float(np.mean(np.array(lengths) > 0)), 4)
        summary["warned"] = round(float(np.mean(warned)), 4)
    return summary


def naive(periods: Periods) -> tuple[float, float]:
    """Compare all hours as if they were independent: the difference, and half its interval."""
    treated, control = periods.value[periods.on], periods.value[~periods.on]
    half = Z * np.sqrt(treated.var() / treated.size + control.var() / control.size)
    return float(treated.mean() - control.mean()), float(half)


def play(cell: Cell, rng: np.random.Generator) -> Draw:
    """Read one experiment by its lot, and naively."""
    periods = cell.draw(rng)
    found = effect(periods, washout=cell.washout, share=cell.share, rng=rng, lots=LOTS).estimate
    apart, half = naive(periods)
    by_lot = Played(False, True, float("nan"))
    if isinstance(found, Estimate):
        held = found.low <= cell.truth <= found.high
        by_lot = Played(True, held, found.high - found.low)
    return {"lot": by_lot, "naive means": Played(True, abs(apart - cell.truth) <= half, 2.0 * half)}


def _worlds() -> Iterator[World]:
    for cell in (
        Cell("", weeks=2, block=4, memory=0.6),
        Cell("", weeks=4, block=4, memory=0.9, tail="heavy"),
        Cell("", weeks=8, block=24, memory=0.6),
        Cell("", weeks=4, block=4, carry_over=2, washout=2, memory=0.6),
        Cell("", weeks=4, block=6, carry_over=4, washout=4, memory=0.6),
        Cell("", weeks=4, block=6, memory=0.6, share=0.25),
    ):
        for kind in ("nothing", "better"):
            here = replace(cell, effect=kind)
            relative = here.truth / switching_shop.LEVEL
            name = cell.name.removeprefix(", ")
            yield World("switchback", name, relative, True, partial(play, here), draws=400)


@dataclass(frozen=True)
class Unseen:
    """A world and a design that were written down before their first result."""

    hours: str
    weeks: int
    block: int
    washout: int

    @property
    def words(self) -> str:
        return f"{self.hours}, {self.weeks} weeks of {self.block} h, washout {self.washout} h"

    @property
    def design(self) -> str:
        """Say whether the washout is long enough for an interval to promise anything."""
        hours = HOURS[self.hours]
        short = hours.taken_back > 0.0 and self.washout < TAKEN_BACK_HOURS
        if hours.half_life:
            short = 0.5 ** (self.washout / hours.half_life) > 0.05
        if short:
            return "washout too short, unless flagged"
        return "lot, unless flagged"


UNSEEN_CELLS = (
    *(Unseen(hours, 3, 4, 0) for hours in ("calm", "sticky", "wandering")),
    *(Unseen(hours, 6, 12, 2) for hours in ("calm", "sticky", "wandering")),
    Unseen("half gone in 40 minutes", 4, 6, 4),
    Unseen("half gone in 40 minutes", 4, 4, 0),
    Unseen("half gone in 2 hours", 4, 4, 0),
    Unseen("half gone in 2 hours", 4, 6, 2),
    Unseen("half gone in 2 hours", 8, 12, 2),
    Unseen("half gone in 6 hours", 4, 6, 2),
    Unseen("half gone in 6 hours", 8, 12, 4),
    Unseen("taken back", 4, 4, 0),
    Unseen("taken back", 4, 6, 3),
    Unseen("taken back", 8, 12, 1),
)
LIFTS = (0.0, 0.04, 0.15)


def play_unseen(cell: Unseen, lift: float, rng: np.random.Generator) -> Draw:
    """Read one experiment by its lot: whatever is carried over, and where none is found.

    What is not answered by the second is flagged, or `Unknown`. The first is there to be seen to
    fail where something is carried over.
    """
    time = np.arange(cell.weeks * switching_shop.WEEK)
    block = time // cell.block
    on = (rng.random(block[-1] + 1) < 0.5)[block]
    value = HOURS[cell.hours].draw(rng, on, lift)
    season = hourly_season(time % 24, time // 24 % 7)
    periods = Periods(value, on, block, time % cell.block, np.ones(time.size), season)
    found = effect(periods, washout=cell.washout, share=0.5, rng=rng, lots=LOTS).estimate
    if isinstance(found, Unknown):
        nothing = Played(False, True, float("nan"))
        return {"naive, flagged ones too": nothing, cell.design: nothing}
    held = found.low <= 100.0 * lift <= found.high
    every = Played(True, held, found.high - found.low)
    remembered = carry_over(periods, washout=cell.washout)
    flagged = not isinstance(remembered, Unknown) and remembered.beyond
    kept = every
    if flagged:
        kept = Played(False, True, float("nan"))
    return {"naive, flagged ones too": every, cell.design: kept}


def _unseen() -> Iterator[World]:
    for cell in UNSEEN_CELLS:
        for lift in LIFTS:
            playing = partial(play_unseen, cell, lift)
            name = f"{cell.words}, effect {lift:.0%}"
            yield World("switchback unseen", name, lift, False, playing, draws=400)


UNSEEN = tuple(_unseen())
WORLDS = tuple(_worlds())

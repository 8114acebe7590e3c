"""Cells of the coverage map for switchbacks: what each method says of simulated weeks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from liftwerk.simulation import switching_shop
from liftwerk.stats.estimate import Unknown
from liftwerk.stats.switchback import Periods, carry_over, effect, second_opinion
from liftwerk.stats.switchback.periods import hourly_season

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
    unknown, lengths = 0, []
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
        treated, control = periods.value[periods.on], periods.value[~periods.on]
        if min(treated.size, control.size) > 1:
            half = Z * np.sqrt(treated.var() / treated.size + control.var() / control.size)
            held["naive"].append(abs(treated.mean() - control.mean() - cell.truth) <= half)
            widths["naive"].append(2.0 * half)
        remembered = carry_over(periods)
        if not isinstance(remembered, Unknown):
            lengths.append(remembered.length)
    summary = {f"{name}_covered": round(float(np.mean(one)), 4) for name, one in held.items()}
    summary |= {f"{name}_width": round(float(np.median(one)), 3) for name, one in widths.items()}
    summary["unknown"] = round(unknown / count, 4)
    if lengths:
        summary["carry_over_median"] = float(np.median(lengths))
        summary["carry_over_found"] = round(float(np.mean(np.array(lengths) > 0)), 4)
    return summary

"""What an arm changes when arms take turns in time, in blocks drawn by lot.

`effect` is the reading: a regression whose interval and p-value come from the lot itself, by test
inversion. `second_opinion` reads the same regression with errors that allow for memory, and
`carry_over` says how long an arm still works after it was taken away. `design` and
`horvitz_thompson` are the minimax design of Bojinov, Simchi-Levi and Zhao with its estimator.
"""

from __future__ import annotations

from liftwerk.stats.switchback.carry_over import CarryOver, carry_over
from liftwerk.stats.switchback.newey_west import second_opinion
from liftwerk.stats.switchback.periods import Periods
from liftwerk.stats.switchback.randomisation import Effect, detectable, effect, p_values, spread

__all__ = [
    "CarryOver",
    "Effect",
    "Periods",
    "carry_over",
    "detectable",
    "effect",
    "p_values",
    "second_opinion",
    "spread",
]

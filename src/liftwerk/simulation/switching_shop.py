"""A shop's outcome hour by hour, with known truth, under arms that take turns.

An hour's outcome is a level with a daily and a weekly season, plus noise that remembers the hours
before, plus the arm's effect. With a *carry-over* of m hours an effect does not come at once: it
moves in equal steps over the hours t, t - 1, ..., t - m, so that m hours after a switch the hour is
as if the arm had always been on. The true effect is that of the arm always on over never on.

Effects: ``nothing``, ``better`` (+5% of the level), ``harm`` (-5%), ``varying`` (+5% on average, by
day twice as much and by night none). Tails: ``normal`` or ``heavy`` (t with 3 degrees of freedom).

This file is frozen: methods are judged in these worlds, so it was committed, with its hash in a
test, before any of them was tuned.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

LEVEL = 100.0
DAILY, WEEKLY = 30.0, 10.0
NOISE = 10.0
EFFECTS = {"nothing": 0.0, "better": 5.0, "harm": -5.0, "varying": 5.0}
TAILS = ("normal", "heavy")
DAY, WEEK = 24, 168
_FREEDOM = 3.0


def effect_by_hour(effect: str, hours: int) -> Floats:
    """Give the effect of each hour with the arm always on, (hours,).

    Examples
    --------
    >>> float(effect_by_hour("varying", 24).mean())
    5.0
    """
    size = np.full(hours, EFFECTS[effect])
    if effect == "varying":
        by_day = (np.arange(hours) % DAY >= 8) & (np.arange(hours) % DAY < 20)
        size = np.where(by_day, 2.0 * size, 0.0)
    return size


def undisturbed(
    rng: np.random.Generator, hours: int, *, memory: float = 0.0, tail: str = "normal"
) -> Floats:
    """Draw outcomes with the arm never on.

    Parameters
    ----------
    rng : numpy.random.Generator
    hours : int
    memory : float
        Correlation of the noise of neighbouring hours, from 0 to below 1.
    tail : str
        One of `TAILS`.

    Returns
    -------
    (hours,) float array
    """
    if tail == "heavy":
        shocks = rng.standard_t(_FREEDOM, size=hours) / np.sqrt(_FREEDOM / (_FREEDOM - 2.0))
    else:
        shocks = rng.normal(size=hours)
    noise = np.empty(hours)
    last = rng.normal()
    for hour in range(hours):
        last = memory * last + np.sqrt(1.0 - memory**2) * shocks[hour]
        noise[hour] = last
    time = np.arange(hours)
    day = DAILY * np.sin(2.0 * np.pi * (time % DAY - 9) / DAY)
    week = WEEKLY * np.sin(2.0 * np.pi * time / WEEK)
    return np.asarray(LEVEL + day + week + NOISE * noise, dtype=np.float64)


def switched(outcome: Floats, on: NDArray[np.bool_], effect: str, carry_over: int) -> Floats:
    """Add an arm's effect to undisturbed outcomes.

    Parameters
    ----------
    outcome : (hours,) float array
        From `undisturbed`.
    on : (hours,) bool array
        In which hours the arm is on.
    effect : str
        One of `EFFECTS`.
    carry_over : int
        Hours until a switch has taken full effect.

    Returns
    -------
    (hours,) float array

    Examples
    --------
    >>> on = np.array([False, True, True, True])
    >>> switched(np.zeros(4), on, "better", 1).tolist()
    [0.0, 2.5, 5.0, 5.0]
    """
    # Before the first hour the arm was off.
    padded = np.concatenate([np.zeros(carry_over), on.astype(np.float64)])
    kernel = np.full(carry_over + 1, 1.0 / (carry_over + 1))
    strength = np.convolve(padded, kernel, mode="valid")
    return np.asarray(outcome + strength * effect_by_hour(effect, outcome.shape[0]))

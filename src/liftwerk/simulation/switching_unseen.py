"""Arms that take turns, and units that come day after day, in worlds no method was tuned in.

Written down, with a hash in a test, before any of their results. An *hour* of a shop has a level
with two peaks a day and a weekly season, noise that remembers and grows with the level, and, in
some worlds, a level that wanders. What an arm adds comes and goes by halves (`half_life`), or is
followed by hours in which a part of it is taken back (`taken_back`): the true effect is that of the
arm always on over never on.

*Days* differ in how many units come and in how often these buy, by the day of the week; what the
arm adds may wear off day by day (novelty). The truth at a look is what the arm added, on average,
to the units that have come so far.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

Floats: TypeAlias = NDArray[np.float64]

LEVEL = 100.0
TAKEN_BACK_HOURS = 3


@dataclass(frozen=True)
class Hours:
    """What hours are like.

    Parameters
    ----------
    memory : float
        Correlation of the noise of neighbouring hours.
    noise : float
        Its standard deviation, as a part of the level.
    freedom : float
        Degrees of freedom of its Student's t; 0 for normal noise.
    wander : float
        Step an hour of the level's random walk, as a part of it.
    half_life : float
        Hours in which half of a switch takes effect; 0 for at once.
    taken_back : float
        Part of the effect that the three hours after the arm was taken away lose.
    """

    memory: float = 0.5
    noise: float = 0.08
    freedom: float = 0.0
    wander: float = 0.0
    half_life: float = 0.0
    taken_back: float = 0.0

    def draw(self, rng: np.random.Generator, on: NDArray[np.bool_], lift: float) -> Floats:
        """Draw outcomes.

        Parameters
        ----------
        rng : numpy.random.Generator
        on : (hours,) bool array
        lift : float
            Effect of the arm always on, as a part of `LEVEL`.

        Returns
        -------
        (hours,) float array

        Examples
        --------
        >>> on = np.array([False, True, True, False, False])
        >>> quiet = Hours(noise=0.0, half_life=1.0)
        >>> first, second = (quiet.draw(np.random.default_rng(0), on, e) for e in (0.0, 0.1))
        >>> (second - first).round(6).tolist()
        [0.0, 5.0, 7.5, 3.75, 1.875]
        """
        hours = on.shape[0]
        time = np.arange(hours)
        day = np.sin(2.0 * np.pi * (time - 7) / 24) + 0.6 * np.sin(4.0 * np.pi * (time - 3) / 24)
        usual = 1.0 + 0.25 * day + 0.15 * np.sin(2.0 * np.pi * time / 168)
        shocks = rng.normal(size=hours + 100)
        if self.freedom:
            shocks = rng.standard_t(self.freedom, hours + 100)
            shocks /= np.sqrt(self.freedom / (self.freedom - 2.0))
        scale = np.sqrt(1.0 - self.memory**2)
        noise = lfilter([scale], [1.0, -self.memory], shocks)[100:]
        level = usual + self.wander * np.cumsum(rng.normal(size=hours))
        return np.asarray(LEVEL * (level + self.noise * usual * noise + lift * self._strength(on)))

    def _strength(self, on: NDArray[np.bool_]) -> Floats:
        given = on.astype(np.float64)
        if self.half_life:
            left = 0.5 ** (1.0 / self.half_life)
            given = lfilter([1.0 - left], [1.0, -left], given)
        if self.taken_back:
            before = lfilter(np.ones(TAKEN_BACK_HOURS), [1.0], np.append(0.0, on[:-1]))
            given = given - self.taken_back * (~on & (before > 0.0))
        return np.asarray(given, dtype=np.float64)


HOURS = {
    "calm": Hours(),
    "sticky": Hours(memory=0.9, freedom=4.0),
    "wandering": Hours(wander=0.01),
    "half gone in 40 minutes": Hours(half_life=0.66),
    "half gone in 2 hours": Hours(half_life=2.0),
    "half gone in 6 hours": Hours(half_life=6.0),
    "taken back": Hours(taken_back=0.6),
}
"""Hours by name, as written before any result."""


@dataclass(frozen=True)
class Days:
    """What days are like.

    Parameters
    ----------
    kind : str
        ``conversion`` (a rate of 4%) or ``spend`` (5% buy, for lognormal amounts around 60).
    units : int
        That come on a usual day.
    weekly : float
        How much the days of a week differ, in number and in how often units buy.
    lasting, novelty : float
        What the arm adds for good, and on the first day beyond that, as parts of control's rate.
    fades : float
        Days in which the novelty falls to a third.
    """

    kind: str
    units: int
    weekly: float = 0.5
    lasting: float = 0.0
    novelty: float = 0.0
    fades: float = 5.0

    def draw(
        self, rng: np.random.Generator, days: int
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_], Floats, Floats]:
        """Draw units in the order of their days.

        Parameters
        ----------
        rng : numpy.random.Generator
        days : int

        Returns
        -------
        day : (n,) int array
        treated : (n,) bool array
        outcome : (n,) float array
        truth : (2, days) float array
            Control's mean over the units that came up to each day, and what the arm added to it.

        Examples
        --------
        >>> day, treated, outcome, truth = DAYS["novelty"].draw(np.random.default_rng(0), 28)
        >>> added = truth[1] / truth[0]
        >>> added[[0, 27]].round(2).tolist()
        [0.6, 0.13]
        """
        week = 1.0 + self.weekly * np.sin(2.0 * np.pi * np.arange(7) / 7.0)
        usual = week[np.arange(days) % 7]
        number = rng.poisson(self.units * usual)
        day = np.repeat(np.arange(days), number)
        treated = rng.random(day.shape[0]) < 0.5
        lift = self.lasting + self.novelty * np.exp(-np.arange(days) / self.fades)
        rate = 0.04 * usual
        worth = np.ones(day.shape[0])
        mean = 1.0
        if self.kind == "spend":
            rate = 0.05 * usual
            mean = 60.0
            worth = rng.lognormal(np.log(mean) - 0.5 * 0.8**2, 0.8, day.shape[0])
        bought = rng.random(day.shape[0]) < rate[day] * (1.0 + lift[day] * treated)
        each = mean * rate * np.stack([np.ones(days), lift])
        truth = (each * number).cumsum(axis=1) / number.cumsum()
        return day, treated, bought * worth, np.asarray(truth, dtype=np.float64)


DAYS = {
    "weekdays": Days("conversion", 600),
    "weekdays, spend": Days("spend", 900),
    "lasting": Days("conversion", 600, lasting=0.15),
    "novelty": Days("conversion", 600, novelty=0.60),
    "novelty, spend": Days("spend", 900, novelty=0.60),
    "novelty, then harm": Days("conversion", 600, lasting=-0.15, novelty=0.60),
    "strong weeks": Days("conversion", 400, weekly=0.8, lasting=0.10, novelty=0.30),
}
"""Days by name, as written before any result."""

"""Experiments with known truth: of units, of clusters, and of the same customers for weeks.

**Units** come from four strata with different levels; within a stratum half of them are three
times as active as the others, before the experiment and in it. The treatment multiplies the outcome
by `1 + effect * response`, with another response in each stratum: an effect of 0 is a world where
nothing works, a negative one harms.

=================== ===============================================================================
`conversion RATE`   0 or 1, of this rate in all
`light`             positive, with a skewness of about 3
`orders`            0 for all but 0.9%, the others spend as the customers of a published trial did
`lognormal SIGMA`   everybody spends, with a lognormal factor of this sigma
`per order`         a ratio: what is spent over the number of orders
=================== ===============================================================================

**Clusters** (shops, teams) have levels of their own, sizes of their own, and units that come in day
after day. **Holdouts** see the same customers every week: who buys much goes on doing so, some
leave, some join later. In the kind `once` everybody buys one time only, so that weeks are
negatively correlated.

This file is frozen: methods are judged in these worlds, so it was committed, with its hash in a
test, before any of them was tuned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]

SHARES = np.array([0.4, 0.3, 0.2, 0.1])
LEVELS = np.array([0.5, 0.8, 1.4, 2.8])
RESPONSES = np.array([1.5, 1.0, 1.0, 0.5])
ACTIVE = np.array([0.5, 1.5])
WORTH = np.array([1.0, 1.2, 0.9, 1.1])
BUYERS = 0.009
ORDERS = 2.0
BEFORE = 8.0
METRICS = (
    "conversion 0.005",
    "conversion 0.02",
    "conversion 0.2",
    "light",
    "orders",
    "lognormal 1",
    "lognormal 1.6",
    "per order",
)


@dataclass(frozen=True)
class Units:
    """One experiment on units, in the order in which they came.

    Parameters
    ----------
    treated : (n,) bool array
    stratum : (n,) int array
    outcome : (k, n) float array
        One row, or numerator and denominator.
    before : (n,) float array
        A feature of the time before.
    """

    treated: NDArray[np.bool_]
    stratum: Integers
    outcome: Floats
    before: Floats


def kind(metric: str) -> str:
    """Give a metric's kind.

    Examples
    --------
    >>> [kind(name) for name in ("conversion 0.02", "light", "per order")]
    ['proportion', 'mean', 'ratio']
    """
    if metric.startswith("conversion"):
        return "proportion"
    return "ratio" if metric == "per order" else "mean"


def truth(metric: str, effect: float, orders: Floats) -> tuple[float, float]:
    """Give the expected value of either arm.

    Parameters
    ----------
    metric : str
    effect : float
    orders : (m,) float array
        What an order of the published trial was worth.

    Returns
    -------
    (float, float)
        Control, treated.

    Examples
    --------
    >>> control, treated = truth("conversion 0.02", 0.1, np.ones(1))
    >>> round(control, 6), round(treated, 6)
    (0.02, 0.02192)
    """
    name, _, parameter = metric.partition(" ")
    weights = SHARES * LEVELS
    lifted = weights * (1.0 + effect * RESPONSES)
    if metric == "per order":
        return 10.0 * float(weights @ WORTH), 10.0 * float(lifted @ WORTH)
    each = 1.0
    if name == "conversion":
        each = float(parameter)
    elif name == "orders":
        each = BUYERS * float(orders.mean())
    return each * float(weights.sum()), each * float(lifted.sum())


def draw_units(
    metric: str,
    n: int,
    rng: np.random.Generator,
    *,
    effect: float,
    orders: Floats,
    share: float = 0.5,
) -> Units:
    """Draw one experiment on units.

    Parameters
    ----------
    metric : str
        One of `METRICS`.
    n : int
        Units of both arms together.
    rng : numpy.random.Generator
    effect : float
    orders : (m,) float array
    share : float
        Of the treated arm.

    Returns
    -------
    Units

    Examples
    --------
    >>> drawn = draw_units("light", 5, np.random.default_rng(0), effect=0.0, orders=np.ones(1))
    >>> drawn.outcome.shape
    (1, 5)
    """
    treated = rng.random(n) < share
    stratum = np.searchsorted(SHARES.cumsum()[:-1], rng.random(n), side="right")
    level = LEVELS[stratum] * ACTIVE[rng.integers(0, 2, n)]
    factor = 1.0 + effect * RESPONSES[stratum] * treated
    name, _, parameter = metric.partition(" ")
    if metric == "per order":
        # Whoever is treated also orders more often.
        count = rng.poisson(ORDERS * level * (1.0 + 0.5 * effect * treated))
        spend = _spend(count, 10.0 * factor * WORTH[stratum], rng)
        return Units(treated, stratum, np.stack([spend, count]), rng.poisson(ORDERS * level) * 1.0)
    if name == "conversion":
        happened = rng.random(n) < float(parameter) * level * factor
        before = rng.poisson(BEFORE * float(parameter) * level)
        return Units(treated, stratum, happened[None].astype(np.float64), before * 1.0)
    if name == "orders":
        outcome = np.zeros(n)
        buyers = np.flatnonzero(rng.random(n) < BUYERS * level * factor)
        outcome[buyers] = rng.choice(orders, len(buyers))
        before = rng.poisson(BEFORE * BUYERS * level) * float(orders.mean())
        return Units(treated, stratum, outcome[None], before)
    if name == "light":
        noise, earlier = rng.gamma(4.0, 0.25, n), rng.gamma(4.0, 0.25, n)
    else:
        sigma = float(parameter)
        noise, earlier = (rng.lognormal(-0.5 * sigma**2, sigma, n) for _ in range(2))
    return Units(treated, stratum, (level * factor * noise)[None], level * earlier)


def _spend(count: Integers, worth: Floats | float, rng: np.random.Generator) -> Floats:
    """Draw what so many orders are worth together."""
    spend = np.zeros(len(count))
    some = count > 0
    spend[some] = rng.gamma(3.0 * count[some], 1.0 / 3.0)
    return spend * worth


@dataclass(frozen=True)
class Clusters:
    """One arm's clusters, day by day.

    Parameters
    ----------
    totals, sizes : (clusters, days) float array
        Up to each day: the sum of the outcome over the cluster's units, and their number.
    """

    totals: Floats
    sizes: Floats


def draw_clusters(
    metric: Literal["conversion", "light"],
    clusters: int,
    days: int,
    rng: np.random.Generator,
    *,
    effect: float,
    uneven: float = 0.5,
    apart: float = 0.3,
) -> tuple[Clusters, Clusters]:
    """Draw an experiment on clusters; control has a mean of 0.1 (`conversion`) or 1 (`light`).

    Parameters
    ----------
    metric : {"conversion", "light"}
    clusters : int
        In each arm.
    days : int
    rng : numpy.random.Generator
    effect : float
        Multiplies the level of every treated cluster by 1 + effect.
    uneven : float
        Coefficient of variation of the clusters' sizes, whose mean is 10 units a day.
    apart : float
        Coefficient of variation of the clusters' levels.

    Returns
    -------
    (Clusters, Clusters)
        Control, treated.
    """
    arms = []
    for factor in (1.0, 1.0 + effect):
        rate = rng.gamma(1.0 / uneven**2, 10.0 * uneven**2, clusters)
        sizes = rng.poisson(np.repeat(rate[:, None], days, axis=1)) + 1
        level = factor * rng.gamma(1.0 / apart**2, apart**2, clusters)[:, None]
        if metric == "conversion":
            totals = rng.binomial(sizes, np.minimum(0.1 * level, 1.0)) * 1.0
        else:
            totals = level * rng.gamma(0.5 * sizes, 2.0)
        arms.append(Clusters(totals.cumsum(axis=1), sizes.cumsum(axis=1) * 1.0))
    return arms[0], arms[1]


@dataclass(frozen=True)
class Holdout:
    """The same customers, week after week.

    Parameters
    ----------
    treated : (n,) bool array
        Control are those held out.
    joined : (n,) int array
        The week in which a customer came.
    spend : (n, weeks) float array
        0 before.
    """

    treated: NDArray[np.bool_]
    joined: Integers
    spend: Floats


def draw_holdout(
    customers: int,
    weeks: int,
    rng: np.random.Generator,
    *,
    effect: float,
    share: float = 0.9,
    pattern: Literal["persistent", "once"] = "persistent",
    joiners: float = 0.0,
) -> Holdout:
    """Draw a holdout; in control each spends an expected 0.5 a week while active.

    Parameters
    ----------
    customers, weeks : int
    rng : numpy.random.Generator
    effect : float
        Multiplies what the treated spend by 1 + effect.
    share : float
        Of the treated.
    pattern : {"persistent", "once"}
    joiners : float
        Share of customers who join at a later week.

    Returns
    -------
    Holdout
    """
    treated = rng.random(customers) < share
    later = rng.random(customers) < joiners
    joined = np.where(later, rng.integers(1, weeks, customers), 0)
    week = np.arange(weeks)
    present = week >= joined[:, None]
    factor = (1.0 + effect * treated)[:, None]
    if pattern == "once":
        when = rng.integers(0, weeks, customers)[:, None]
        worth = rng.gamma(3.0, 0.5 * weeks / 3.0, customers)[:, None]
        return Holdout(treated, joined, (week == when) * worth * factor * present)
    taste = rng.gamma(1.0, 1.0, customers)
    gone = rng.geometric(0.02, customers)[:, None]
    active = (week - joined[:, None] < gone) & present
    count = rng.poisson(0.05 * np.repeat(taste[:, None], weeks, axis=1))
    spend = _spend(count.ravel(), 10.0, rng).reshape(count.shape)
    return Holdout(treated, joined, spend * factor * active)


def holdout_truth(weeks: int, effect: float, pattern: str = "persistent") -> Floats:
    """Give what the treatment adds to a customer who was there from the start, up to each week.

    Parameters
    ----------
    weeks : int
    effect : float
    pattern : {"persistent", "once"}

    Returns
    -------
    (weeks,) float array

    Examples
    --------
    >>> holdout_truth(2, 0.1).round(4)
    array([0.05 , 0.099])
    """
    stays = np.ones(weeks) if pattern == "once" else 0.98 ** np.arange(weeks)
    return 0.5 * effect * np.cumsum(stays)

r"""The Qini curve: what is gained by treating the customers with the largest predicted effect.

Rows of one arm and control, sorted by predicted effect, largest first:

.. math:: q(k) = Y_t(k) - Y_c(k) \, N_t(k) / N_c(k)

with the outcomes' sums and the numbers of treated and control rows among the first `k` (Radcliffe,
2007, *Using control groups to target on predicted lift*). The Qini value is

.. math:: \Big( \frac{1}{n} \sum_{k=1}^{n} q(k) - \frac{q(n)}{2} \Big) \Big/ N_t(n),

the outcome gained per treated customer above treating at random. Rows with equal scores have no
order: between the ends of such a run the curve is a straight line, so that neither the order of
the table nor chance decides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from liftwerk.stats import tails
from liftwerk.stats.estimate import Estimate, Unknown

Floats: TypeAlias = NDArray[np.float64]

SHARES = 101
CELLS = 1_000_000
"""Weights held at a time: bounds the memory of the bootstrap."""
MERGED = 1_000
"""Runs that the bootstrap tells apart: the curve between them is below what it can show."""


@dataclass(frozen=True)
class Qini:
    """A Qini curve with its band.

    Parameters
    ----------
    value : Estimate or Unknown
        The Qini value, in the outcome's unit per treated customer.
    share : (101,) float array
        Share of the customers that is treated.
    gain : (101,) float array
        ``q(k) / N_t(n)`` there; the line of random targeting runs straight from 0 to the last.
    low, high : (101,) float array
        Pointwise 95% band.
    """

    value: Estimate | Unknown
    share: Floats
    gain: Floats
    low: Floats
    high: Floats


def qini(
    score: Floats,
    treated: NDArray[np.bool_],
    outcome: Floats,
    rng: np.random.Generator,
    draws: int = 1000,
) -> Qini:
    """Draw the Qini curve with a bootstrap band.

    Parameters
    ----------
    score : (n,) float array
        Predicted effect, made without the row's own outcome; ranks within folds, where the
        predictions come from several models (`stats.ranks`).
    treated : (n,) bool array
        The arm rather than control.
    outcome : (n,) float array
    rng : numpy.random.Generator
    draws : int
        Bootstrap draws (Poisson weights on customers, scores held fixed; percentile intervals).

    Returns
    -------
    Qini
        Its value is Unknown where the outcomes' tail forbids an interval, or an arm is empty.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> effect, treated = rng.random(8000), rng.random(8000) < 0.5
    >>> outcome = rng.normal(size=8000) + effect * treated
    >>> curve = qini(effect, treated, outcome, rng)
    >>> curve.value.low < 1 / 12 < curve.value.high
    True
    """
    n = score.shape[0]
    share = np.linspace(0.0, 1.0, SHARES)
    if not treated.any() or treated.all():
        refusal = Unknown("an arm has no customers", "customers in both arms")
        return Qini(refusal, share, *[np.zeros(SHARES)] * 3)
    runs = _Runs.of(score, treated, outcome)
    value, gain = _read(runs.sums(np.ones((1, n))), share)
    runs = runs.merged()
    values = np.empty(draws)
    gains = np.empty((draws, SHARES))
    step = max(CELLS // n, 1)
    for start in range(0, draws, step):
        stop = min(start + step, draws)
        weights = _poisson(rng, (stop - start, n))
        values[start:stop], gains[start:stop] = _read(runs.sums(weights), share)
    low, high = np.quantile(gains, [0.025, 0.975], axis=0)
    return Qini(_value(float(value[0]), values, outcome), share, gain[0], low, high)


def qini_value(score: Floats, treated: NDArray[np.bool_], outcome: Floats) -> float:
    """Give the Qini value alone.

    Parameters
    ----------
    score, treated, outcome : as for `qini`

    Returns
    -------
    float

    Examples
    --------
    >>> treated = np.array([True, False, True, False])
    >>> qini_value(np.array([4.0, 3.0, 2.0, 1.0]), treated, np.array([1.0, 0.0, 0.0, 0.0]))
    0.25
    """
    runs = _Runs.of(score, treated, outcome)
    return float(_read(runs.sums(np.ones((1, score.shape[0]))), np.zeros(1))[0][0])


def _value(value: float, values: Floats, outcome: Floats) -> Estimate | Unknown:
    refusal = tails.too_heavy(outcome)
    if refusal is not None:
        return refusal
    low, high = np.quantile(values, [0.025, 0.975])
    return Estimate(
        value,
        float(low),
        float(high),
        float(values.std(ddof=1)),
        outcome.shape[0],
        f"Qini value, percentile bootstrap of {values.shape[0]} draws",
        ("customers don't affect each other", "arms were drawn by lot", "scores are held fixed"),
    )


@dataclass(frozen=True)
class _Sums:
    """Cumulated by runs of equal scores, one bootstrap draw a row: (draws, runs)."""

    treated: Floats
    control: Floats
    treated_outcome: Floats
    control_outcome: Floats


@dataclass(frozen=True)
class _Runs:
    """Sorted rows, gathered into runs of equal scores."""

    starts: NDArray[np.intp]
    treated: NDArray[np.intp]
    control: NDArray[np.intp]
    outcome: Floats

    @classmethod
    def of(cls, score: Floats, treated: NDArray[np.bool_], outcome: Floats) -> _Runs:
        order = np.argsort(-score, kind="stable")
        ordered = score[order]
        changes = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
        mask = treated[order]
        starts = np.concatenate([np.zeros(1, dtype=np.intp), changes])
        return cls(starts, np.flatnonzero(mask), np.flatnonzero(~mask), outcome[order])

    def merged(self) -> _Runs:
        """Join neighbours until some `MERGED` runs are left; the curve's shape stays."""
        every = math.ceil(self.starts.shape[0] / MERGED)
        return _Runs(self.starts[::every], self.treated, self.control, self.outcome)

    def sums(self, weights: Floats) -> _Sums:
        return _Sums(
            self._cumulate(weights, self.treated, None),
            self._cumulate(weights, self.control, None),
            self._cumulate(weights, self.treated, self.outcome),
            self._cumulate(weights, self.control, self.outcome),
        )

    def _cumulate(self, weights: Floats, rows: NDArray[np.intp], outcome: Floats | None) -> Floats:
        masked = np.zeros_like(weights)
        if outcome is None:
            masked[:, rows] = weights[:, rows]
        else:
            # Most customers don't buy: only rows with an outcome have to be touched.
            rows = rows[outcome[rows] != 0.0]
            masked[:, rows] = weights[:, rows] * outcome[rows]
        if self.starts.shape[0] < weights.shape[1]:
            masked = np.add.reduceat(masked, self.starts, axis=1)
        return np.cumsum(masked, axis=1, out=masked)


def _read(sums: _Sums, share: Floats) -> tuple[Floats, Floats]:
    """Qini values (draws,) and gains per treated customer at the shares (draws, shares)."""
    ratio = sums.treated / np.maximum(sums.control, 1.0)
    q = sums.treated_outcome - sums.control_outcome * ratio
    reached = sums.treated + sums.control
    total = reached[:, -1]
    last = q[:, -1]
    # The sum over single rows of a curve that is straight inside runs: trapezia, and half of the
    # last ordinate, since k counts from 1.
    area = q[:, 0] * reached[:, 0]
    area += ((q[:, 1:] + q[:, :-1]) * np.diff(reached, axis=1)).sum(axis=1)
    mean = (0.5 * area + 0.5 * last) / total
    customers = np.maximum(sums.treated[:, -1], 1.0)
    gains = np.empty((q.shape[0], share.shape[0]))
    for draw in range(q.shape[0]):
        x = np.concatenate([[0.0], reached[draw] / total[draw]])
        y = np.concatenate([[0.0], q[draw] / customers[draw]])
        gains[draw] = np.interp(share, x, y)
    return (mean - 0.5 * last) / customers, gains


def _poisson(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """Poisson(1) weights by inversion of 16 random bits, several times faster than drawing them."""
    return _WEIGHTS[rng.integers(0, 2**16, size=shape, dtype=np.uint16)]


def _inverse_poisson() -> Floats:
    """Quantiles of Poisson(1) at the midpoints of 65,536 cells."""
    factorials = np.cumprod(np.concatenate([[1.0], np.arange(1.0, 12.0)]))
    cumulated = np.cumsum(np.exp(-1.0) / factorials)
    middles = (np.arange(2**16) + 0.5) / 2**16
    return np.searchsorted(cumulated, middles).astype(np.float64)


_WEIGHTS = _inverse_poisson()

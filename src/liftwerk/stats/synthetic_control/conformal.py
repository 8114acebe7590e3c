"""Conformal inference: one method for the p-value and for the interval of a geo test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from liftwerk.stats.synthetic_control.augmented import centred
from liftwerk.stats.synthetic_control.panel import Panel
from liftwerk.stats.synthetic_control.simplex import Simplex

Floats: TypeAlias = NDArray[np.float64]

STEPS = np.array([0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 9.0, 14.0, 25.0, 50.0])
"""Effects that are tried on either side of the estimate, in spreads of a mean over the test."""

ENOUGH = 3
"""Rejected effects in a row after which none further out is tried."""

HALVINGS = 9
IN_USE = 1e-9
"""Weights below this take no part."""

SAME = 1e-9
"""Scores that differ by less, as a part, are the same score computed twice."""


class Scores:
    r"""How far each window of periods lies from what the others predict for it.

    Chernozhukov, Wüthrich and Zhu (2021), *An exact and robust conformal inference method for
    counterfactual and synthetic controls*, JASA 116(536): take the effect theta to be tested from
    the periods of the test. If theta is true, nothing sets them apart any more, and the p-value is
    the share of the cyclic moving blocks of as many periods that look at least as odd,

    .. math::
        \hat p(\theta) = \frac{1}{T} \sum_{k} 1\{S_k(\theta) \ge S_{test}(\theta)\}

    (their equation 2, with moving block permutations, which allow for errors that remember).
    Exact where periods can be exchanged, for any score that treats all periods alike. Ours is the
    mean prediction error of a block by a fit on all the other periods, in absolute value:

    - the mean, since the question is the average effect of the test and the effect of a day may
      differ from it;
    - of a fit on the others, since a fit that has seen the test adapts to its effect, and then
      finds none.

    The fit is the ridge-augmented synthetic control with unit fixed effects. The donors in use are
    those of the fit on all periods; with these, leaving a block out is linear algebra, made once
    for all effects with which the same donors are in use.

    Parameters
    ----------
    panel : Panel
    penalty : float
        The ridge penalty a period; infinite for none.
    """

    def __init__(self, panel: Panel, penalty: float = np.inf) -> None:
        self._before = panel.before
        self._length = panel.during
        self._donors = panel.donors - panel.donors.mean(axis=0)
        # Without this the products below depend on the unit of the outcome.
        size = float(np.sqrt((self._donors**2).mean()))
        self._scale = 1.0
        if size > 0.0:
            self._scale = size
        self._donors /= self._scale
        self._simplex = Simplex(self._donors)
        during = np.zeros(panel.periods)
        during[panel.before :] = 1.0
        own = during * panel.mean / self._scale
        series = np.column_stack([panel.mean / self._scale, own, during])
        self._series = series - series.mean(axis=0)
        self._kept = panel.periods - panel.during
        self._ridge: tuple[Floats, Floats] | None = None
        self._made: dict[bytes, Floats] = {}
        if np.isfinite(penalty):
            levers = self._levers(penalty / self._scale**2)
            self._ridge = levers @ self._donors, levers @ self._series

    def at(self, effect: float) -> Floats:
        """Score every block as if the test had this effect.

        Parameters
        ----------
        effect : float
            On an average treated market and period.

        Returns
        -------
        (periods,) float array
            Of the cyclic blocks by their first period, in absolute value.
        """
        return self.lifted(0.0, effect)

    def lifted(self, lift: float, effect: float = 0.0) -> Floats:
        """Score every block as if the test had added a part of each of its outcomes.

        Parameters
        ----------
        lift : float
            What is added to each period of the test, as a part of its outcome.
        effect : float
            Tested as in `at`.

        Returns
        -------
        (periods,) float array
        """
        mixture = np.array([1.0, lift, -effect / self._scale])
        target = self._series @ mixture
        used = np.flatnonzero(self._simplex.weights(target) > IN_USE)
        key = used.tobytes()
        if key not in self._made:
            self._made[key] = self._errors(used)
        # The target less the first donor, whose weight is 1 less the others'.
        errors = self._made[key] @ np.append(mixture, -1.0)
        return np.asarray(np.abs(errors) * self._scale, dtype=np.float64)

    def _errors(self, used: NDArray[np.int64]) -> Floats:
        """Predict each block's mean from all other periods, with the donors in use.

        Returns
        -------
        (periods, 4) float array
            The error for each of the three series that a target is mixed of, and the first donor.
        """
        first, others = used[0], used[1:]
        goals = np.column_stack([self._series, self._donors[:, first]])
        shape = self._donors[:, others] - self._donors[:, [first]]
        errors, solved = left_out(shape, goals, self._length)
        if self._ridge is not None:
            donors, series = self._ridge
            errors -= np.column_stack([series, donors[:, first]])
            shape = donors[:, others] - donors[:, [first]]
            errors += (shape[:, :, None] * solved).sum(axis=1)
        return errors

    def p_value(self, effect: float) -> float:
        """Give the share of the blocks that look at least as odd as the test.

        Parameters
        ----------
        effect : float

        Returns
        -------
        float
            At least one over the number of periods.
        """
        return self.share(self.at(effect))

    def share(self, scores: Floats) -> float:
        """Give the share of the scores that are at least as large as the test's.

        Parameters
        ----------
        scores : (periods,) float array
            From `at` or `lifted`.

        Returns
        -------
        float
        """
        return float((scores >= scores[self._before] * (1.0 - SAME)).mean())

    def _levers(self, penalty: float) -> Floats:
        """Say how ridge on the periods outside a block predicts the block's mean.

        Returns
        -------
        (periods, periods) float array
            A row a block: what a rest of 1 in each period adds; 0 for those inside.
        """
        columns = centred(self._donors)
        inside = in_blocks(columns, self._length)
        means = (columns.sum(axis=0) - inside) / self._kept
        crossed = columns[:, :, None] * columns[:, None, :]
        products = crossed.sum(axis=0) - in_blocks(crossed, self._length)
        products -= self._kept * means[:, :, None] * means[:, None, :]
        products += penalty * self._kept * np.eye(columns.shape[1])
        apart = inside / self._length - means
        solved = np.linalg.solve(products, apart[:, :, None])[:, :, 0]
        levers = solved @ columns.T - (solved * means).sum(axis=1, keepdims=True)
        periods = np.arange(columns.shape[0])
        within = (periods[None, :] - periods[:, None]) % periods.shape[0] < self._length
        return np.asarray(np.where(within, 0.0, levers), dtype=np.float64)


def rejected_up_to(level: float) -> float:
    """Give the largest p-value that is outside an interval, as people would write it.

    Shares of blocks are often equal to it, and 1.0 - 0.9 is a hair below 0.1.

    Examples
    --------
    >>> rejected_up_to(0.9), 1.0 - 0.9
    (0.1, 0.09999999999999998)
    """
    return round(1.0 - level, 12)


def left_out(shape: Floats, goals: Floats, length: int) -> tuple[Floats, Floats]:
    """Predict each cyclic block's mean by least squares, with an intercept, on all other periods.

    Parameters
    ----------
    shape : (periods, columns) float array
        What is regressed on.
    goals : (periods, goals) float array
    length : int
        Periods of a block.

    Returns
    -------
    errors : (periods, goals) float array
        Mean of the block less its prediction, by the block's first period.
    solved : (periods, columns, goals) float array
        Coefficients with the block left out.
    """
    columns = np.column_stack([np.ones(goals.shape[0]), shape])
    both = np.concatenate([columns, goals], axis=1)
    width, n = columns.shape[1], both.shape[0]
    crossed = (columns[:, :, None] * both[:, None, :]).reshape(n, -1)
    inside = in_blocks(np.concatenate([crossed, both], axis=1), length)
    outside = (crossed.sum(axis=0) - inside[:, : crossed.shape[1]]).reshape(n, width, -1)
    means = inside[:, crossed.shape[1] :] / length
    products = outside[:, :, :width] + SAME * np.eye(width)
    solved = np.linalg.solve(products, outside[:, :, width:])
    errors = means[:, width:] - (means[:, :width, None] * solved).sum(axis=1)
    return np.asarray(errors, dtype=np.float64), np.asarray(solved[:, 1:], dtype=np.float64)


def in_blocks(values: Floats, length: int) -> Floats:
    """Sum over each cyclic block of periods, by its first.

    Examples
    --------
    >>> in_blocks(np.array([1.0, 2.0, 4.0, 8.0]), 2)
    array([ 3.,  6., 12.,  9.])
    """
    periods = values.shape[0]
    sums = np.empty((periods + length, *values.shape[1:]))
    sums[0] = 0.0
    np.cumsum(values, axis=0, out=sums[1 : periods + 1])
    sums[periods + 1 :] = sums[periods] + sums[1:length]
    return np.asarray(sums[length:] - sums[:-length])


@dataclass(frozen=True)
class Inference:
    """A p-value and an interval from one method: 0 is outside the interval if p <= 1 - level.

    Parameters
    ----------
    p_value : float
        Of no effect.
    low, high : float
        Ends of the interval of the average effect; infinite where no effect is too large to be
        true.
    """

    p_value: float
    low: float
    high: float


def infer(
    panel: Panel, penalty: float, effect: float, *, inflation: float = 1.0, level: float = 0.95
) -> Inference:
    """Invert the conformal test.

    A test may accept an effect, reject a larger one and accept a still larger one. The p-value of
    an effect is therefore the largest of those that lie at it or further from the estimate
    (which only makes it larger), and the interval holds those above 1 - level. So interval and
    p-value cannot contradict each other, and the interval holds the estimate.

    Parameters
    ----------
    panel : Panel
    penalty : float
        Of the fit (`choose_penalty`).
    effect : float
        The estimate.
    inflation : float
        How much wider than the test says the interval shall be (`placebo.inflation`): an effect is
        judged as one that lies as many times nearer to the estimate would be.
    level : float

    Returns
    -------
    Inference

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> donors = rng.normal(size=(60, 8))
    >>> treated = donors[:, :2] + rng.normal(size=(60, 2))
    >>> treated[50:] += 5.0
    >>> found = infer(Panel(treated, donors, before=50), np.inf, 5.0)
    >>> found.low < 5.0 < found.high, found.p_value <= 0.05, found.low > 0.0
    (True, True, True)
    """
    scores = Scores(panel, penalty)
    spread = _spread(scores, effect, panel)
    nothing = effect * (1.0 - 1.0 / inflation)
    tried = {nothing: scores.p_value(nothing)}
    alpha = rejected_up_to(level)
    low, high = (_end(scores, effect, side * spread, alpha, tried) for side in (-1.0, 1.0))
    tried[effect] = 1.0
    if effect < 0.0:
        beyond = [p for value, p in tried.items() if value >= nothing]
    else:
        beyond = [p for value, p in tried.items() if value <= nothing]
    ends = [effect + inflation * (end - effect) for end in (low, high)]
    # Where an end is no effect it is 0, not the rounding error of having been moved and moved back.
    ends = [0.0 if end == nothing else moved for end, moved in zip((low, high), ends, strict=True)]
    return Inference(max(beyond), ends[0], ends[1])


def _spread(scores: Scores, effect: float, panel: Panel) -> float:
    """Give a size for the steps: the middle score, were the estimate true."""
    middle = float(np.median(scores.at(effect)))
    return max(middle, 1e-9 * float(np.abs(panel.mean).max()), 1e-300)


def _end(
    scores: Scores, effect: float, spread: float, alpha: float, tried: dict[float, float]
) -> float:
    """Find the furthest effect on one side that is not rejected."""
    known = [value for value in tried if (value - effect) * spread > 0.0]
    # What was asked for the p-value may be accepted beyond others that are not: walk up to it.
    least = max((abs(value - effect) for value in known), default=0.0)
    nodes = np.append(effect + spread * STEPS, known)
    nodes = nodes[np.argsort(np.abs(nodes - effect))]
    inner = outer = effect
    rejected = 0
    for node in nodes.tolist():
        if node not in tried:
            tried[node] = scores.p_value(node)
        if tried[node] > alpha:
            inner, rejected = node, 0
            continue
        if rejected == 0:
            outer = node
        rejected += 1
        if rejected >= ENOUGH and abs(node - effect) >= least:
            break
    if rejected == 0:
        return float(np.copysign(np.inf, spread))
    for _ in range(HALVINGS):
        middle = 0.5 * (inner + outer)
        tried[middle] = scores.p_value(middle)
        if tried[middle] > alpha:
            inner = middle
        else:
            outer = middle
    return inner

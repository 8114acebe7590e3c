r"""Whether an effect differs between customers: ``yes``, ``no``, or unknown.

Asked on the difference scale, of the best linear projection of the effect on the features:
regressing doubly robust scores :math:`\varphi_i` on features estimates it (Semenova and
Chernozhukov, 2021, *Debiased machine learning of conditional average treatment effects*,
Econometrics Journal 24(2)).

``yes`` when a constant effect is refuted. With centred features :math:`\tilde x` and
:math:`e_i = \varphi_i - \bar\varphi`, the residuals under a constant effect,

.. math:: W = g' V^{-1} g \sim \chi^2_d, \quad g = \sum_i \tilde x_i e_i, \quad
          V = \sum_i \tilde x_i \tilde x_i' e_i^2 .

Taking the residuals under the hypothesis (a score test) makes `W` self-normalised: with few buyers
and heavy tails it errs towards silence, where a Wald test with ordinary variances errs towards yes.
An effect that follows one or two features is found more often by the largest of their single
statistics :math:`|g_j| / \sqrt{V_{jj}}` than by `W`; the test takes the smaller of both p-values
and reads it against its own distribution for normal `g` with covariance `V`, by simulation.

``no`` when the spread of the projected effect, its standard deviation over customers, is shown to
be below a size that the project declared negligible: an equivalence test of the estimated spread
against the least favourable effect of just that size.

Both families of tests are held at 5% over all questions by Holm (1979).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, chdtri, chndtrinc

from liftwerk.stats import tails
from liftwerk.stats.estimate import Unknown

Floats: TypeAlias = NDArray[np.float64]

DRAWS = 20_000
POWER = 0.8
COLLINEAR = 1e-9


@dataclass(frozen=True)
class Question:
    """One effect that may differ between customers.

    Parameters
    ----------
    scores : (n,) float array
        Doubly robust scores of the effect.
    design : (n, d) float array
        Features, encoded as numbers; no intercept needed.
    outcome : (n,) float array
        The outcomes that the scores were made from; their tail decides whether ``no`` can be said.
    negligible : float
        Standard deviation of effects, in the outcome's unit, below which they count as alike.
    """

    scores: Floats
    design: Floats
    outcome: Floats
    negligible: float


class Heterogeneity(msgspec.Struct, frozen=True):
    """The answer to one question.

    Parameters
    ----------
    answer : {"yes", "no"} or Unknown
    spread : float
        Estimated standard deviation of the projected effect, its noise taken off; at least 0.
    constant_p : float
        p-value of a constant effect (before Holm).
    spread_p : float
        p-value of a spread as large as the negligible one (before Holm).
    """

    answer: Literal["yes", "no"] | Unknown
    spread: float
    constant_p: float
    spread_p: float


@dataclass(frozen=True)
class _Projection:
    """A projected effect in coordinates whose squared length is its variance over customers."""

    n: int
    coordinates: Floats
    noise: Floats
    together: float
    alone: float
    root: Floats


def heterogeneity(
    questions: Sequence[Question], rng: np.random.Generator, alpha: float = 0.05
) -> tuple[Heterogeneity, ...]:
    """Answer a family of questions together.

    Parameters
    ----------
    questions : sequence of Question
    rng : numpy.random.Generator
        For the equivalence test.
    alpha : float
        Chance that any answer of the family claims what is not so, for each kind of claim.

    Returns
    -------
    tuple of Heterogeneity, in the order of the questions

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(4000, 1))
    >>> noise = rng.normal(size=4000)
    >>> asked = [Question(effect + noise, x, noise, 0.2) for effect in (0.5 * x[:, 0], 0.0)]
    >>> [found.answer for found in heterogeneity(asked, rng)]
    ['yes', 'no']
    """
    projections = [_project(question) for question in questions]
    refused = [tails.too_heavy(question.outcome) for question in questions]
    constant_p = np.ones(len(questions))
    spread_p = np.ones(len(questions))
    for place, projection in enumerate(projections):
        if projection is None:
            continue
        constant_p[place] = _constant_p(projection, rng)
        if refused[place] is None:
            spread_p[place] = _spread_p(projection, questions[place].negligible, rng)
    differs = holm(constant_p, alpha)
    alike = holm(spread_p, alpha)
    answers = []
    for place, question in enumerate(questions):
        answer: Literal["yes", "no"] | Unknown
        if alike[place]:
            answer = "no"
        elif differs[place]:
            answer = "yes"
        else:
            strictest = alpha / len(questions)
            answer = _unknown(projections[place], question.negligible, refused[place], strictest)
        spread = _spread(projections[place])
        found = Heterogeneity(answer, spread, float(constant_p[place]), float(spread_p[place]))
        answers.append(found)
    return tuple(answers)


def holm(p: Floats, alpha: float = 0.05) -> NDArray[np.bool_]:
    """Say which hypotheses fall when the whole family may err with chance `alpha`.

    Holm (1979), *A simple sequentially rejective multiple test procedure*.

    Examples
    --------
    >>> holm(np.array([0.012, 0.2, 0.001, 0.02])).tolist()
    [True, False, True, True]
    """
    order = np.argsort(p, kind="stable")
    limits = alpha / np.arange(p.shape[0], 0, -1)
    passed = np.logical_and.accumulate(p[order] <= limits)
    rejected = np.zeros(p.shape[0], dtype=np.bool_)
    rejected[order] = passed
    return rejected


def _project(question: Question) -> _Projection | None:
    """Project the scores on the features; None where nothing varies."""
    scores = question.scores
    n = scores.shape[0]
    centred = question.design - question.design.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred / n)
    kept = values > COLLINEAR * max(float(values.max(initial=0.0)), 1e-300)
    if not kept.any() or float(scores.std()) == 0.0:
        return None
    white = centred @ (vectors[:, kept] / np.sqrt(values[kept]))
    flat = scores - scores.mean()
    coordinates = white.T @ flat / n
    noise = _noise(white, flat - white @ coordinates)
    together, alone, root = _if_constant(centred, flat)
    return _Projection(n, coordinates, noise, together, alone, root)


def _if_constant(centred: Floats, flat: Floats) -> tuple[float, float, Floats]:
    """Give W, the largest single statistic, and a root of the features' correlation.

    The root has a column for each independent direction: its row for feature j times standard
    normals is that feature's statistic under a constant effect, and their squared length is W.
    """
    g = centred.T @ flat
    v = (centred * flat[:, None]).T @ (centred * flat[:, None])
    errors = np.sqrt(np.diag(v))
    moving = errors > 0.0
    errors = errors[moving]
    single = g[moving] / errors
    correlation = v[np.ix_(moving, moving)] / np.outer(errors, errors)
    values, vectors = np.linalg.eigh(correlation)
    kept = values > COLLINEAR * values[-1]
    root = vectors[:, kept] * np.sqrt(values[kept])
    together = float((((vectors[:, kept].T @ single) ** 2) / values[kept]).sum())
    return together, float(np.abs(single).max()), root


def _noise(white: Floats, residual: Floats) -> Floats:
    """Covariance of the coordinates, robust to unequal spreads."""
    weighted = white * residual[:, None]
    return np.asarray(weighted.T @ weighted / white.shape[0] ** 2, dtype=np.float64)


def _constant_p(projection: _Projection, rng: np.random.Generator) -> float:
    rank = projection.root.shape[1]
    normals = rng.standard_normal((DRAWS, rank))
    drawn_together = chdtrc(rank, (normals**2).sum(axis=1))
    largest = np.abs(normals @ projection.root.T).max(axis=1)
    ordered = np.sort(largest)
    drawn_alone = 1.0 - np.searchsorted(ordered, largest, side="left") / DRAWS
    alone = 1.0 - np.searchsorted(ordered, projection.alone, side="left") / DRAWS
    smaller = min(float(chdtrc(rank, projection.together)), float(alone))
    as_small = np.minimum(drawn_together, drawn_alone) <= smaller
    return float((1.0 + as_small.sum()) / (1.0 + DRAWS))


def _spread_p(projection: _Projection, negligible: float, rng: np.random.Generator) -> float:
    """Find the largest chance, over directions, that effects of that spread look so alike."""
    noise = np.clip(np.linalg.eigvalsh(projection.noise), 0.0, None)
    length = float(projection.coordinates @ projection.coordinates)
    steps = rng.standard_normal((DRAWS, noise.shape[0])) * np.sqrt(noise)
    apart = (steps**2).sum(axis=1)[:, None] + negligible * (2.0 * steps + negligible)
    below = (apart <= length).sum(axis=0)
    return float((1.0 + below.max()) / (1.0 + DRAWS))


def _spread(projection: _Projection | None) -> float:
    if projection is None:
        return 0.0
    length = float(projection.coordinates @ projection.coordinates)
    return math.sqrt(max(length - float(np.trace(projection.noise)), 0.0))


def _unknown(
    projection: _Projection | None, negligible: float, refusal: Unknown | None, alpha: float
) -> Unknown:
    if projection is None:
        return Unknown("features or outcomes do not vary", "customers that differ")
    d = projection.coordinates.shape[0]
    # Customers that would find a spread of the negligible size four times in five.
    wanted = float(chndtrinc(float(chdtri(d, alpha)), d, 1.0 - POWER))
    per_customer = float(np.trace(projection.noise)) * projection.n / d
    customers = tails.two_digits(
        max(math.ceil(wanted * per_customer / negligible**2), 2 * projection.n)
    )
    needs = f"about {customers} customers like these"
    if refusal is not None:
        return Unknown(f"no difference shown, and {refusal.reason}", needs)
    return Unknown(
        f"effects may be alike, or differ by {negligible:g} and more (standard deviation)", needs
    )

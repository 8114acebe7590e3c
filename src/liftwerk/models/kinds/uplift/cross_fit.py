"""Effects for customers whom the model has not seen, fold by fold."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from liftwerk.errors import InputError
from liftwerk.models.design import Features, Floats, Ints, as_design
from liftwerk.models.kinds.uplift.learners import Learned, Sample
from liftwerk.models.kinds.uplift.model import (
    UpliftModel,
    add_held_out,
    assemble,
    blend_sums,
    blended,
    learn,
    says,
)
from liftwerk.models.kinds.uplift.trial import Groups, Trial

INNER = 4
"""Groups to cross-validate over inside a training part, at the least and where folds allow."""


@dataclass(frozen=True)
class CrossFit:
    """What models say about rows that they were fitted without.

    Parameters
    ----------
    effects : ndarray, shape (n, k - 1)
        Expected effects over control.
    means : ndarray, shape (n, k)
        Expected outcomes under each arm.
    scores : ndarray, shape (n, k - 1)
        Doubly robust scores with these means: unbiased for a row's effects, but noisy.
    weights : ndarray, shape (folds, k - 1, learners)
        How far each fold's model believes each learner.
    model : UpliftModel
        The model of all rows, which the folds pay for.
    """

    effects: Floats
    means: Floats
    scores: Floats
    weights: Floats
    model: UpliftModel


def cross_fit(
    features: Features,
    action: npt.ArrayLike,
    outcome: npt.ArrayLike,
    logged: npt.ArrayLike,
    folds: npt.ArrayLike,
    seed: int = 0,
) -> CrossFit:
    """Fit a model without each fold and ask it about the fold.

    Encoders, arms' means, learners, their penalties and the blend's weights are all learned
    without the fold.

    Parameters
    ----------
    features, action, outcome, logged
        As in `fit_uplift`.
    folds : array of int, shape (n,)
        Folds from 0; at least two.
    seed : int
        Cuts few folds further for the selection inside.

    Returns
    -------
    CrossFit

    Raises
    ------
    Refused
        If some fold's complement has fewer than 50 rows in an arm.
    InputError
        If folds or other inputs are not as described.
    """
    design = as_design(features)
    fold = _numbered(folds, len(design), "folds")
    count = int(fold.max()) + 1
    splits = math.ceil(INNER / (count - 1))
    within = np.random.default_rng(seed).permutation(len(design)) % splits
    trial = Trial(design, action, outcome, logged, fold * splits + within)
    effects = np.empty((len(design), trial.arms - 1))
    scores = np.empty_like(effects)
    means = np.empty((len(design), trial.arms))
    weights = []
    overall = blend_sums(trial)
    # A fit without folds f and g serves both, f inside g and g inside f.
    known: dict[Groups, tuple[Sample, tuple[Learned, ...]]] = {}
    for held_out in range(count):
        groups = _inner_groups(count, splits, held_out)
        trial.require_arms(groups, f"without fold {held_out}")
        sums = blend_sums(trial)
        for group in groups:
            others = tuple(other for other in groups if other != group)
            if others not in known:
                inner = Sample.of(trial, others)
                known[others] = (inner, learn(inner))
            add_held_out(sums, *known[others], trial.rows(group))
        sample = Sample.of(trial, groups)
        learned = learn(sample)
        weights.append(sums.weights())
        rows = np.flatnonzero(fold == held_out)
        add_held_out(overall, sample, learned, rows)
        effects[rows] = blended(sample.scores.mean(axis=0), weights[-1], says(learned, trial, rows))
        means[rows] = trial.means(rows, groups)
        scores[rows] = trial.scores(rows, groups)
    everything = Sample.of(trial, tuple(_fold_parts(splits, f) for f in range(count)))
    model = assemble(everything, learn(everything), overall.weights())
    return CrossFit(effects, means, scores, np.stack(weights), model)


def _numbered(labels: npt.ArrayLike, n: int, what: str) -> Ints:
    numbers = np.asarray(labels, dtype=np.int64)
    if numbers.shape != (n,):
        raise InputError(f"{what} are not one a row", f"shape {numbers.shape}", f"pass {n}")
    sizes = np.bincount(numbers)
    if len(sizes) < 2 or not sizes.all():
        raise InputError(f"{what} are not numbered 0, 1, ...", f"{len(sizes)} found", "use two up")
    return numbers


def _fold_parts(splits: int, fold: int) -> tuple[int, ...]:
    return tuple(range(fold * splits, (fold + 1) * splits))


def _inner_groups(count: int, splits: int, held_out: int) -> Groups:
    """Group the parts outside a fold, about `INNER` of them."""
    parts = [p for f in range(count) if f != held_out for p in _fold_parts(splits, f)]
    if len(parts) < 2 * INNER:
        return tuple((part,) for part in parts)
    return tuple(tuple(parts[start::INNER]) for start in range(INNER))

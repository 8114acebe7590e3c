"""The uplift model: what each action adds over control for a customer, and how to fit it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from liftwerk.models.design import Features, Floats, as_design
from liftwerk.models.encode import Encoder
from liftwerk.models.kinds.uplift.blend import BlendSums
from liftwerk.models.kinds.uplift.learners import LEARNERS, Learned, Sample
from liftwerk.models.kinds.uplift.trial import Groups, Trial

FOLDS = 5


@dataclass(frozen=True)
class UpliftModel:
    """Effects of k - 1 actions against control, fitted with known probabilities.

    Parameters
    ----------
    encoder : Encoder
        Encoding of the arms' means.
    mean_coefficients : ndarray, shape (k, 1 + d)
        Ridge coefficients of each arm's expected outcome.
    constant : ndarray, shape (k - 1,)
        Average effects.
    weights : ndarray, shape (k - 1, learners)
        How far each learner is believed; the rest is on the average effect.
    learners : tuple of Learned
        Fitted learners, in the order of `LEARNERS`.
    """

    encoder: Encoder
    mean_coefficients: Floats
    constant: Floats
    weights: Floats
    learners: tuple[Learned, ...]

    def effects(self, features: Features) -> Floats:
        """Return the effect of each action over control, (n, k - 1), in the outcome's unit."""
        design = as_design(features)
        return blended(
            self.constant,
            self.weights,
            np.stack([learner.effects(design) for learner in self.learners]),
        )

    predict = effects

    def means(self, features: Features) -> Floats:
        """Return the expected outcome under each arm, (n, k), control first."""
        encoded = self.encoder.transform(features)
        return np.asarray(encoded @ self.mean_coefficients[:, 1:].T + self.mean_coefficients[:, 0])

    def explain(self, features: Features) -> Floats:
        """Each feature's contribution to each effect, shape (n, k - 1, features + 1).

        The last entry is where every customer starts; a row's entries sum to its effect.
        """
        design = as_design(features)
        parts = np.zeros((len(design), len(self.constant), len(self.encoder.names) + 1))
        for place, learner in enumerate(self.learners):
            parts += self.weights[None, :, place, None] * learner.explain(design)
        parts[:, :, -1] += self.constant * (1.0 - self.weights.sum(axis=1))
        return parts

    def to_dict(self) -> dict[str, Any]:
        """Write the model as plain JSON values."""
        return {
            "kind": "uplift",
            "encoder": self.encoder.to_dict(),
            "mean_coefficients": self.mean_coefficients.tolist(),
            "constant": self.constant.tolist(),
            "weights": self.weights.tolist(),
            "learners": {learner.name: learner.to_dict() for learner in self.learners},
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> UpliftModel:
        """Read what `to_dict` wrote; predictions are the same bit for bit."""
        return cls(
            Encoder.from_dict(document["encoder"]),
            np.array(document["mean_coefficients"], dtype=np.float64),
            np.array(document["constant"], dtype=np.float64),
            np.array(document["weights"], dtype=np.float64),
            tuple(kind.from_dict(document["learners"][kind.name]) for kind in LEARNERS),
        )


def blended(constant: Floats, weights: Floats, learned: Floats) -> Floats:
    """Pull what the learners (learners, n, k - 1) say towards the average effect."""
    return np.asarray(constant + np.einsum("al,lna->na", weights, learned - constant))


def blend_sums(trial: Trial) -> BlendSums:
    """Start the sums from which a blend's weights follow."""
    return BlendSums(trial.arms - 1, [kind.chance for kind in LEARNERS])


def learn(sample: Sample) -> tuple[Learned, ...]:
    """Fit every learner to a sample."""
    return tuple(kind.fit(sample) for kind in LEARNERS)


def says(learned: tuple[Learned, ...], trial: Trial, rows: npt.NDArray[Any]) -> Floats:
    """Ask each learner about rows of the trial; shape (learners, rows, k - 1)."""
    return np.stack([each.effects_of_rows(trial, rows) for each in learned])


def assemble(sample: Sample, learned: tuple[Learned, ...], weights: Floats) -> UpliftModel:
    """Put the fitted pieces of a sample together."""
    trial = sample.trial
    encoder, encoding = trial.encoding(sample.groups)
    means = trial.encoded_mean_coefficients(sample.groups, encoding)
    return UpliftModel(encoder, means, sample.scores.mean(axis=0), weights, learned)


def fit_uplift(
    features: Features,
    action: npt.ArrayLike,
    outcome: npt.ArrayLike,
    logged: npt.ArrayLike,
    seed: int = 0,
) -> UpliftModel:
    """Fit the effects of all actions on all rows.

    Parameters
    ----------
    features : Design, pyarrow.Table or ndarray of shape (n, p)
    action : array of int, shape (n,)
        What was done; 0 is control.
    outcome : array of float, shape (n,)
    logged : array of float, shape (n, k)
        Each action's known probability when the action was drawn; all inside (0, 1].
    seed : int
        Cuts the rows into folds; nothing else is random.

    Returns
    -------
    UpliftModel

    Raises
    ------
    Refused
        If an arm has fewer than 50 rows.
    InputError
        If lengths, actions, outcomes or probabilities are not as described.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(3000, 2))
    >>> action = rng.integers(0, 2, 3000)
    >>> outcome = x[:, 0] * action + rng.normal(size=3000)
    >>> model = fit_uplift(x, action, outcome, np.full((3000, 2), 0.5))
    >>> model.effects(np.array([[1.0, 0.0], [-1.0, 0.0]])).round(0).tolist()
    [[1.0], [-1.0]]
    """
    n = len(as_design(features))
    parts = np.random.default_rng(seed).permutation(n) % FOLDS
    trial = Trial(features, action, outcome, logged, parts)
    groups: Groups = tuple((part,) for part in range(int(parts.max()) + 1))
    trial.require_arms(groups, "all rows")
    sums = blend_sums(trial)
    for group in groups:
        others = tuple(other for other in groups if other != group)
        inner = Sample.of(trial, others)
        add_held_out(sums, inner, learn(inner), trial.rows(group))
    sample = Sample.of(trial, groups)
    return assemble(sample, learn(sample), sums.weights())


def add_held_out(
    sums: BlendSums, sample: Sample, learned: tuple[Learned, ...], rows: npt.NDArray[np.intp]
) -> None:
    """Add the loss of learners on rows outside of the sample that they were fitted to."""
    trial = sample.trial
    sums.add(
        says(learned, trial, rows),
        trial.scores(rows, sample.groups),
        sample.scores.mean(axis=0),
    )

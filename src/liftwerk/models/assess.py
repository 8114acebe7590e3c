"""Hold predicted effects against what was seen: Qini curve, deciles, and whether effects differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from liftwerk.models.encode import Encoder, Features
from liftwerk.models.kinds.uplift.cross_fit import CrossFit
from liftwerk.stats.deciles import Decile, deciles
from liftwerk.stats.estimate import Unknown
from liftwerk.stats.heterogeneity import Question, heterogeneity
from liftwerk.stats.qini import Qini, qini

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Reading:
    """How one action's predicted effects on one outcome stand up to the data.

    Parameters
    ----------
    qini : Qini
        Curve, band and value, over the customers of the action's arm and of control.
    deciles : tuple of Decile
        Predicted against observed, over all customers.
    differs : str or Unknown
        Whether the effect differs between customers: ``yes``, ``no``, or why that is unknown.
    """

    qini: Qini
    deciles: tuple[Decile, ...]
    differs: str | Unknown


def assess(
    features: Features,
    action: NDArray[np.int64],
    outcomes: Mapping[str, Floats],
    fits: Mapping[str, CrossFit],
    negligible: Mapping[str, Decimal],
    rng: np.random.Generator,
) -> dict[tuple[int, str], Reading]:
    """Read every action's effect on every outcome; the questions are one family (Holm).

    Parameters
    ----------
    features : Design, pyarrow.Table or (n, p) array
    action : (n,) int array
        0 is control.
    outcomes : mapping of str to (n,) float array
    fits : mapping of str to CrossFit
        Of each outcome.
    negligible : mapping of str to Decimal
        Outcome -> a spread of effects below this is called none.
    rng : numpy.random.Generator
        For the bootstrap.

    Returns
    -------
    dict of (int, str) to Reading
        By number of the action and outcome.
    """
    encoded = Encoder.fit(features).transform(features)
    arms = range(1, int(action.max()) + 1)
    cells = [(arm, outcome) for arm in arms for outcome in outcomes]
    questions = [
        Question(
            fits[outcome].scores[:, arm - 1],
            encoded,
            outcomes[outcome],
            float(negligible.get(outcome, 0)),
        )
        for arm, outcome in cells
    ]
    answers = heterogeneity(questions, rng)
    return {
        (arm, outcome): Reading(
            _qini(fits[outcome], action, outcomes[outcome], arm, rng),
            deciles(fits[outcome].effects[:, arm - 1], fits[outcome].scores[:, arm - 1]),
            answer.answer,
        )
        for (arm, outcome), answer in zip(cells, answers, strict=True)
    }


def _qini(
    fit: CrossFit, action: NDArray[np.int64], outcome: Floats, arm: int, rng: np.random.Generator
) -> Qini:
    compared = np.flatnonzero((action == 0) | (action == arm))
    score = fit.effects[compared, arm - 1]
    return qini(score, action[compared] == arm, outcome[compared], rng)

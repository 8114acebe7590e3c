"""Hold predicted effects against what was seen: Qini curve, deciles, and whether effects differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from liftwerk.models.design import Features
from liftwerk.models.encode import Encoder
from liftwerk.models.train import Trained
from liftwerk.stats.deciles import Decile, deciles
from liftwerk.stats.estimate import Unknown
from liftwerk.stats.heterogeneity import Question, heterogeneity
from liftwerk.stats.qini import Qini, qini
from liftwerk.stats.ranks import rank_within

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
    trained: Trained,
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
    trained : Trained
        With what each outcome's cross-fitted models say.
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
            trained.fits[outcome].scores[:, arm - 1],
            encoded,
            outcomes[outcome],
            float(negligible.get(outcome, 0)),
        )
        for arm, outcome in cells
    ]
    answers = heterogeneity(questions, rng)
    readings = {}
    for (arm, outcome), answer in zip(cells, answers, strict=True):
        fit = trained.fits[outcome]
        predicted, scores = fit.effects[:, arm - 1], fit.scores[:, arm - 1]
        priority = rank_within(predicted, trained.folds)
        compared = np.flatnonzero((action == 0) | (action == arm))
        curve = qini(priority[compared], action[compared] == arm, outcomes[outcome][compared], rng)
        tenths = deciles(predicted, scores, priority=priority)
        readings[arm, outcome] = Reading(curve, tenths, answer.answer)
    return readings

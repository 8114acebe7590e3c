"""A naive twin of the uplift fits: everything from the rows again, no sums shared."""

from __future__ import annotations

import numpy as np

from liftwerk.models.design import Design, Floats, Ints
from liftwerk.models.encode import Encoder
from liftwerk.models.kinds.uplift.ridge import PENALTIES


def ridge(x: Floats, y: Floats, penalty: float) -> Floats:
    """Intercept and slopes by the normal equations."""
    centre = x.mean(axis=0)
    away = x - centre
    slopes = np.linalg.solve(
        away.T @ away + penalty * len(y) * np.eye(x.shape[1]), away.T @ (y - y.mean())
    )
    return np.concatenate([[y.mean() - centre @ slopes], slopes])


def means(
    design: Design, action: Ints, outcome: Floats, arms: int, train: list[Ints], ask: Ints
) -> Floats:
    """Each arm's mean for the rows `ask`, by ridge on the groups `train`."""
    rows = np.sort(np.concatenate(train))
    encoder = Encoder.fit(design.take(rows))
    encoded = encoder.transform(design)
    found = np.empty((len(ask), arms))
    for arm in range(arms):
        losses = []
        for penalty in PENALTIES:
            loss = 0.0
            for left_out in train:
                rest = np.setdiff1d(rows, left_out)
                rest = rest[action[rest] == arm]
                fit = ridge(encoded[rest], outcome[rest], penalty)
                seen = left_out[action[left_out] == arm]
                loss += np.square(outcome[seen] - fit[0] - encoded[seen] @ fit[1:]).sum()
            losses.append(loss)
        inside = rows[action[rows] == arm]
        fit = ridge(encoded[inside], outcome[inside], PENALTIES[int(np.argmin(losses))])
        found[:, arm] = fit[0] + encoded[ask] @ fit[1:]
    return found


def scores(predicted: Floats, action: Ints, outcome: Floats, logged: Floats) -> Floats:
    """Doubly robust scores, row by row as the formula reads."""
    found = np.empty((len(action), predicted.shape[1] - 1))
    for i in range(len(action)):
        for a in range(1, predicted.shape[1]):
            score = predicted[i, a] - predicted[i, 0]
            if action[i] == a:
                score += (outcome[i] - predicted[i, a]) / logged[i, a]
            if action[i] == 0:
                score -= (outcome[i] - predicted[i, 0]) / logged[i, 0]
            found[i, a - 1] = score
    return found

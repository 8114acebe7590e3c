"""Logs of bandits with known truth: epsilon-greedy and Thompson sampling, in batches.

A customer has a segment, three arms may be drawn, the first is control. The bandit learns between
batches and gives each row its exact probabilities: those of epsilon-greedy in closed form, those of
Thompson sampling as the frequency over posterior draws, from which the arm is then drawn. A floor
that may fall with time keeps every arm possible.

Worlds: ``nothing_works`` (the arms are alike), ``one_works`` (the last arm is 30% better), ``harm``
(both arms lose, 30% and 50%), ``flips`` (either arm is good for one segment and bad for the other).

This file is frozen: methods are judged in these worlds, so it was committed, with its hash in a
test, before any of them was tuned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]

ARMS = 3
FACTORS = {
    "nothing_works": ((1.0, 1.0, 1.0), (1.0, 1.0, 1.0)),
    "one_works": ((1.0, 1.0, 1.3), (1.0, 1.0, 1.3)),
    "harm": ((1.0, 0.7, 0.5), (1.0, 0.7, 0.5)),
    "flips": ((1.0, 1.4, 0.7), (1.0, 0.7, 1.4)),
}
"""World -> what each arm multiplies the control's mean by, in either segment."""

OUTCOMES = {"noise": 1.0, "click": 0.05, "spend": 2.0}
"""Outcome -> control's mean in the first segment. ``noise`` is normal with standard deviation 1,
``click`` 0 or 1, ``spend`` 0 for all but one in twenty (times the factor), lognormal for those."""

BANDITS = ("epsilon_greedy", "thompson")
SECOND_SEGMENT = 0.3
SEGMENT_FACTORS = (1.0, 1.5)
BUYERS = 0.05
SPEND_SIGMA = 0.8
POSTERIOR_DRAWS = 100


@dataclass(frozen=True)
class Logs:
    """Several logs of one bandit, S of them with T rows each.

    Parameters
    ----------
    reward : (S, T) float array
    action, segment : (S, T) int array
    probabilities : (S, T, 3) float array
        That each arm was drawn with.
    batch : (T,) int array
        Rows of one batch were drawn by one state of the bandit.
    """

    reward: Floats
    action: Integers
    segment: Integers
    probabilities: Floats
    batch: Integers


def means(world: str, outcome: str) -> Floats:
    """Give the expected reward of each segment under each arm, (2, 3).

    Examples
    --------
    >>> means("one_works", "click").round(4).tolist()
    [[0.05, 0.05, 0.065], [0.075, 0.075, 0.0975]]
    """
    segments = np.array(SEGMENT_FACTORS)[:, None]
    return np.asarray(OUTCOMES[outcome] * segments * np.array(FACTORS[world]), dtype=np.float64)


def arm_values(world: str, outcome: str) -> Floats:
    """Give each arm's expected reward over all customers, (3,).

    Examples
    --------
    >>> arm_values("nothing_works", "click").round(4).tolist()
    [0.0575, 0.0575, 0.0575]
    """
    shares = np.array([1.0 - SECOND_SEGMENT, SECOND_SEGMENT])
    return np.asarray(shares @ means(world, outcome), dtype=np.float64)


def draw(
    rng: np.random.Generator,
    world: str,
    outcome: str,
    bandit: str,
    *,
    logs: int,
    batches: int,
    size: int,
    floor: float = 0.1,
    decay: float = 0.0,
    contextual: bool = False,
) -> Logs:
    """Draw logs.

    Parameters
    ----------
    rng : numpy.random.Generator
    world : str
        One of `FACTORS`.
    outcome : str
        One of `OUTCOMES`.
    bandit : str
        One of `BANDITS`.
    logs, batches, size : int
        How many logs, how many batches in each, how many rows in each batch.
    floor, decay : float
        Each arm's probability is at least ``floor * t ** -decay / 3`` where t counts the batches.
    contextual : bool
        Whether the bandit learns for each segment apart.

    Returns
    -------
    Logs

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> drawn = draw(rng, "harm", "click", "thompson", logs=2, batches=3, size=4)
    >>> drawn.reward.shape, drawn.probabilities[0, 0].round(3).tolist()
    ((2, 12), [0.333, 0.333, 0.333])
    """
    expected = means(world, outcome)
    counts, sums, squares = (np.zeros((logs, 2, ARMS)) for _ in range(3))
    row = np.arange(logs)[:, None]
    parts = []
    for number in range(batches):
        chances = np.full((logs, 2, ARMS), 1.0 / ARMS)
        if number > 0:
            least = floor * (number + 1.0) ** -decay
            greedy = _preferred(rng, bandit, counts, sums, squares, contextual)
            chances = (1.0 - least) * greedy + least / ARMS
        segment = (rng.random((logs, size)) < SECOND_SEGMENT).astype(np.int64)
        own = chances[row, segment]
        cumulated = own.cumsum(axis=2)[:, :, :-1]
        action = (rng.random((logs, size, 1)) >= cumulated).sum(axis=2)
        reward = _reward(rng, outcome, expected[segment, action])
        cell = (row, segment, action)
        np.add.at(counts, cell, 1.0)
        np.add.at(sums, cell, reward)
        np.add.at(squares, cell, reward * reward)
        parts.append((reward, action, segment, own))
    reward, action, segment, probabilities = (
        np.concatenate([part[column] for part in parts], axis=1) for column in range(4)
    )
    return Logs(reward, action, segment, probabilities, np.repeat(np.arange(batches), size))


def _preferred(
    rng: np.random.Generator,
    bandit: str,
    counts: Floats,
    sums: Floats,
    squares: Floats,
    contextual: bool,
) -> Floats:
    """Say with which probability each arm would be drawn without a floor, (S, 2, 3)."""
    if not contextual:
        counts, sums, squares = (
            np.repeat(each.sum(axis=1, keepdims=True), 2, axis=1)
            for each in (counts, sums, squares)
        )
    mean = sums / np.maximum(counts, 1.0)
    if bandit == "epsilon_greedy":
        return np.asarray(np.eye(ARMS)[mean.argmax(axis=2)], dtype=np.float64)
    rows = np.maximum(counts.sum(axis=2, keepdims=True), 1.0)
    overall = sums.sum(axis=2, keepdims=True) / rows
    variance = squares.sum(axis=2, keepdims=True) / rows - overall**2
    spread = np.sqrt(np.maximum(variance, 1e-12) / np.maximum(counts, 1.0))
    if contextual:
        noise = rng.normal(size=(POSTERIOR_DRAWS, *mean.shape))
    else:
        noise = np.repeat(rng.normal(size=(POSTERIOR_DRAWS, mean.shape[0], 1, ARMS)), 2, axis=2)
    best = (mean + spread * noise).argmax(axis=3)
    return np.asarray(np.eye(ARMS)[best].mean(axis=0), dtype=np.float64)


def _reward(rng: np.random.Generator, outcome: str, expected: Floats) -> Floats:
    if outcome == "noise":
        return expected + rng.normal(size=expected.shape)
    if outcome == "click":
        return (rng.random(expected.shape) < expected).astype(np.float64)
    amount = OUTCOMES["spend"] / BUYERS
    buys = rng.random(expected.shape) < expected / amount
    location = np.log(amount) - 0.5 * SPEND_SIGMA**2
    return np.where(buys, rng.lognormal(location, SPEND_SIGMA, expected.shape), 0.0)

"""When a bandit's log cannot answer, and what it would take.

How many independent rows an estimate is *worth* is the spread of rewards over its squared standard
error: a thousand draws of which ten carry large weights are worth few. Below :data:`FEWEST` the
sums are not nearly normal, and how sure they are is itself a guess. The skewness of the estimate is
that of its rows, or what the tail of all rewards makes of so many rows, whichever is larger: an arm
drawn seldom has not seen the tail (`stats.tails`). The limits are where simulated logs stop
covering (`soak/adaptive.py` prints the map).
"""

from __future__ import annotations

import math

import numpy as np

from liftwerk.stats.adaptive.log import Floats, Log
from liftwerk.stats.estimate import Unknown
from liftwerk.stats.interval import skew_of_mean, standard_error
from liftwerk.stats.off_policy.scores import Scores
from liftwerk.stats.simultaneous import CONSTANT
from liftwerk.stats.tails import skewness, two_digits

FEWEST = 100.0
"""Independent rows that an estimate has to be worth."""
SKEWED = 0.3
"""Largest skewness of an estimate that the interval's correction is trusted with."""


def refusal(log: Log, policy: Floats, scores: Scores, skewed: float = SKEWED) -> Unknown | None:
    """Say why there is no interval, if so.

    Parameters
    ----------
    log : Log
    policy : (k,) float array
    scores : Scores
        The policy's, from `contributions.weighted`.
    skewed : float
        Largest skewness.

    Returns
    -------
    Unknown or None
    """
    never = _never_drawn(log, policy)
    if never is not None:
        return never
    if not math.isfinite(scores.value):
        return Unknown(
            f"{_named(log, policy)} could not be drawn for some contexts",
            "a floor under its probability in every context",
        )
    spread = float(log.reward.std())
    error = standard_error(scores.influence)
    if spread <= CONSTANT * max(float(np.abs(log.reward).max()), CONSTANT) or error == 0.0:
        return Unknown("no reward differs, so nothing says how sure this is", "rewards that differ")
    worth = (spread / error) ** 2
    seen = abs(skew_of_mean(scores.influence, error))
    skew = max(seen, abs(skewness(log.reward)) / math.sqrt(worth))
    wanted = worth * max(FEWEST / worth, (skew / skewed) ** 2)
    if wanted <= worth:
        return None
    return Unknown(
        f"{_named(log, policy)}: {_drawn(log, policy)} of {log.n} rows, worth {math.floor(worth)} "
        f"independent ones of the {two_digits(math.ceil(wanted))} that it takes",
        _more(log, policy, wanted - worth),
    )


def _never_drawn(log: Log, policy: Floats) -> Unknown | None:
    drawn = np.bincount(log.action, minlength=len(log.arms))
    for arm in np.flatnonzero((policy != 0.0) & (drawn == 0)):
        name = log.arms[arm]
        return Unknown(f"{name!r} was never drawn", f"rows in which {name!r} is drawn")
    return None


def _named(log: Log, policy: Floats) -> str:
    arms = np.flatnonzero(policy)
    if arms.shape[0] == 1:
        return repr(log.arms[arms[0]])
    return f"a policy over {arms.shape[0]} arms"


def _drawn(log: Log, policy: Floats) -> int:
    return int((policy[log.action] != 0.0).sum())


def _more(log: Log, policy: Floats, missing: float) -> str:
    """Say what it takes, at the probabilities at which the log ended."""
    latest = slice(-max(log.n // 10, 1), None)
    drawn = (policy[log.action] / log.probability) ** 2
    cost = float(drawn[latest].mean())
    if cost == 0.0:
        return f"a floor under the probability of {_named(log, policy)}: it is no longer drawn"
    rows = two_digits(math.ceil(missing * cost))
    return f"about {rows} rows more at the latest probabilities, or fewer with a higher floor"

"""When a bandit's log cannot answer, and what it would take.

How many independent draws an estimate is *worth* follows from the probabilities alone: a thousand
draws of which ten carry large weights are worth few. Below :data:`FEWEST` the sums are not nearly
normal, and how sure they are is itself a guess. The tail is judged by the rewards of all rows, as
in `stats.tails`: an arm that was drawn seldom has not seen it. Neither looks at how the arm's own
draws turned out, since an answer given only where they turned out well would be a biased one; only
the beyond-all-doubt case, in which a few rows carry nearly everything, is refused by them. The
limits are where simulated logs stop covering (`soak/adaptive.py` prints the map).
"""

from __future__ import annotations

import math

import numpy as np

from liftwerk.stats.adaptive.log import Floats, Log
from liftwerk.stats.adaptive.weights import cost, stable
from liftwerk.stats.estimate import Unknown
from liftwerk.stats.interval import skew_of_mean, standard_error
from liftwerk.stats.off_policy.scores import Scores
from liftwerk.stats.simultaneous import CONSTANT
from liftwerk.stats.tails import skewness, two_digits

FEWEST = 100.0
"""Independent draws that an estimate has to be worth."""
SKEWED = 0.25
"""Largest skewness that so many independent rewards' mean may have."""
CARRIED = 0.8
"""Largest skewness of the estimate's own rows: beyond it one of them is nearly all."""


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
    if log.closed_to_contexts(policy):
        return Unknown(
            f"{_named(log, policy)} could not be drawn for some contexts",
            "a floor under its probability in every context",
        )
    error = standard_error(scores.influence)
    if min(error, float(log.reward.std())) <= CONSTANT * float(np.abs(log.reward).max()):
        return Unknown("no reward differs, so nothing says how sure this is", "rewards that differ")
    worth = draws_worth(log, policy)
    skew = abs(skewness(log.reward)) / math.sqrt(worth)
    own = abs(skew_of_mean(scores.influence, error))
    wanted = worth * max(FEWEST / worth, (skew / skewed) ** 2, (own / CARRIED) ** 2)
    if wanted <= worth:
        return None
    return Unknown(
        f"{_named(log, policy)}: {_drawn(log, policy)} of {log.n} rows, worth {math.floor(worth)} "
        f"independent draws of the {two_digits(math.ceil(wanted))} that it takes",
        _more(log, policy, wanted - worth),
    )


def draws_worth(log: Log, policy: Floats) -> float:
    r"""Give the number of independent draws whose mean would be as sure, if rewards spread alike.

    .. math:: (\sum_t h_t)^2 / \sum_t h_t^2 c_t

    with weights `h` and costs `c` of `weights`.

    Examples
    --------
    >>> half = np.full((200, 2), 0.5)
    >>> drawn, batch = np.arange(200) % 2, np.zeros(200, dtype=int)
    >>> log = Log(np.ones(200), drawn, half[:, 0], batch, ["a", "b"], half)
    >>> round(draws_worth(log, np.array([0.0, 1.0])), 6)
    100.0
    """
    weights = stable(log, policy)
    possible = weights > 0.0
    squares = weights[possible] ** 2 @ cost(log, policy)[possible]
    return float(weights.sum() ** 2 / squares)


def _never_drawn(log: Log, policy: Floats) -> Unknown | None:
    drawn = np.bincount(log.action, minlength=len(log.arms))
    for arm in np.flatnonzero((policy != 0.0) & (drawn == 0)):
        name = log.arms[int(arm)]
        return Unknown(f"{name!r} was never drawn", f"rows in which {name!r} is drawn")
    return None


def _named(log: Log, policy: Floats) -> str:
    arms = np.flatnonzero(policy)
    if arms.shape[0] == 1:
        return repr(log.arms[int(arms[0])])
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

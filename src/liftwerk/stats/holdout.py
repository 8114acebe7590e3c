r"""What a programme adds, read week after week on the same customers, at any time.

Let :math:`S_t` be the difference of the arms' mean totals up to look `t`, times the number of
customers, and :math:`V_t` its variance. Customers who bought much go on doing so, so looks are not
sums of independent steps, and sequences for independent units don't apply. But if what customers
spend from one look to another does not correlate negatively with what they spent before, then
:math:`\mathrm{Cov}(S_s, S_t) \ge V_s`: the standardised looks are at least as correlated as those
of a Brownian motion on the clock :math:`V`. By Slepian's inequality (1962, Bell System Technical
Journal 41) they cross a boundary on one side no more often than it does. So two one-sided
normal-mixture boundaries (Howard, Ramdas, McAuliffe and Sekhon, 2021, Annals of Statistics 49(2),
eq. 15), each with half of the error, hold at all looks together.

The condition is checked at each look, for all that was spent before against what was spent since.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from liftwerk.stats.difference import region
from liftwerk.stats.difference.adjust import adjust
from liftwerk.stats.difference.arms import Arms
from liftwerk.stats.difference.contrast import Contrast, Difference
from liftwerk.stats.difference.intervals import standard_error
from liftwerk.stats.difference.kinds import KINDS
from liftwerk.stats.difference.methods.anytime import Anytime
from liftwerk.stats.difference.pair import Both, pair
from liftwerk.stats.estimate import Unknown

GROWTH = 1.5
"""Power of time with which a total's variance grows: 1 if weeks were independent, 2 if alike."""
SURE = 2.33
"""Standard errors below 0 from which a correlation counts as negative."""
ASSUMPTIONS = (
    "may be read at any time and again",
    "what customers spend does not correlate negatively with what they spent before",
    "who is held out is held out of all of it",
)


def holdout(looks: Sequence[Both], horizon: int, level: float = 0.95) -> list[Difference]:
    """Read every look of a holdout: how much the treated have spent more, from the start on.

    Parameters
    ----------
    looks : sequence of (held out, treated)
        Moments over customers with two columns: what was spent up to this look, and what of it
        since the look before. The first look counts everything as spent since.
    horizon : int
        Number of looks at which intervals shall be narrowest.
    level : float

    Returns
    -------
    list of Difference
        One a look, in the metric's unit a customer; multiply by the number of treated customers
        for what the programme added. Unknown until the tail allows an interval, and from the look
        on at which customers who had spent much were seen to spend less than others.

    Examples
    --------
    >>> from liftwerk.stats.moments import Moments
    >>> taste = np.random.default_rng(0).gamma(2.0, 1.0, (2, 4000))
    >>> first, second = taste * [[1.0], [1.1]], taste * [[1.0], [1.2]]
    >>> looks = [
    ...     tuple(Moments.of([first[arm], first[arm]]) for arm in (0, 1)),
    ...     tuple(Moments.of([first[arm] + second[arm], second[arm]]) for arm in (0, 1)),
    ... ]
    >>> for look in holdout(looks, horizon=2):
    ...     print(look.absolute)
    0.205918 (0.101048 to 0.310788)
    0.614771 (0.406728 to 0.822813)
    """
    answers = []
    broken: Unknown | None = None
    tuned: float | None = None
    for number, look in enumerate(looks, start=1):
        if number > 1 and broken is None:
            broken = _falling(look)
        found = broken if broken is not None else _refused(look)
        if found is not None:
            answers.append(Difference(found, found, None, "anytime"))
            continue
        contrast = _contrast(look, horizon / number, tuned, level)
        if isinstance(contrast, Unknown):
            answers.append(Difference(contrast, contrast, None, "anytime"))
            continue
        assert isinstance(contrast.law, Anytime)
        tuned = contrast.law.tuned_for
        answers.append(contrast.read(level))
    return answers


def _contrast(
    look: Both, remaining: float, tuned: float | None, level: float
) -> Contrast | Unknown:
    """Compare the arms of one look; the first one also says what to tune for."""
    held, treated = (arm.take([0]) for arm in look)
    values = adjust(KINDS["mean"], pair([(held, treated)]))
    fault = values.why_not()
    if fault is not None:
        return fault
    n = held.n + treated.n
    clock = (n * float(standard_error(values.covariance))) ** 2
    if tuned is None:
        tuned = clock * remaining**GROWTH
    law = Anytime(clock, tuned, level, correlated=True)
    words = "difference of mean totals: normal mixture on the clock of its variance"
    control, other = (float(value) for value in values.values)
    return Contrast(control, other, values.covariance, n, "anytime", law, words, ASSUMPTIONS)


def _refused(look: Both) -> Unknown | None:
    """Ask the totals whether their tail allows an interval."""
    held, treated = (arm.take([0]) for arm in look)
    arms = Arms.of([(held, treated)])
    return region.refusal(KINDS["mean"], arms, clustered=False, corrected=False)


def _falling(look: Both) -> Unknown | None:
    """Refuse where what was spent before goes with less spending since."""
    # Columns: total, and since. What was spent before is the first less the second.
    products = sum((arm.products for arm in look), start=np.zeros((2, 2)))
    n = sum(arm.n for arm in look)
    before = float(products[0, 0] - 2.0 * products[0, 1] + products[1, 1])
    since = float(products[1, 1])
    if min(before, since) <= 0.0:
        return None
    correlation = float(products[0, 1] - products[1, 1]) / math.sqrt(before * since)
    if correlation + SURE / math.sqrt(n) >= 0.0:
        return None
    reason = "customers who had spent more spend less than others since, so looks do not add up"
    return Unknown(reason, "a reading at a fixed time, or an experiment on new customers")

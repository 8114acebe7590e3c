"""What arms are worth, from a log whose probabilities a bandit changed while it learned.

Means of such a log are biased, and the usual interval around an unbiased score fails where the
bandit turned away from an arm. Here rows are weighted by what was known before they were drawn, so
that each brings the same variance (`weights`), expected rewards are made from the past alone
(`log`), and intervals are corrected for the skewness of rare rewards (`estimate`), or hold at every
look (`anytime`). Logs that cannot answer are refused.
"""

from __future__ import annotations

from liftwerk.stats.adaptive.anytime import anytime_difference, anytime_value
from liftwerk.stats.adaptive.estimate import Difference, difference, value
from liftwerk.stats.adaptive.log import Log

__all__ = ["Difference", "Log", "anytime_difference", "anytime_value", "difference", "value"]

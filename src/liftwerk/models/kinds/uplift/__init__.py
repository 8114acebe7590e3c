"""What an action adds over control: doubly robust, cross-fitted, with known probabilities.

Arms' means by ridge from sums, doubly robust scores, learners on the scores, and a blend around
the average effect. What is done with an effect is left to `decisions`; how sure one may be of it,
to `stats`.
"""

from __future__ import annotations

from liftwerk.lazy import attach

__all__ = ["CrossFit", "UpliftModel", "cross_fit", "fit_uplift"]

_MODEL = "liftwerk.models.kinds.uplift.model"
_CROSS_FIT = "liftwerk.models.kinds.uplift.cross_fit"
_WHERE = {
    "CrossFit": _CROSS_FIT,
    "UpliftModel": _MODEL,
    "cross_fit": _CROSS_FIT,
    "fit_uplift": _MODEL,
}

__getattr__ = attach(__name__, _WHERE)

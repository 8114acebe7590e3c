"""What is likely: trained, content-hashed predictors of what an action would add.

The room encodes features, fits a model kind on outcomes whose action probabilities are known, and
describes what came out. Where features and outcomes come from is left to `features` and `metrics`;
what is done with a prediction, and what it is worth, to `decisions`.
"""

from __future__ import annotations

from liftwerk.lazy import attach

__all__ = ["Design", "Encoder", "UpliftModel", "cross_fit", "fit_uplift"]

_WHERE = {
    "Design": "liftwerk.models.design",
    "Encoder": "liftwerk.models.encode",
    "UpliftModel": "liftwerk.models.kinds.uplift.model",
    "cross_fit": "liftwerk.models.kinds.uplift.cross_fit",
    "fit_uplift": "liftwerk.models.kinds.uplift.model",
}

__getattr__ = attach(__name__, _WHERE)

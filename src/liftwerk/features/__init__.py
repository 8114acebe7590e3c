"""What is known of a customer as of a time: one definition, compiled, checked and versioned.

The room compiles features to SQL that reads only what had happened and was known by the as-of time,
and to tiles that are kept ready and follow the log. It makes values of exact whole numbers, checks
them against their declared bounds, and says by a hash what they depend on. Who may be read is
decided by `events` for a purpose; what the values predict is left to `models`.
"""

from __future__ import annotations

from liftwerk.lazy import attach

__all__ = [
    "check_features",
    "compile_features",
    "current",
    "feature_version",
    "feature_versions",
    "training_set",
]

_WHERE = {
    "check_features": "liftwerk.features.checks.values",
    "compile_features": "liftwerk.features.compile",
    "current": "liftwerk.features.as_of",
    "feature_version": "liftwerk.features.version",
    "feature_versions": "liftwerk.features.version",
    "training_set": "liftwerk.features.as_of",
}

__getattr__ = attach(__name__, _WHERE)

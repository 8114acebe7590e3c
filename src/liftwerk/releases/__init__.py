"""What may go live: immutable bundles, their gates and the one pointer to the champion.

A release names a policy with its model, feature versions and evaluation by their content. It
starts as a ``draft``; moving it is one transaction with its audit entry. Shadow, canary, rollback
and the review board grow here.
"""

from __future__ import annotations

from liftwerk.lazy import attach

__all__ = ["Release", "Verdict", "champion", "judge"]

_WHERE = {
    "Release": "liftwerk.releases.create",
    "Verdict": "liftwerk.releases.gate",
    "champion": "liftwerk.releases.advance",
    "judge": "liftwerk.releases.gate",
}

__getattr__ = attach(__name__, _WHERE)

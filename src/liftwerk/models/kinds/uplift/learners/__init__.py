"""How an effect can depend on features: one file a learner, and the list of them.

A learner is fitted to the doubly robust scores of all actions at once. Which learner is believed,
and how far, is left to the blend.
"""

from __future__ import annotations

from liftwerk.models.kinds.uplift.learners.boosted import Boosted
from liftwerk.models.kinds.uplift.learners.learner import Learned, Sample
from liftwerk.models.kinds.uplift.learners.linear import Linear

__all__ = ["LEARNERS", "Learned", "Sample"]

LEARNERS: tuple[type[Learned], ...] = (Linear, Boosted)
"""Every learner; adding one is a file and a name here."""

"""How far a treated arm is from control, from moments: what every reading of an experiment asks.

`difference` compares two arms; `contrast` and `together` do it for a family of metrics and arms.
Kinds of metrics are a file each in `kinds/`, methods in `methods/`. Outside the region in which
intervals were shown to cover, the answer is `Unknown`.
"""

from __future__ import annotations

from liftwerk.stats.difference.contrast import Contrast, Difference, contrast, difference, together
from liftwerk.stats.difference.kinds import KINDS
from liftwerk.stats.difference.methods import METHODS

__all__ = ["KINDS", "METHODS", "Contrast", "Difference", "contrast", "difference", "together"]

"""What a geo test added: counterfactuals made of other markets.

Simplex-constrained synthetic control and its ridge augmentation (`augmented`), conformal inference
as the one method for interval and p-value (`conformal`), what the method says where nothing was
done (`placebo`), and synthetic difference-in-differences as a second opinion
(`difference_in_differences`). `measure` puts the first three together.
"""

from __future__ import annotations

from liftwerk.stats.synthetic_control.measure import Measured, measure
from liftwerk.stats.synthetic_control.panel import Panel

__all__ = ["Measured", "Panel", "measure"]

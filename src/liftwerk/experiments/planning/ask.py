"""What is asked of a planner, whatever the design."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

import numpy as np

from liftwerk.experiments.definition import ExperimentDefinition
from liftwerk.experiments.planning.plan import LONGEST

Tell = Callable[[str, str], None]


def silent(step: str, doing: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Asked:
    """An experiment that is to be planned.

    Attributes
    ----------
    name : str
    experiment : ExperimentDefinition
    now : datetime
        Nothing later is known.
    effect : float
        The smallest one that is to be seen, as a part of control's mean; above 0.
    rng : numpy.random.Generator
        For simulations.
    within : int
        Days on which units may enter.
    most : float
        The largest share of all units that its layer has room for.
    costs : mapping of str to decimal.Decimal
        Arm -> what its action costs once.
    simulate : bool
        Whether power is simulated besides.
    tell : callable
        Called with a step's name and what it is doing.
    """

    name: str
    experiment: ExperimentDefinition
    now: datetime
    effect: float
    rng: np.random.Generator
    within: int = LONGEST
    most: float = 1.0
    costs: Mapping[str, Decimal] = field(default_factory=dict)
    simulate: bool = True
    tell: Tell = silent

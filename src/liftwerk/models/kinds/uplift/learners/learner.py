"""What a learner is given, and what it must be able to do once it has learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from liftwerk.models.design import Design, Floats
from liftwerk.models.kinds.uplift.trial import Groups, Trial


@dataclass(frozen=True)
class Sample:
    """The part of a trial that a learner may see.

    Parameters
    ----------
    trial : Trial
        The trial; a learner reads the sample's rows of it and nothing else.
    groups : tuple of groups
        Groups of rows to cross-validate over.
    rows : ndarray of int, shape (n,)
        The sample's rows.
    scores : ndarray of float64, shape (n, k - 1)
        Their doubly robust scores.
    """

    trial: Trial
    groups: Groups
    rows: npt.NDArray[np.intp]
    scores: Floats

    @classmethod
    def of(cls, trial: Trial, groups: Groups) -> Sample:
        """Score the rows of some groups, each group by the others."""
        rows, scores = trial.sample_scores(groups)
        return cls(trial, groups, rows, scores)


class Learned(Protocol):
    """A fitted learner of all actions' effects."""

    name: ClassVar[str]
    chance: ClassVar[float]
    """How likely it is, before the data speak, that the blend needs it."""

    @classmethod
    def fit(cls, sample: Sample) -> Learned:
        """Learn from a sample."""
        ...

    def effects_of_rows(self, trial: Trial, rows: npt.NDArray[Any]) -> Floats:
        """Effects (rows, k - 1) for rows of the trial it was fitted in."""
        ...

    def effects(self, design: Design) -> Floats:
        """Effects (n, k - 1) of any customers."""
        ...

    def explain(self, design: Design) -> Floats:
        """Contributions (n, k - 1, features + 1), the starting value last."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Write as plain JSON values."""
        ...

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Learned:
        """Read what `to_dict` wrote."""
        ...

"""Effects linear in the encoded features: a horseshoe on the doubly robust scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from liftwerk.models.design import Design, Floats
from liftwerk.models.encode import Encoder
from liftwerk.models.kinds.uplift.horseshoe import horseshoe
from liftwerk.models.kinds.uplift.learners.learner import Sample
from liftwerk.models.kinds.uplift.ridge import affine_map
from liftwerk.models.kinds.uplift.trial import Trial


@dataclass(frozen=True)
class Linear:
    """A regularised linear DR learner (Kennedy 2023; Semenova and Chernozhukov 2021)."""

    name: ClassVar[str] = "linear"
    chance: ClassVar[float] = 1.0
    encoder: Encoder
    coefficients: Floats
    raw: Floats

    @classmethod
    def fit(cls, sample: Sample) -> Linear:
        """Solve the regressions of all actions from the sample's sums."""
        trial = sample.trial
        encoder, encoding = trial.encoding(sample.groups)
        affine = affine_map(encoding)
        gram = affine.T @ trial.total_gram(sample.groups) @ affine
        rows = gram[0, 0]
        average = sample.scores.mean(axis=0)
        away = sample.scores - average
        # The encoding is centred on the sample, so that intercept and slopes do not mix.
        slopes = horseshoe(
            gram[1:, 1:],
            (away.T @ trial.basis.matrix[sample.rows]) @ encoding,
            np.square(away).sum(axis=0),
            rows,
            encoder.sources,
        )
        coefficients = np.column_stack([average, slopes])
        return cls(encoder, coefficients, coefficients @ affine.T)

    def effects_of_rows(self, trial: Trial, rows: npt.NDArray[Any]) -> Floats:
        """Effects for rows of the trial, through the raw columns."""
        return np.asarray(trial.basis.matrix[rows] @ self.raw.T)

    def effects(self, design: Design) -> Floats:
        """Effects of any customers."""
        encoded = self.encoder.transform(design)
        return np.asarray(encoded @ self.coefficients[:, 1:].T + self.coefficients[:, 0])

    def explain(self, design: Design) -> Floats:
        """Coefficient times distance from the mean, summed by feature."""
        encoded = self.encoder.transform(design)
        parts = np.zeros((len(design), len(self.coefficients), len(self.encoder.names) + 1))
        for j, source in enumerate(self.encoder.sources):
            parts[:, :, source] += encoded[:, j, None] * self.coefficients[None, :, 1 + j]
        parts[:, :, -1] = self.coefficients[:, 0]
        return parts

    def to_dict(self) -> dict[str, Any]:
        """Write as plain JSON values."""
        return {"encoder": self.encoder.to_dict(), "coefficients": self.coefficients.tolist()}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Linear:
        """Read what `to_dict` wrote; the raw form stays with the trial it was fitted in."""
        coefficients = np.array(document["coefficients"], dtype=np.float64)
        return cls(Encoder.from_dict(document["encoder"]), coefficients, np.zeros((0, 0)))

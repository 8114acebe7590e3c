"""Effects as a sum of small trees: LightGBM on the doubly robust scores, strongly regularised.

Numbers are cut into a few bins that the sample defines, and customers who look alike after that
are one weighted row: squared loss cannot tell the difference, and the trees grow several times
faster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from liftwerk.lazy import LazyModule
from liftwerk.models.design import Column, Design, Floats, Ints, is_unknown
from liftwerk.models.encode import RARE_ROWS, RARE_SHARE
from liftwerk.models.kinds.uplift.learners.learner import Sample
from liftwerk.models.kinds.uplift.trial import Trial

if TYPE_CHECKING:
    import lightgbm
else:
    lightgbm = LazyModule("lightgbm")

BINS = 16
TREES = 40
FEWEST_IN_LEAF = 200.0
SHARE_IN_LEAF = 0.02

SETTINGS = {
    "objective": "regression",
    "num_leaves": 4,
    "learning_rate": 0.1,
    "min_data_in_leaf": 1,
    "min_data_in_bin": 1,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "seed": 1,
    "verbosity": -1,
}


@dataclass(frozen=True)
class Cut:
    """How one feature is cut: between the edges of a number, or into a category's levels."""

    name: str
    edges: tuple[float, ...]
    levels: tuple[str, ...] | None

    @property
    def width(self) -> int:
        """How many columns the trees see of it."""
        if self.levels is None:
            return 1
        return len(self.levels)

    def digits(self, column: Column) -> Ints:
        """Bin or level of each row; one past the last where unknown or unseen."""
        if self.levels is None:
            bins = np.searchsorted(np.array(self.edges), column.values, side="right")
            return np.where(is_unknown(column), len(self.edges) + 1, bins)
        if column.levels is None:
            # A column of nulls alone has no type of its own; the encoder refuses any other number.
            return np.full(len(column.values), len(self.levels), dtype=np.int64)
        place = {level: code for code, level in enumerate(self.levels)}
        unseen = len(self.levels)
        recode = np.array([*(place.get(level, unseen) for level in column.levels), unseen])
        return np.asarray(recode[column.values])

    def columns(self, digits: Ints) -> Floats:
        """Show the trees the bin's number, NaN where unknown, or an indicator a level."""
        if self.levels is None:
            unknown = digits > len(self.edges)
            return np.where(unknown, np.nan, digits.astype(np.float64))[:, None]
        indicators: Floats = (digits[:, None] == np.arange(len(self.levels))).astype(np.float64)
        return indicators


def cut(column: Column, rows: npt.NDArray[Any]) -> Cut:
    """Learn a feature's bins or levels from the sample's rows."""
    values = column.values[rows]
    if column.levels is None:
        known = values[~np.isnan(values)]
        distinct = np.unique(known)
        if len(distinct) > BINS:
            edges = np.unique(np.quantile(known, np.arange(1, BINS) / BINS))
        else:
            edges = (distinct[1:] + distinct[:-1]) / 2.0
        return Cut(column.name, tuple(float(edge) for edge in edges), None)
    counts = np.bincount(values + 1, minlength=len(column.levels) + 1)[1:]
    rare = max(RARE_ROWS, RARE_SHARE * len(rows))
    levels = tuple(
        level for level, count in zip(column.levels, counts, strict=True) if count >= rare
    )
    return Cut(column.name, (), levels)


def _digits(cuts: tuple[Cut, ...], design: Design) -> list[Ints]:
    columns = {column.name: column for column in design.columns}
    return [each.digits(columns[each.name]) for each in cuts]


def _matrix(cuts: tuple[Cut, ...], digits: list[Ints]) -> Floats:
    blocks = [each.columns(codes) for each, codes in zip(cuts, digits, strict=True)]
    return np.concatenate([np.zeros((len(digits[0]), 1)), *blocks], axis=1)[:, 1:]


def _cells(cuts: tuple[Cut, ...], digits: list[Ints]) -> tuple[Ints, Ints]:
    """Find the distinct rows; return the first row of each cell, and each row's cell."""
    code = np.zeros(len(digits[0]), dtype=np.int64)
    size = 1
    for each, codes in zip(cuts, digits, strict=True):
        radix = len(each.edges) + 2
        if each.levels is not None:
            radix = len(each.levels) + 1
        if size * radix > 2**62:
            code = np.unique(code, return_inverse=True)[1]
            size = int(code.max()) + 1
        code = code * radix + codes
        size *= radix
    _, first, cell = np.unique(code, return_index=True, return_inverse=True)
    return first, cell


@dataclass(frozen=True)
class Boosted:
    """A regularised boosted DR learner."""

    name: ClassVar[str] = "boosted"
    chance: ClassVar[float] = 0.1
    cuts: tuple[Cut, ...]
    trees: tuple[lightgbm.Booster, ...]

    @classmethod
    def fit(cls, sample: Sample) -> Boosted:
        """Grow the trees of every action on the sample's distinct rows."""
        design = sample.trial.design.take(sample.rows)
        everything = np.arange(len(design))
        cuts = tuple(cut(column, everything) for column in design.columns)
        digits = _digits(cuts, design)
        first, cell = _cells(cuts, digits)
        weight = np.bincount(cell).astype(np.float64)
        matrix = _matrix(cuts, [codes[first] for codes in digits])
        leaf = max(FEWEST_IN_LEAF, SHARE_IN_LEAF * len(design))
        settings = {**SETTINGS, "min_sum_hessian_in_leaf": leaf}
        data = lightgbm.Dataset(matrix, weight=weight, params=settings, free_raw_data=False)
        trees = []
        for scores in sample.scores.T:
            data.set_label(np.bincount(cell, weights=scores) / weight)
            trees.append(lightgbm.train(settings, data, TREES))
        return cls(cuts, tuple(trees))

    def effects_of_rows(self, trial: Trial, rows: npt.NDArray[Any]) -> Floats:
        """Effects for rows of the trial."""
        return self.effects(trial.design.take(rows))

    def effects(self, design: Design) -> Floats:
        """Effects of any customers, each distinct row predicted once."""
        digits = _digits(self.cuts, design)
        first, cell = _cells(self.cuts, digits)
        matrix = _matrix(self.cuts, [codes[first] for codes in digits])
        distinct = np.stack([each.predict(matrix, num_threads=1) for each in self.trees], axis=1)
        return np.asarray(distinct[cell])

    def explain(self, design: Design) -> Floats:
        """Shapley values of the trees, summed by feature (Lundberg et al. 2020)."""
        matrix = _matrix(self.cuts, _digits(self.cuts, design))
        owner = np.repeat(np.arange(len(self.cuts)), [each.width for each in self.cuts])
        parts = np.zeros((len(design), len(self.trees), len(self.cuts) + 1))
        for action, trees in enumerate(self.trees):
            found = trees.predict(matrix, pred_contrib=True, num_threads=1)
            for j, source in enumerate(owner):
                parts[:, action, source] += found[:, j]
            parts[:, action, -1] = found[:, -1]
        return parts

    def to_dict(self) -> dict[str, Any]:
        """Write as plain JSON values, the trees in LightGBM's text form."""
        cuts = [[each.name, list(each.edges), each.levels] for each in self.cuts]
        return {"cuts": cuts, "trees": [each.model_to_string() for each in self.trees]}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Boosted:
        """Read what `to_dict` wrote; predictions are the same bit for bit."""
        cuts = []
        for name, edges, levels in document["cuts"]:
            if levels is not None:
                levels = tuple(levels)
            cuts.append(Cut(name, tuple(edges), levels))
        trees = tuple(lightgbm.Booster(model_str=text) for text in document["trees"])
        return cls(tuple(cuts), trees)

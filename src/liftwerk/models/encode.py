"""Features to numbers: an `Encoder` that learns from its part only.

The linear encoding of a part is a linear map of one raw matrix, the `Basis`, and all that it
learns (means, scales, which levels are frequent enough) follows from sums over the part's rows.
Sums over folds add up, so encoding "without fold f" costs nothing and sees nothing of fold f.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from liftwerk.errors import InputError
from liftwerk.models.design import Column, Design, Features, Floats, Ints, as_design, is_unknown

RARE_ROWS = 10
"""A level (or a missing value) seen in fewer rows than this is encoded as if it were unseen."""

RARE_SHARE = 0.005
"""The same, as a share of the rows that are learned from; it also bounds the encoding's width."""

BINARY_SCALE = 0.5
"""Indicators are divided by this, whatever their frequency: a rare level earns no louder voice."""


@dataclass(frozen=True)
class Term:
    """One column of the encoding: what it is made of, and what was learned for it."""

    source: int
    kind: str
    level: str
    mean: float
    scale: float


@dataclass(frozen=True)
class Encoder:
    """The linear encoding learned from one part of the rows.

    A number is standardised with its mean put in for unknown values; an unknown value adds a flag
    where the part had any; a category becomes one indicator a level. What is constant, rare or
    unseen in the part is left out, so that a new level is all zeros before centring.

    Examples
    --------
    >>> import pyarrow as pa
    >>> table = pa.table({"age": [20.0, 40.0] * 20, "area": ["Rural", "Urban"] * 20})
    >>> encoder = Encoder.fit(Design.from_table(table))
    >>> encoder.labels
    ('age', 'area=Rural', 'area=Urban')
    >>> encoder.transform(Design.from_table(table))[:2].tolist()
    [[-1.0, 1.0, -1.0], [1.0, -1.0, 1.0]]
    """

    names: tuple[str, ...]
    terms: tuple[Term, ...]

    @classmethod
    def fit(cls, features: Features) -> Encoder:
        """Learn means, scales and levels from all rows given."""
        design = as_design(features)
        basis = Basis.of(design, np.zeros(len(design), dtype=np.int64))
        return basis.encoder(basis.matrix.sum(axis=0), np.square(basis.matrix).sum(axis=0))[0]

    @property
    def sources(self) -> Ints:
        """For each encoded column, the position of the feature it came from."""
        return np.array([term.source for term in self.terms], dtype=np.int64)

    @property
    def labels(self) -> tuple[str, ...]:
        """A readable name for each encoded column."""
        suffix = {"number": "", "missing": " is unknown", "level": "="}
        return tuple(
            f"{self.names[term.source]}{suffix[term.kind]}{term.level}" for term in self.terms
        )

    def transform(self, features: Features) -> Floats:
        """Encode rows.

        Parameters
        ----------
        features : Design, pyarrow.Table or ndarray
            The same features by name; their order does not matter.

        Returns
        -------
        ndarray of float64, shape (n, number of terms)

        Raises
        ------
        InputError
            If a feature is missing, or was a number and is a category now.
        """
        design = as_design(features)
        columns = {column.name: column for column in design.columns}
        encoded = np.empty((len(design), len(self.terms)))
        for j, term in enumerate(self.terms):
            column = columns.get(self.names[term.source])
            if column is None:
                raise InputError(
                    "feature column is missing", self.names[term.source], "add it to the table"
                )
            encoded[:, j] = (_raw(column, term) - term.mean) / term.scale
        return encoded

    def to_dict(self) -> dict[str, Any]:
        """Write the encoder as plain JSON values."""
        terms = [[t.source, t.kind, t.level, t.mean, t.scale] for t in self.terms]
        return {"names": list(self.names), "terms": terms}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Encoder:
        """Read what `to_dict` wrote; the encoding is the same bit for bit."""
        terms = tuple(
            Term(int(source), kind, level, float(mean), float(scale))
            for source, kind, level, mean, scale in document["terms"]
        )
        return cls(tuple(document["names"]), terms)


def _raw(column: Column, term: Term) -> Floats:
    unknown = is_unknown(column)
    if term.kind == "missing":
        return unknown.astype(np.float64)
    if term.kind == "number" and column.levels is None:
        return np.where(unknown, term.mean, column.values)
    if term.kind == "level" and column.levels is not None:
        if term.level not in column.levels:
            return np.zeros(len(column.values))
        indicator: Floats = (column.values == column.levels.index(term.level)).astype(np.float64)
        return indicator
    if unknown.all():
        # A column of nulls alone has no type of its own: it is unknown, whatever was learned.
        assumed = 0.0
        if term.kind == "number":
            assumed = term.mean
        return np.full(len(column.values), assumed)
    raise InputError(
        f"feature was learned as a {term.kind}", column.name, "keep its type, or train again"
    )


@dataclass(frozen=True)
class Basis:
    """The raw matrix that every part's encoding is a linear map of.

    Its columns are 1, each number (0 where unknown), an unknown flag where anything is unknown,
    and an indicator for every level that some part could use. Numbers are shifted and divided by
    constants for the sake of floating point alone: no encoding depends on them beyond rounding.

    Parameters
    ----------
    names : tuple of str
        The features' names.
    specs : tuple of (int, str, str, float, float)
        For each column after the first: source, kind, level, shift, divisor.
    binary : tuple of bool
        For each feature whether it is a boolean.
    matrix : ndarray of float64, shape (n, columns)
    """

    names: tuple[str, ...]
    specs: tuple[tuple[int, str, str, float, float], ...]
    binary: tuple[bool, ...]
    matrix: Floats

    @classmethod
    def of(cls, design: Design, parts: Ints) -> Basis:
        """Build the raw matrix; `parts` are the rows' smallest groups, numbered from 0."""
        specs: list[tuple[int, str, str, float, float]] = []
        columns: list[Floats] = [np.ones(len(design))]
        sizes = np.bincount(parts)
        for source, column in enumerate(design.columns):
            unknown = is_unknown(column)
            if column.levels is None:
                shift, divisor = _conditioning(column, unknown)
                specs.append((source, "number", "", shift, divisor))
                columns.append(np.where(unknown, 0.0, (column.values - shift) / divisor))
            else:
                for code in _candidates(column, parts, sizes):
                    specs.append((source, "level", column.levels[code], 0.0, 1.0))
                    columns.append((column.values == code).astype(np.float64))
            if unknown.any():
                specs.append((source, "missing", "", 0.0, 1.0))
                columns.append(unknown.astype(np.float64))
        matrix = np.ascontiguousarray(np.stack(columns, axis=1))
        return cls(design.names, tuple(specs), tuple(c.binary for c in design.columns), matrix)

    def encoder(self, sums: Floats, squares: Floats) -> tuple[Encoder, Floats]:
        """Make the encoder of a part from the sums of the part's rows.

        Parameters
        ----------
        sums, squares : ndarray of float64, shape (columns,)
            Sums of the raw columns and of their squares over the part; ``sums[0]`` is its rows.

        Returns
        -------
        encoder : Encoder
        map : ndarray of float64, shape (columns, terms)
            ``matrix @ map`` is the encoded matrix.
        """
        n = sums[0]
        flags = {spec[0]: j for j, spec in enumerate(self.specs, 1) if spec[1] == "missing"}
        rare = max(RARE_ROWS, RARE_SHARE * n)
        terms: list[Term] = []
        maps: list[Floats] = []
        for j, (source, kind, level, shift, divisor) in enumerate(self.specs, 1):
            entry = np.zeros(len(sums))
            if kind == "number":
                flag = flags.get(source)
                known = n
                if flag is not None:
                    known = n - sums[flag]
                mean = sums[j] / max(known, 1.0)
                spread = np.sqrt(max((squares[j] - known * mean**2) / n, 0.0))
                if spread <= 1e-7:
                    continue
                if self.binary[source]:
                    spread = BINARY_SCALE / divisor
                entry[0], entry[j] = -mean / spread, 1.0 / spread
                if flag is not None:
                    entry[flag] = mean / spread
                terms.append(Term(source, kind, "", shift + divisor * mean, divisor * spread))
            else:
                if sums[j] < rare or n - sums[j] < 1:
                    continue
                mean = sums[j] / n
                entry[0], entry[j] = -mean / BINARY_SCALE, 1.0 / BINARY_SCALE
                terms.append(Term(source, kind, level, mean, BINARY_SCALE))
            maps.append(entry)
        encoder = Encoder(self.names, tuple(_plain(term) for term in terms))
        if not maps:
            return encoder, np.zeros((len(sums), 0))
        return encoder, np.stack(maps, axis=1)


def _plain(term: Term) -> Term:
    return Term(term.source, term.kind, term.level, float(term.mean), float(term.scale))


def _conditioning(column: Column, unknown: npt.NDArray[np.bool_]) -> tuple[float, float]:
    if column.binary:
        return 0.0, 1.0
    known = column.values[~unknown]
    if not known.size:
        return 0.0, 1.0
    spread = float(known.std())
    if spread == 0.0:
        return float(known[0]), 1.0
    return float(known.mean()), spread


def _candidates(column: Column, parts: Ints, sizes: Ints) -> list[int]:
    """List the levels that are frequent in some part: a union of parts can have no others."""
    assert column.levels is not None
    width = len(column.levels) + 1
    counts = np.bincount(parts * width + column.values + 1, minlength=len(sizes) * width)
    by_part = counts.reshape(len(sizes), width)[:, 1:]
    frequent = (by_part >= RARE_SHARE * sizes[:, None]).any(axis=0)
    return [int(code) for code in np.flatnonzero(frequent & (by_part.sum(axis=0) >= RARE_ROWS))]

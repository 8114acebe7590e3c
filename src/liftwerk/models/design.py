"""Feature columns as the models take them: a typed `Design`, from Arrow or a matrix.

A column is a *number* (booleans included; NaN where unknown) or a *category*. Nothing is learned
here; what is learned from a design is left to `encode`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from liftwerk.errors import InputError

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Column:
    """One feature: a number with NaN where unknown, or codes into sorted levels, -1 where unknown.

    Parameters
    ----------
    name : str
        The feature's name.
    values : ndarray of float64 or int64, shape (n,)
        Numbers, or codes when `levels` is given.
    levels : tuple of str, optional
        The category's levels; None for a number.
    binary : bool
        The number is a boolean's 0 or 1.
    """

    name: str
    values: Floats | Ints
    levels: tuple[str, ...] | None = None
    binary: bool = False


@dataclass(frozen=True)
class Design:
    """Features of n customers, typed, before anything was learned from them.

    Examples
    --------
    >>> table = pa.table({"age": [30, None, 50], "area": ["Rural", "Urban", None]})
    >>> design = Design.from_table(table)
    >>> [(c.name, c.levels) for c in design.columns]
    [('age', None), ('area', ('Rural', 'Urban'))]
    >>> len(design)
    3
    """

    columns: tuple[Column, ...]
    rows: int

    def __len__(self) -> int:
        return self.rows

    @property
    def names(self) -> tuple[str, ...]:
        """The features' names in order."""
        return tuple(column.name for column in self.columns)

    @classmethod
    def from_table(cls, table: pa.Table, names: Sequence[str] | None = None) -> Design:
        """Read named columns of an Arrow table.

        Parameters
        ----------
        table : pyarrow.Table
            Numbers, booleans, strings; nulls and NaN mean unknown.
        names : sequence of str, optional
            Which columns, in this order; all by default.

        Returns
        -------
        Design

        Raises
        ------
        InputError
            If a column is missing, infinite, or of a type that has no encoding.
        """
        if names is None:
            names = table.column_names
        columns = []
        for name in names:
            if name not in table.column_names:
                raise InputError("feature column is missing", name, "add it to the table")
            columns.append(_read(name, table[name]))
        return cls(tuple(columns), table.num_rows)

    @classmethod
    def from_matrix(cls, matrix: npt.ArrayLike, names: Sequence[str] | None = None) -> Design:
        """Take the columns of an (n, p) matrix of numbers, named x0, x1, ... by default."""
        numbers = np.asarray(matrix, dtype=np.float64)
        if numbers.ndim != 2:
            raise InputError("features are not a matrix", f"shape {numbers.shape}", "pass (n, p)")
        if names is None:
            names = [f"x{j}" for j in range(numbers.shape[1])]
        columns = tuple(_number(name, numbers[:, j].copy()) for j, name in enumerate(names))
        return cls(columns, len(numbers))

    def take(self, rows: npt.NDArray[Any]) -> Design:
        """Keep the rows given by a mask or by positions."""
        columns = tuple(Column(c.name, c.values[rows], c.levels, c.binary) for c in self.columns)
        kept = int(np.arange(self.rows)[rows].size)
        return Design(columns, kept)


Features: TypeAlias = Design | pa.Table | npt.NDArray[Any]
"""What the models take as features."""


def as_design(features: Features) -> Design:
    """Read features in any of the forms that the models take.

    Examples
    --------
    >>> as_design(np.zeros((4, 2))).names
    ('x0', 'x1')
    """
    if isinstance(features, Design):
        return features
    if isinstance(features, pa.Table):
        return Design.from_table(features)
    return Design.from_matrix(features)


def _number(name: str, values: Floats, binary: bool = False) -> Column:
    if np.isinf(values).any():
        raise InputError("feature is infinite", name, "use null for a value that is unknown")
    return Column(name, values, binary=binary)


def _read(name: str, column: pa.ChunkedArray) -> Column:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_null(kind):
        return _number(name, np.full(len(column), np.nan))
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return _number(name, _floats(column), binary=pa.types.is_boolean(kind))
    if pa.types.is_decimal(kind):
        return _number(name, _floats(column))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _category(name, column)
    raise InputError(f"a feature of type {kind} has no encoding", name, "use a number or a string")


def _floats(column: pa.ChunkedArray) -> Floats:
    numbers = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return np.array(numbers, dtype=np.float64)


def _category(name: str, column: pa.ChunkedArray) -> Column:
    encoded = column.combine_chunks().dictionary_encode()
    found = encoded.dictionary.to_pylist()
    levels = tuple(sorted(found))
    place = {level: code for code, level in enumerate(levels)}
    # The last entry answers a null's index of -1.
    recode = np.array([*(place[level] for level in found), -1], dtype=np.int64)
    indices = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return Column(name, recode[indices], levels)


def is_unknown(column: Column) -> npt.NDArray[np.bool_]:
    """Tell which rows of a column are unknown."""
    if column.levels is None:
        return np.isnan(column.values)
    return np.asarray(column.values < 0)

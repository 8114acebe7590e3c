"""The rows that are learned from: a past decision each, with what was known and what it earned."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from liftwerk.decisions.spine import action_numbers, logged_probabilities

FEATURE = "feature:"
METRIC = "metric:"
"""Prefixes of the columns, so that a feature and a metric may share a name."""


@dataclass(frozen=True)
class Frame:
    """Rows to learn from, in the order of the customers' keys.

    Parameters
    ----------
    table : pyarrow.Table
        Made by `build_frame`.
    actions : tuple of str
        The policy's actions, control first.
    """

    table: pa.Table
    actions: tuple[str, ...]

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @cached_property
    def features(self) -> pa.Table:
        """The features, under their own names."""
        names = [name for name in self.table.column_names if name.startswith(FEATURE)]
        return self.table.select(names).rename_columns([name[len(FEATURE) :] for name in names])

    @cached_property
    def action(self) -> NDArray[np.int64]:
        """Number of the action that was done, (n,)."""
        return action_numbers(self.table, self.actions)

    @cached_property
    def logged(self) -> NDArray[np.float64]:
        """Probabilities that it was drawn with, (n, k)."""
        return logged_probabilities(self.table, self.actions)

    def metric(self, name: str) -> NDArray[np.float64]:
        """Return what each decision earned by one metric, (n,)."""
        return np.asarray(self.table.column(f"{METRIC}{name}").to_numpy(), dtype=np.float64)

    def to_bytes(self) -> bytes:
        """Write the rows as Parquet; the same rows give the same bytes."""
        sink = io.BytesIO()
        pq.write_table(self.table, sink, compression="zstd")
        return sink.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes, actions: Sequence[str]) -> Frame:
        """Read what `to_bytes` wrote."""
        return cls(pq.read_table(io.BytesIO(data)), tuple(actions))


def build_frame(
    spine: pa.Table, features: pa.Table, metrics: pa.Table, mature: pa.ChunkedArray | pa.Array
) -> pa.Table:
    """Put spine, features and metrics side by side, mature rows only.

    Parameters
    ----------
    spine : pyarrow.Table
        From `liftwerk.decisions.spine.learning_spine`.
    features, metrics : pyarrow.Table
        In the spine's order.
    mature : pyarrow array of bool
        Whether a row's outcomes may be learned from yet.

    Returns
    -------
    pyarrow.Table
    """
    table = spine
    for name in features.column_names:
        table = table.append_column(f"{FEATURE}{name}", features.column(name))
    for name in metrics.column_names:
        table = table.append_column(f"{METRIC}{name}", metrics.column(name))
    return table.filter(mature)

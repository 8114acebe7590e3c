"""Training sets through the door: of a file or any data frame, and made again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import narwhals
import pyarrow as pa

from liftwerk.definitions import Project
from liftwerk.errors import InputError
from liftwerk.features.spine import read_rows
from liftwerk.features.training import (
    Rebuilt,
    TrainingSet,
    load_training_set,
    rebuild,
    take_training_set,
)
from liftwerk.store.stores import Stores

FRAME = "the data frame"


def take(
    project: Project,
    stores: Stores,
    rows: Any,
    features: Sequence[str],
    purpose: str,
    time: str,
    customer: str | None,
    snapshot: str | None,
    delimiter: str = ",",
) -> TrainingSet:
    """Take a training set of a file's rows, or of a frame's."""
    label = FRAME
    if isinstance(rows, str | Path):
        label = str(rows)
        table = read_rows(Path(rows), delimiter)
    else:
        table = arrow_of(rows)
    return take_training_set(
        project,
        stores,
        table,
        features,
        purpose,
        label=label,
        time=time,
        customer=customer,
        snapshot=snapshot,
    )


def take_again(project: Project, stores: Stores, file: Path | str) -> Rebuilt:
    """Make a set that was saved again."""
    return rebuild(project, stores, load_training_set(file), str(file))


def arrow_of(frame: Any) -> pa.Table:
    """Read a pandas, Polars, PyArrow or DuckDB frame, or another that narwhals knows.

    Raises
    ------
    InputError
        If it is none.

    Examples
    --------
    >>> arrow_of(pa.table({"a": [1, 2]})).num_rows
    2
    """
    try:
        known = narwhals.from_native(frame)
    except TypeError:
        what = f"{type(frame).__name__} is no data frame"
        hint = "hand in pandas, Polars, PyArrow or DuckDB, or the path of a file"
        raise InputError(what, "training_set", hint) from None
    if isinstance(known, narwhals.LazyFrame):
        known = known.collect(backend="pyarrow")
    return known.to_arrow()

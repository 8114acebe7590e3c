"""Write who gets what: one row a customer, for whoever sends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from liftwerk.decisions.decide import Made
from liftwerk.errors import EnvironmentFault, ProjectError
from liftwerk.store.durable import write_atomically

FORMATS = (".csv", ".parquet")


def check_format(target: Path) -> None:
    """Refuse a file whose ending is none of `FORMATS`, before anything is decided."""
    if target.suffix not in FORMATS:
        raise ProjectError(
            f"cannot write {target.suffix or 'a file without an ending'}",
            str(target),
            "name a .csv or .parquet file",
        )
    if not target.absolute().parent.is_dir():
        raise ProjectError("no such folder", str(target.absolute().parent), "make it first")


def write_plan(made: Sequence[Made], names: Mapping[bytes, str], target: Path) -> dict[str, Any]:
    """Write decisions to a file, whole or not at all.

    Parameters
    ----------
    made : sequence of Made
    names : mapping of bytes to str
        Customer key -> identifier; who has none is named by the key.
    target : pathlib.Path
        A .csv or .parquet file.

    Returns
    -------
    dict
        ``customers``, ``actions`` (how often each), ``note``.
    """
    table = pa.table(
        {
            "customer": [names.get(bytes.fromhex(one.unit), one.unit) for one in made],
            "action": [one.action for one in made],
            "probability": [one.probability for one in made],
            "expected_reward": pa.array([one.expected_reward for one in made], pa.float64()),
            "decision": [one.id for one in made],
            "release": pa.array([one.release for one in made], pa.string()),
            "arm": pa.array([one.arm for one in made], pa.string()),
        }
    )
    write_table(table, target)
    notes = Counter(one.note for one in made if one.note)
    note = "; ".join(f"{many:,} {words}" for words, many in notes.most_common())
    actions = dict(Counter(one.action for one in made).most_common())
    return {"customers": len(made), "actions": actions, "note": note}


def write_table(table: pa.Table, target: Path) -> None:
    """Write a table to a .csv or .parquet file, whole or not at all.

    Raises
    ------
    EnvironmentFault
        If it cannot be written.
    """
    sink = pa.BufferOutputStream()
    if target.suffix == ".parquet":
        pq.write_table(table, sink)
    else:
        pc.write_csv(table, sink)
    try:
        write_atomically(
            target, sink.getvalue().to_pybytes(), target.with_name(target.name + ".part")
        )
    except OSError as error:
        what = f"cannot be written ({(error.strerror or str(error)).lower()})"
        raise EnvironmentFault(what, str(target), "check space and permissions") from None

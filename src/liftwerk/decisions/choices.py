"""What the learned policy would do with each past decision, kept for the page of one decision."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from liftwerk.decisions.frame import Frame


def write_choices(
    frame: Frame, gains: NDArray[np.float64], learned: NDArray[np.float64], reward: str
) -> bytes:
    """Write each row's expected gains and probabilities as Parquet.

    Parameters
    ----------
    frame : Frame
        n rows.
    gains : (n, k) float array
        Expected reward of each action over control, by a model fitted without the row.
    learned : (n, k) float array
        Probabilities of the policy fitted without the row.
    reward : str
        The metric that counts.

    Returns
    -------
    bytes
    """
    columns = {
        "decision": frame.table.column("decision"),
        "customer": frame.table.column("customer"),
        "reward": pa.array(frame.metric(reward)),
    }
    for position, action in enumerate(frame.actions):
        columns[f"gain:{action}"] = pa.array(gains[:, position])
        columns[f"chance:{action}"] = pa.array(learned[:, position])
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, compression="zstd")
    return sink.getvalue()


def read_rewards(data: bytes) -> pa.Table:
    """Read ``decision`` and ``reward`` of every past decision."""
    return pq.read_table(io.BytesIO(data), columns=["decision", "reward"])


def read_choice(data: bytes, decision: bytes, actions: Sequence[str]) -> dict[str, Any] | None:
    """Look one decision up.

    Parameters
    ----------
    data : bytes
        From `write_choices`.
    decision : bytes
        Its id.
    actions : sequence of str
        In the order in which they were written.

    Returns
    -------
    dict or None
        ``action``, ``probabilities`` and ``expected`` by action, and ``reward``.
    """
    table = pq.read_table(io.BytesIO(data))
    found = table.filter(pc.equal(table.column("decision"), decision)).to_pylist()
    if not found:
        return None
    row = found[0]
    chances = {action: row[f"chance:{action}"] for action in actions}
    return {
        "action": max(chances, key=lambda action: chances[action]),
        "probabilities": chances,
        "expected": {action: row[f"gain:{action}"] for action in actions},
        "reward": row["reward"],
    }

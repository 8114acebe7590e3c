"""Outcomes beyond memory: parted by customer on disk first, so that each part is counted by itself.

One pass reads what may be read of the log and writes what it is worth, each customer's to one part.
The parts of a spine then read what is theirs alone, instead of all events again and again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from liftwerk.events.engine import bound
from liftwerk.events.sequence import parquet
from liftwerk.features.join import check_currency
from liftwerk.metrics.compile import Plan

MEGABYTES = 1500
"""What the engine may hold in memory; what it counts with comes to as much again."""

ROWS = 1_000_000
"""Outcomes that are parted at one time."""

_PART = "_part"
_SPINE = "_whole_spine"


class Parted:
    """The outcomes of some plans, parted.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        From `liftwerk.metrics.read.opened`; its memory is bound from now on.
    plans : sequence of Plan
        Of customers.
    spine : pyarrow.Table
        ``unit``, ``customer`` and ``time``, at least one row.
    currency : str
        The project's.
    folder : Path
        Empty; its owner removes it with all that is in it.
    parts : int
        How many.

    Raises
    ------
    Refused
        If money in another currency would have to be mixed in.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        plans: Sequence[Plan],
        spine: pa.Table,
        currency: str,
        folder: Path,
        parts: int,
    ) -> None:
        self._connection = connection
        self._plans = plans
        self._spine = spine
        self._folder = folder
        self._parts = parts
        bound(connection, MEGABYTES, folder / "spilled")
        connection.register(_SPINE, spine)
        self._of = f"hash(coalesce(customer, unit)) % {parts}"
        for place, plan in enumerate(plans):
            check_currency(connection, plan.event, plan.money, currency)
            self._write(self._place(place), plan)

    def spines(self) -> Iterator[tuple[int, pa.Table]]:
        """Go through the spine part by part: its number, and its rows."""
        for part in range(self._parts):
            theirs = f"SELECT * FROM {_SPINE} WHERE {self._of} = {part}"
            yield part, self._connection.sql(theirs).to_arrow_table().cast(self._spine.schema)

    def statements(self, part: int) -> Iterator[str]:
        """Open a part of the outcomes, plan by plan, and say what counts it meanwhile."""
        for place, plan in enumerate(self._plans):
            file = self._file(self._place(place), part)
            rows = f"SELECT * FROM ({plan.outcomes}) WHERE FALSE"
            if file.exists():
                rows = f"SELECT * FROM {parquet([str(file)])}"
            self._connection.execute(f"CREATE OR REPLACE TEMP VIEW _outcomes AS {rows}")
            yield plan.counting

    def _place(self, place: int) -> Path:
        return self._folder / str(place)

    def _write(self, path: Path, plan: Plan) -> None:
        path.mkdir()
        ((first, last),) = self._connection.execute(
            f"SELECT epoch_us(min(time)), epoch_us(max(time)) FROM {_SPINE}"
        ).fetchall()
        within = f"time <= {last + plan.longest}"
        if not plan.reads_before:
            within += f" AND time > {first}"
        told = self._connection.sql(
            f"SELECT *, CAST(hash(customer) % {self._parts} AS BIGINT) AS {_PART}"
            f" FROM ({plan.outcomes}) WHERE customer IS NOT NULL AND {within}"
        )
        # The engine's own partitioned writing holds all rows until the last one is there.
        with ExitStack() as files:
            writers: list[pq.ParquetWriter] = []
            for batch in told.to_arrow_reader(ROWS):
                rows = pa.table(batch)
                part = rows.column(_PART).to_numpy()
                order = np.argsort(part, kind="stable")
                ends = np.searchsorted(part, np.arange(self._parts + 1), sorter=order)
                rows = rows.drop_columns([_PART]).take(pa.array(order))
                if not writers:
                    writers = [
                        files.enter_context(_writer(self._file(path, place), rows.schema))
                        for place in range(self._parts)
                    ]
                for writer, (start, end) in zip(writers, pairwise(ends.tolist()), strict=True):
                    writer.write_table(rows.slice(start, end - start))

    def _file(self, path: Path, part: int) -> Path:
        return path / f"{part}.parquet"


def _writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    # Keys hardly repeat, so that a dictionary of them only takes time.
    return pq.ParquetWriter(
        path, schema, compression="zstd", compression_level=1, use_dictionary=False
    )

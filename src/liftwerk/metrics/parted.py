"""Outcomes beyond memory: parted by customer on disk first, so that each part is counted by itself.

One pass reads what may be read of the log and writes what it is worth, each customer's to one part.
The parts of a spine then read what is theirs alone, instead of all events again and again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from liftwerk.events.engine import bound, quoted, text
from liftwerk.features.join import check_currency
from liftwerk.metrics.compile import Plan

MEGABYTES = 1500
"""What the engine may hold in memory; what it counts with comes to as much again."""

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
            files = sorted(self._place(place).glob(f"{_PART}={part}/*.parquet"))
            rows = f"SELECT * FROM ({plan.outcomes}) WHERE FALSE"
            if files:
                listed = ", ".join(text(str(file)) for file in files)
                rows = f"SELECT * FROM read_parquet([{listed}], hive_partitioning = false)"
            self._connection.execute(f"CREATE OR REPLACE TEMP VIEW _outcomes AS {rows}")
            yield plan.counting

    def _place(self, place: int) -> Path:
        return self._folder / str(place)

    def _write(self, path: Path, plan: Plan) -> None:
        path.mkdir()
        described = self._connection.execute(f"DESCRIBE {plan.outcomes}").fetchall()
        # Parquet has no whole numbers of 128 bits, and would be given floats.
        wide = [quoted(name) for name, kind, *_ in described if kind in ("HUGEINT", "UHUGEINT")]
        replaced = ", ".join(f"CAST({name} AS DECIMAL(38, 0)) AS {name}" for name in wide)
        columns = "*"
        if replaced:
            columns += f" REPLACE ({replaced})"
        ((first, last),) = self._connection.execute(
            f"SELECT epoch_us(min(time)), epoch_us(max(time)) FROM {_SPINE}"
        ).fetchall()
        within = f"time <= {last + plan.longest}"
        if not plan.reads_before:
            within += f" AND time > {first}"
        self._connection.execute(
            f"COPY (SELECT {columns}, hash(customer) % {self._parts} AS {_PART}"
            f" FROM ({plan.outcomes}) WHERE customer IS NOT NULL AND {within})"
            f" TO {text(str(path))}"
            f" (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, PARTITION_BY ({_PART}))"
        )

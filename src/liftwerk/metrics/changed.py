"""Which kept totals are not what they were: units against units, rows against rows."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import pyarrow as pa

from liftwerk.events.engine import connect, quoted
from liftwerk.metrics.compile import Plan
from liftwerk.metrics.touched import TOUCHED

KEYS = ("unit", "customer", "time", "arm")
"""What a unit's totals are kept with."""


def what_changed(
    local: duckdb.DuckDBPyConnection, is_same_spine: bool
) -> tuple[pa.Table, pa.Table]:
    """Return the kept units that are not what they were, and those that entered.

    The first have ``restated``, and ``is_kept``: whether they are still assigned so.
    """
    if is_same_spine:
        old = f"SELECT k.*, t.restated, TRUE AS is_kept FROM _kept AS k JOIN {TOUCHED} AS t USING"
        return (
            local.sql(f"{old} (customer)").to_arrow_table(),
            local.sql("SELECT * FROM _spine LIMIT 0").to_arrow_table(),
        )
    keys = ", ".join(KEYS)
    entered = local.sql(f"SELECT s.* FROM _spine AS s ANTI JOIN _kept AS k USING ({keys})")
    old = local.sql(
        f"SELECT k.*, coalesce(t.restated, FALSE) AS restated, s.unit IS NOT NULL AS is_kept"
        f" FROM _kept AS k LEFT JOIN _spine AS s USING ({keys})"
        f" LEFT JOIN {TOUCHED} AS t ON t.customer = k.customer"
        " WHERE s.unit IS NULL OR t.customer IS NOT NULL"
    )
    return old.to_arrow_table(), entered.to_arrow_table()


def latest_time(connection: duckdb.DuckDBPyConnection, plans: Sequence[Plan]) -> int:
    """Return the latest time of events that plans read entities as of, in microseconds."""
    events = dict.fromkeys(plan.event for plan in plans if plan.entities)
    if not events:
        return 0
    selects = (f"SELECT max(epoch_us(time)) AS latest FROM {quoted(name)}" for name in events)
    ((found,),) = connection.execute(
        f"SELECT coalesce(max(latest), 0) FROM ({' UNION ALL '.join(selects)})"
    ).fetchall()
    return int(found)


def fingerprint(connection: duckdb.DuckDBPyConnection, select: str) -> str:
    """Fingerprint rows, in whatever order they come."""
    ((count, mixed, total),) = connection.execute(
        f"SELECT count(*), coalesce(bit_xor(hash(r)), 0), coalesce(sum(hash(r)::HUGEINT), 0)"
        f" FROM ({select}) AS r"
    ).fetchall()
    return f"{count}-{mixed}-{total}"


def last_word(rows: pa.Table) -> pa.Table:
    """Leave one row of each unit: what it is, and else that it is gone."""
    with connect() as local:
        local.register("_rows", rows)
        return (
            local.sql(
                "SELECT * FROM _rows QUALIFY"
                " row_number() OVER (PARTITION BY unit, time ORDER BY gone) = 1"
            )
            .to_arrow_table()
            .cast(rows.schema)
        )

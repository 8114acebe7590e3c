"""As-of reads at many times at once: each question sees its customer as known when it was asked.

A customer key is a leaf key. A question (leaf, time) is about all leaves that were one customer
with it at that time, so its rows are found by their leaves, and a link that became known later adds
nothing to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import duckdb
import pyarrow

from liftwerk.definitions.project import Project
from liftwerk.events.engine import quoted
from liftwerk.events.read import relations as event_relations
from liftwerk.events.tail import Behind
from liftwerk.identity.mapping import customers_as_of
from liftwerk.identity.resolve import CUSTOMER, leaf_sql, relations
from liftwerk.privacy.permitted import NOW, AsOf
from liftwerk.store.stores import Stores

DECISION = "decision_made"
LEAF_COLUMN = "_leaf"
STATES = "_states"


@contextmanager
def histories(
    project: Project,
    stores: Stores,
    spine: pyarrow.Table,
    purpose: str,
    as_of: AsOf = NOW,
    names: Sequence[str] = (),
    tail: Behind | None = None,
) -> Iterator[tuple[duckdb.DuckDBPyConnection, pyarrow.Table]]:
    """Open views of events whose ``customer`` matches that of a spine, row by row as of its time.

    Parameters
    ----------
    project : Project
    stores : Stores
    spine : pyarrow.Table
        ``customer`` (binary) and ``time`` (timestamp in UTC): any leaf key of the customer will do,
        the one known at that time is best. With a ``decision`` (binary) the row is about the
        identifier that this decision was made for, whoever it belongs to now.
    purpose : str
        What the events are read for.
    as_of : AsOf
        What may be known at all.
    names : sequence of str
        The events.
    tail : Behind, optional
        What came in behind the snapshot, as `liftwerk.events.read.relations` takes it.

    Yields
    ------
    connection : duckdb.DuckDBPyConnection
        Its views have the events' names. A view's ``customer`` is of the spine's type; rows of
        customers that are not asked for may be missing, and one row may stand for many questions.
        They hold every report of a conversion, with the time since when another one counts.
    spine : pyarrow.Table
        ``customer`` and ``time`` in the spine's order. Join events to it by ``customer``, and look
        at those only that were known at its ``time``, and by then not superseded.
    """
    customers = customers_as_of(project, stores, as_of, tail)
    if customers is None or customers.states.num_rows == 0:
        with relations(
            project, stores, purpose, as_of, names, superseded=True, tail=tail
        ) as connection:
            yield connection, spine.select([CUSTOMER, "time"])
        return
    rows = pyarrow.array(range(spine.num_rows), pyarrow.int64())
    asked = {"row": rows, CUSTOMER: spine.column(CUSTOMER), "time": spine.column("time")}
    wanted = list(names)
    if _names_decisions(spine):
        asked["decision"] = spine.column("decision")
        wanted = list(dict.fromkeys([*names, DECISION]))
    derived = {LEAF_COLUMN: leaf_sql(project)}
    beside = {STATES: customers.states, "_asked": pyarrow.table(asked)}
    with event_relations(
        project,
        stores,
        purpose,
        customers.as_of,
        derived,
        wanted,
        beside,
        customers.others_of,
        superseded=True,
        tail=tail,
    ) as connection:
        connection.execute(_members_sql("decision" in asked))
        for name in wanted:
            hidden = quoted(f"_leaf_{name}")
            connection.execute(f"ALTER VIEW {quoted(name)} RENAME TO {hidden}")
            connection.execute(
                f"CREATE VIEW {quoted(name)} AS SELECT e.* EXCLUDE ({LEAF_COLUMN}), m.row AS"
                f" {CUSTOMER} FROM {hidden} AS e JOIN _members AS m ON m.leaf = e.{LEAF_COLUMN}"
            )
        yield connection, pyarrow.table({CUSTOMER: rows, "time": spine.column("time")})


def _names_decisions(spine: pyarrow.Table) -> bool:
    if "decision" not in spine.column_names:
        return False
    kind = spine.schema.field("decision").type
    return bool(pyarrow.types.is_binary(kind) or pyarrow.types.is_fixed_size_binary(kind))


def _members_sql(by_decision: bool) -> str:
    """Write which leaves each question is about: all that were one customer with its own."""
    source = f'SELECT row, {CUSTOMER} AS leaf, epoch_us("time") AS "at" FROM _asked'
    if by_decision:
        source = (
            f"SELECT a.row, coalesce(d.{LEAF_COLUMN}, a.{CUSTOMER}) AS leaf,"
            f' epoch_us(a."time") AS "at"'
            f" FROM _asked AS a LEFT JOIN {DECISION} AS d ON d.id = a.decision"
        )
    return f"""
        CREATE TABLE _members AS
        WITH who AS (
          SELECT q.row, q."at", coalesce(s.customer, q.leaf) AS customer
          FROM ({source}) AS q
          ASOF LEFT JOIN {STATES} AS s ON s.leaf = q.leaf AND q."at" >= s.since
          WHERE q.leaf IS NOT NULL
        )
        SELECT row, customer AS leaf FROM who
        UNION
        SELECT who.row, s.leaf FROM who JOIN {STATES} AS s
          ON s.customer = who.customer AND s.since <= who."at" AND who."at" < s.until
    """

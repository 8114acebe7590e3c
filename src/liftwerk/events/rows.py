"""Bodies of the inbox become rows of tables: the one place that says how.

The sequencer writes the rows; `liftwerk.events.tail` shows them before they are written.
"""

from __future__ import annotations

import duckdb
import pyarrow

from liftwerk.events.admit import digest
from liftwerk.events.columns import columns_of, json_shape, leaf_columns
from liftwerk.events.engine import quoted, text
from liftwerk.events.schema import EventType, Schema
from liftwerk.store.stores import Stores

ROWS = "batch"
BURIED = "buried"
"""Relations of a connection: the inbox's rows, and the keys of those who are gone."""

BY_CUSTOMER = 'customer_bucket NULLS LAST, time, "offset"'
"""How rows lie in a table: one customer's together."""

BY_OFFSET = '"offset"'


class Bodies:
    """Some rows of the inbox, to be parsed version by version.

    Parameters
    ----------
    schema : Schema
    connection : duckdb.DuckDBPyConnection
        Empty; the caller closes it.
    rows : pyarrow.Table
        As `with_digests` returns them.
    gone : frozenset of bytes
        Leaf keys of the customers whose rows are dropped.

    Attributes
    ----------
    connection : duckdb.DuckDBPyConnection
        Holds the relations `ROWS` and `BURIED`, and what is parsed of a version under the name of
        its table.
    names : list of str
        The events that there are rows of.
    """

    def __init__(
        self,
        schema: Schema,
        connection: duckdb.DuckDBPyConnection,
        rows: pyarrow.Table,
        gone: frozenset[bytes],
    ) -> None:
        self.schema = schema
        self.names: list[str] = sorted(rows.column("name").unique().to_pylist())
        self.connection = connection
        self.connection.register(ROWS, rows)
        keys = pyarrow.array(sorted(gone), pyarrow.binary())
        self.connection.register(BURIED, pyarrow.table({"leaf": keys}))
        trusts = {name: source.trust for name, source in schema.sources.items()}
        self.connection.register(
            "sources", pyarrow.table({"source": [*trusts], "trust": [*trusts.values()]})
        )

    def parse(self, kind: EventType) -> int:
        """Parse the bodies of one version of an event; returns how many there are."""
        held = quoted(kind.table)
        self.connection.execute(f"CREATE TABLE {held} AS {_rows_sql(self.schema, kind)}")
        [(parsed,)] = self.connection.execute(f"SELECT count(*) FROM {held}").fetchall()
        return int(parsed)

    def table(self, kind: EventType, order: str) -> pyarrow.Table:
        """Return what was parsed of a version as its table's rows, without those who are gone."""
        return self.connection.sql(_table_sql(self.schema, kind, order)).to_arrow_table()


def with_digests(rows: pyarrow.Table) -> pyarrow.Table:
    """Add the ``digest`` of each body to rows of an inbox."""
    # Part by part: bodies as Python's objects are a copy of all of them.
    digests = [digest(body) for part in rows.column("body").chunks for body in part.to_pylist()]
    return rows.append_column("digest", pyarrow.array(digests, pyarrow.binary()))


def gone(stores: Stores) -> frozenset[bytes]:
    """Return whose rows are dropped.

    Rows of whom it is not known yet what else they are known by may say so: an erasure that has
    just begun looks for it in the tables.
    """
    unknown = {leaf for one in stores.ledger.erasing() if one.known is None for leaf in one.leaves}
    return stores.ledger.buried() - unknown


def _rows_sql(schema: Schema, kind: EventType) -> str:
    """Parse the bodies of one version of an event."""
    version = kind.definition.version
    wanted = f"name = {text(kind.name)}"
    if len(schema.versions(kind.name)) > 1:
        # Canonical JSON has it so, and a look is cheaper than parsing each body once a version.
        wanted += f""" AND contains(decode(body), '"version":{version},')"""
    parsed = (
        'SELECT "offset" AS o, received, digest,'
        f" from_json(decode(body), {text(json_shape(schema, kind))}) AS j"
        f" FROM {ROWS} WHERE {wanted}"
    )
    # The word of a source that is no longer declared counts least.
    return (
        f"SELECT parsed.*, coalesce(sources.trust, 'browser') AS trust FROM ({parsed}) AS parsed"
        " LEFT JOIN sources ON sources.source = parsed.j.source"
        f" WHERE parsed.j.version = {version}"
    )


def _table_sql(schema: Schema, kind: EventType, order: str) -> str:
    """Turn parsed bodies into the table's columns."""
    columns = ", ".join(
        f"({column.expression})::{column.type} AS {quoted(column.name)}"
        for column in columns_of(schema, kind)
    )
    alive = "".join(
        f" AND ({quoted(leaf)} IS NULL OR {quoted(leaf)} NOT IN (SELECT leaf FROM {BURIED}))"
        for leaf in leaf_columns(schema)
    )
    return (
        f"SELECT * FROM (SELECT {columns} FROM {quoted(kind.table)}) WHERE TRUE{alive}"
        f" ORDER BY {order}"
    )

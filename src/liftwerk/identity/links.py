"""What the events say about which identifiers belong together, and which do not.

A *link* is a pair of leaf keys that one event carries, or that an ``identity_linked`` names. A
*statement* is what was said of one pair on purpose: together (``identity_linked``) or apart
(``identity_unlinked``). Both are read for the built-in purpose ``deduplication``: who is one
customer must have one answer, whatever the rows are read for afterwards.

An envelope holds one identifier a namespace. Two of the same namespace are named by two events with
the same ``pair``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import duckdb
import numpy as np
import pyarrow

from liftwerk.definitions.project import Project
from liftwerk.events.columns import LEAF
from liftwerk.events.engine import quoted, text
from liftwerk.events.identifiers import IDENTIFIERS
from liftwerk.events.read import relations as event_relations
from liftwerk.events.scan import BURIED
from liftwerk.events.tail import Behind
from liftwerk.identity.components import Facts, Flags, Ints
from liftwerk.identity.definition import IDENTITY
from liftwerk.privacy.permitted import AsOf
from liftwerk.store.stores import Stores

PURPOSE = "deduplication"
TOGETHER = "identity_linked"
APART = "identity_unlinked"

SINCE = "greatest(epoch_us(time) + 1, epoch_us(known_at))"
"""First as-of time, in microseconds, at which a row may use an event: as features count events."""


class Links(NamedTuple):
    """What was said, with leaves as numbers in the order of their rank.

    The rank goes by namespace, then by when the leaf was first linked.
    """

    leaves: pyarrow.Array
    space: Ints
    links: Facts
    said: Facts
    apart: Flags


def read_links(
    project: Project,
    stores: Stores,
    as_of: AsOf,
    purpose: str = PURPOSE,
    tail: Behind | None = None,
) -> Links:
    """Read links and statements.

    Parameters
    ----------
    project : Project
    stores : Stores
    as_of : AsOf
        What may be known; what happened later than its time is not valid yet, and left out too.
    purpose : str
        ``erasure`` to find also those who are being erased.
    tail : Behind, optional
        What came in behind the snapshot.

    Returns
    -------
    Links
        One link a pair, by the event that a row could know first.
    """
    with event_relations(project, stores, purpose, as_of, tail=tail) as connection:
        names = [name for name in tables_of(connection) if name not in (TOGETHER, APART)]
        connection.execute(
            f"""
            CREATE TABLE _said AS
            SELECT *, FALSE AS apart FROM ({said_sql(project, TOGETHER, as_of)})
            UNION ALL SELECT *, TRUE AS apart FROM ({said_sql(project, APART, as_of)})
            """
        )
        together = "SELECT * EXCLUDE (apart) FROM _said WHERE NOT apart"
        pairs = " UNION ALL ".join([together, *seen_sql(project, names, as_of)])
        connection.execute(
            f"""
            CREATE TABLE _links AS SELECT * FROM ({pairs})
            QUALIFY row_number() OVER (PARTITION BY a, b ORDER BY since, "offset") = 1
            """
        )
        connection.execute(_LEAVES)
        leaves = connection.sql("SELECT leaf, space FROM _leaves ORDER BY place").to_arrow_table()
        links = connection.sql(_numbered("_links")).to_arrow_table()
        said = connection.sql(_numbered("_said")).to_arrow_table()
    return Links(
        leaves.column("leaf").combine_chunks(),
        _ints(leaves, "space"),
        _facts(links),
        _facts(said),
        said.column("apart").to_numpy().astype(np.bool_),
    )


_LEAVES = """
    CREATE TABLE _leaves AS
    WITH ends AS (
      SELECT a AS leaf, space_a AS space, since, "offset" FROM _links
      UNION ALL SELECT b, space_b, since, "offset" FROM _links
    ),
    firsts AS (
      SELECT * FROM ends
      QUALIFY row_number() OVER (PARTITION BY leaf ORDER BY since, "offset") = 1
    )
    SELECT leaf, space, row_number() OVER (ORDER BY space, since, "offset", leaf) - 1 AS place
    FROM firsts
"""


def _numbered(table: str) -> str:
    """Put numbers in the leaves' place; who was never linked cannot be told apart."""
    return (
        f"SELECT x.place AS a, y.place AS b, t.* EXCLUDE (a, b) FROM {table} AS t"
        " JOIN _leaves AS x ON x.leaf = t.a JOIN _leaves AS y ON y.leaf = t.b"
        ' ORDER BY since, "offset", x.place, y.place'
    )


def _facts(table: pyarrow.Table) -> Facts:
    return Facts(*(_ints(table, name) for name in Facts._fields))


def _ints(table: pyarrow.Table, name: str) -> Ints:
    return np.asarray(table.column(name).to_numpy(), np.int64)


def seen_sql(
    project: Project, names: Sequence[str], as_of: AsOf, believed: bool = True
) -> list[str]:
    """Write the pairs of identifiers that single events carry, one SELECT a pair of namespaces.

    Parameters
    ----------
    project : Project
    names : sequence of str
        The events, as relations of the connection.
    as_of : AsOf
        Its time is the latest that counts.
    believed : bool
        Whether to read the sources whose word links, or those whose word does not.
    """
    trusts = ", ".join(map(text, project.get(IDENTITY).linked_by)) or "''"
    word = "IN"
    if not believed:
        word = "NOT IN"
    found = []
    for (i, first), (j, second) in combinations(enumerate(project.get(IDENTIFIERS)), 2):
        a, b = quoted(f"{LEAF}{first}"), quoted(f"{LEAF}{second}")
        found += [
            f"SELECT {a} AS a, {b} AS b, {i} AS space_a, {j} AS space_b, {_WHEN}"
            f" FROM {quoted(name)} WHERE {a} IS NOT NULL AND {b} IS NOT NULL"
            f" AND trust {word} ({trusts}){_valid(as_of)}{_alive(a)}{_alive(b)}"
            for name in names
        ]
    return found


def said_sql(project: Project, name: str, as_of: AsOf) -> str:
    """Write the pairs of identifiers that events of one kind name on purpose."""
    rows = " UNION ALL ".join(
        f"SELECT coalesce(pair, hex(id)) AS pair, {quoted(f'{LEAF}{space}')} AS leaf,"
        f" {place} AS space, {_WHEN} FROM {quoted(name)}"
        f" WHERE {quoted(f'{LEAF}{space}')} IS NOT NULL{_valid(as_of)}"
        f"{_alive(quoted(f'{LEAF}{space}'))}"
        for place, space in enumerate(project.get(IDENTIFIERS))
    )
    if not rows:
        rows = f"SELECT '' AS pair, NULL::BLOB AS leaf, 0 AS space, {_NEVER} WHERE FALSE"
    # Of two events with one pair, the statement is made when both are there.
    return f"""
        WITH named AS ({rows})
        SELECT x.leaf AS a, y.leaf AS b, x.space AS space_a, y.space AS space_b,
          greatest(x.since, y.since) AS since, greatest(x.time, y.time) AS time,
          greatest(x.known, y.known) AS known, greatest(x."offset", y."offset") AS "offset"
        FROM named AS x JOIN named AS y ON x.pair = y.pair
        WHERE (x.space, x.leaf) < (y.space, y.leaf)
    """


_WHEN = f'{SINCE} AS since, epoch_us(time) AS time, epoch_us(known_at) AS known, "offset"'
_NEVER = '0::BIGINT AS since, 0::BIGINT AS time, 0::BIGINT AS known, 0::BIGINT AS "offset"'


def _valid(as_of: AsOf) -> str:
    """Leave out test traffic, and what had not happened yet."""
    condition = " AND NOT synthetic"
    if as_of.time is not None:
        condition += f" AND time <= TIMESTAMPTZ {text(as_of.time.isoformat())}"
    return condition


def _alive(column: str) -> str:
    return f" AND {column} NOT IN (SELECT leaf FROM {BURIED})"


def tables_of(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Name the events that a connection has views of."""
    rows = connection.execute("SHOW TABLES").fetchall()
    return [name for (name,) in rows if not name.startswith("_")]

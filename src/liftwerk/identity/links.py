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
from liftwerk.events.schema import schema_of
from liftwerk.events.tail import Behind
from liftwerk.identity.components import FOREVER, Facts, Flags, Ints
from liftwerk.identity.definition import IDENTITY
from liftwerk.identity.keys import Keys, distinct, in_arrow, keys_of
from liftwerk.privacy.permitted import AsOf
from liftwerk.store.stores import Stores

PURPOSE = "deduplication"
TOGETHER = "identity_linked"
APART = "identity_unlinked"

SINCE = "greatest(epoch_us(time) + 1, epoch_us(known_at))"
"""First as-of time, in microseconds, at which a row may use an event: as features count events."""


class Links(NamedTuple):
    """What was said, with leaves as numbers in the order of their rank.

    The rank goes by namespace, then by when the leaf was first linked. A pair is linked by the
    event that a row could know first.
    """

    keys: Keys
    space: Ints
    links: Facts
    said: Facts
    apart: Flags

    @property
    def leaves(self) -> pyarrow.Array:
        """The leaf keys."""
        return in_arrow(self.keys)

    def choose(self, links: Flags | Ints, said: Flags | Ints) -> Links:
        """Return some of what was said, with the leaves that it names."""
        facts = self.links.take(links), self.said.take(said)
        kept = np.unique(np.concatenate([end for fact in facts for end in (fact.a, fact.b)]))
        chosen, told = (
            fact._replace(a=np.searchsorted(kept, fact.a), b=np.searchsorted(kept, fact.b))
            for fact in facts
        )
        return Links(self.keys[kept], self.space[kept], chosen, told, self.apart[said])


def joined(parts: Sequence[Links]) -> Links:
    """Take what was said here and there together."""
    keys, place = distinct(np.concatenate([part.keys for part in parts]))
    space = np.empty(len(keys), np.int64)
    space[place] = np.concatenate([part.space for part in parts])
    begins = np.cumsum([0, *(len(part.keys) for part in parts[:-1])])
    links = _facts([part.links for part in parts], begins, place)
    said = _facts([part.said for part in parts], begins, place)
    apart = np.concatenate([part.apart for part in parts])
    links = links.take(_first_of_each(links.a * len(keys) + links.b, links))
    rank = _ranks(space, links)
    links, said = (fact._replace(a=rank[fact.a], b=rank[fact.b]) for fact in (links, said))
    links = links.take(np.lexsort((links.b, links.a, links.offset, links.since)))
    once = _once(said, apart)
    order = np.argsort(rank)
    return Links(keys[order], space[order], links, said.take(once), apart[once])


def _facts(parts: Sequence[Facts], begins: Ints, place: Ints) -> Facts:
    """Put facts one after another: each part's leaves begin somewhere among all, whose place is."""
    a, b, *times = (np.concatenate(column) for column in zip(*parts, strict=True))
    begin = np.repeat(begins, [len(part.a) for part in parts])
    return Facts(place[a + begin], place[b + begin], *times)


def _first_of_each(pair: Ints, facts: Facts) -> Ints:
    """Find the fact of each pair that a row could know first."""
    order = np.lexsort((facts.known, facts.time, facts.offset, facts.since, pair))
    is_first = np.ones(len(order), bool)
    is_first[1:] = pair[order][1:] != pair[order][:-1]
    return order[is_first]


def _ranks(space: Ints, links: Facts) -> Ints:
    """Rank leaves by namespace, then by when each was first linked, then by key."""
    first = Facts(*(np.concatenate([column, column]) for column in links))
    end = np.concatenate([links.a, links.b])
    which = _first_of_each(end, first)
    since, offset = np.full(len(space), FOREVER), np.full(len(space), FOREVER)
    since[end[which]], offset[end[which]] = first.since[which], first.offset[which]
    rank = np.empty(len(space), np.int64)
    rank[np.lexsort((offset, since, space))] = np.arange(len(space))
    return rank


def _once(said: Facts, apart: Flags) -> Ints:
    """Find each statement once, in the order in which they could be known."""
    columns = (apart, said.known, said.time, said.b, said.a, said.offset, said.since)
    order = np.lexsort(columns)
    is_first = np.zeros(len(order), bool)
    is_first[:1] = True
    for column in columns:
        is_first[1:] |= column[order][1:] != column[order][:-1]
    return order[is_first]


def read_links(
    project: Project,
    stores: Stores,
    as_of: AsOf,
    purpose: str = PURPOSE,
    tail: Behind | None = None,
    names: Sequence[str] | None = None,
    after_offset: int | None = None,
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
    names : sequence of str, optional
        The events to look into; all by default.
    after_offset : int, optional
        Only what was said behind this one. A statement that two events make is said by the later.
    """
    if names is None:
        names = list(schema_of(project).types)
    found = [_nothing()]
    told = [name for name in (TOGETHER, APART) if name in names]
    if told:
        # From the beginning: the other event of a pair may be any older one.
        with event_relations(project, stores, purpose, as_of, names=told, tail=tail) as connection:
            for name in told:
                said = said_sql(project, name, as_of)
                condition = "TRUE" if after_offset is None else f'"offset" > {after_offset}'
                rows = connection.sql(f"SELECT * FROM ({said}) WHERE {condition}")
                found.append(_told(rows.to_arrow_table(), name == APART))
    seen = [name for name in names if name not in (TOGETHER, APART)]
    if not seen:
        return joined(found)
    with event_relations(
        project, stores, purpose, as_of, names=seen, tail=tail, after_offset=after_offset
    ) as connection:
        pairs = seen_sql(project, seen, as_of)
        if pairs:
            rows = connection.sql(
                f"""
                SELECT * FROM ({" UNION ALL ".join(pairs)})
                QUALIFY row_number()
                  OVER (PARTITION BY a, b ORDER BY since, "offset", time, known) = 1
                """
            )
            found.append(_seen(rows.to_arrow_table()))
    return joined(found)


def _seen(rows: pyarrow.Table) -> Links:
    """Take pairs for links."""
    count = rows.num_rows
    keys = np.concatenate([keys_of(rows.column(end)) for end in ("a", "b")])
    space = np.concatenate([_ints(rows, end) for end in ("space_a", "space_b")])
    times = (_ints(rows, name) for name in Facts._fields[2:])
    links = Facts(np.arange(count), np.arange(count) + count, *times)
    return Links(keys, space, links, *_nothing()[3:])


def _told(rows: pyarrow.Table, is_apart: bool) -> Links:
    """Take pairs for statements; what was told to be together is linked, too."""
    seen = _seen(rows)
    said = seen._replace(said=seen.links, apart=np.full(rows.num_rows, is_apart))
    if is_apart:
        return said._replace(links=_nothing().links)
    return said


def _nothing() -> Links:
    none = np.empty(0, np.int64)
    nothing = Facts(none, none, none, none, none, none)
    return Links(np.empty(0, "S16"), none, nothing, nothing, np.empty(0, np.bool_))


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

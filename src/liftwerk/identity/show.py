"""What is known of one customer's identifiers: which event linked each, and what was held back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow

from liftwerk.definitions.project import Project
from liftwerk.events.engine import quoted, text
from liftwerk.events.identifiers import IDENTIFIERS
from liftwerk.events.read import identifier_values
from liftwerk.events.read import relations as event_relations
from liftwerk.identity.components import FOREVER, NEVER, Facts
from liftwerk.identity.customers import Customers
from liftwerk.identity.definition import IDENTITY
from liftwerk.identity.links import APART, PURPOSE, TOGETHER, seen_sql, tables_of
from liftwerk.identity.mapping import customers_as_of
from liftwerk.identity.resolve import customers_of, leaf_of
from liftwerk.privacy.permitted import NOW, AsOf
from liftwerk.store.instants import from_microseconds
from liftwerk.store.stores import Stores

AUDIT = "audit"

LISTED = 20
"""Links that are held back are all counted, and listed up to here."""

Row = dict[str, Any]


def resolve_one(project: Project, stores: Stores, identifier: str, as_of: AsOf = NOW) -> Row:
    """Say whose an identifier is.

    Parameters
    ----------
    project : Project
    stores : Stores
    identifier : str
        As `liftwerk.identity.resolve.leaf_of` reads it.
    as_of : AsOf
        What may be known.

    Returns
    -------
    dict
        JSON-able: the ``identifier`` and the ``customer`` that it belongs to, each with its
        namespace, value and key, and whether it is only a ``visitor``.
    """
    leaf = leaf_of(project, identifier)
    customer = customers_of(project, stores, [leaf], as_of)[leaf]
    named = _Names(project, stores, [leaf, customer])
    namespaces = project.get(IDENTIFIERS)
    space = named.one(customer)["namespace"]
    return {
        "identifier": named.one(leaf),
        "customer": named.one(customer),
        "visitor": space in namespaces and namespaces[space].anonymous,
    }


def show_one(project: Project, stores: Stores, identifier: str) -> Row:
    """Show a customer: its identifiers with their evidence, and the links that don't count.

    Parameters
    ----------
    project : Project
    stores : Stores
    identifier : str
        Any of the customer's.

    Returns
    -------
    dict
        JSON-able. ``identifiers``, the customer's key first: each with the identifier that it was
        linked ``with``, the ``event`` and its ``source``, when it ``happened`` and when it was
        ``known``. ``held_back``: links that don't count, with the reason, the first `LISTED` of
        ``held_back_count``.
    """
    leaf = leaf_of(project, identifier)
    key = customers_of(project, stores, [leaf])[leaf]
    members, found, held = [leaf], [], []
    customers = customers_as_of(project, stores)
    if customers is not None:
        shown = _Shown(project, stores, customers, leaf)
        members = shown.members
        found = shown.evidence()
        held = [*shown.told_apart(), *shown.held_back(), *shown.not_believed()]
    listed = held[:LISTED]
    _name_events(project, stores, [*found, *listed])
    evidence = {row["leaf"]: row for row in found}
    rows = [evidence.get(one, {"leaf": one}) for one in [key, *(set(members) - {key})]]
    rows[1:] = sorted(rows[1:], key=lambda row: (row.get("offset", 0), row["leaf"]))
    keys = [row[end] for row in (*rows, *listed) for end in ("leaf", "with") if end in row]
    named = _Names(project, stores, [leaf, *keys])
    return {
        "identifier": named.one(leaf),
        "customer": named.one(key),
        "identifiers": [named.row(row) for row in rows],
        "held_back_count": len(held),
        "held_back": [named.row(row) for row in listed],
    }


class _Names:
    """What leaf keys are called outside, as far as that is kept."""

    def __init__(self, project: Project, stores: Stores, leaves: Iterable[bytes]) -> None:
        table = identifier_values(project, stores, AUDIT, sorted(set(leaves)))
        self._known = {row["leaf"]: row for row in table.to_pylist()}

    def one(self, leaf: bytes) -> Row:
        row = self._known.get(leaf, {})
        return {"namespace": row.get("namespace"), "value": row.get("value"), "key": leaf.hex()}

    def row(self, row: Row) -> Row:
        rest = {name: value for name, value in row.items() if name not in ("leaf", "with")}
        if "with" in row:
            rest["with"] = self.one(row["with"])
        return {**self.one(row["leaf"]), **rest}


class _Shown:
    """One customer among the others."""

    def __init__(self, project: Project, stores: Stores, customers: Customers, leaf: bytes) -> None:
        self.project = project
        self.stores = stores
        self.customers = customers
        self.keys = customers.links.leaves.to_pylist()
        self.inside = np.array([], np.int64)
        self.members = [leaf]
        if leaf in self.keys:
            latest = customers.latest
            self.inside = np.flatnonzero(latest == latest[self.keys.index(leaf)])
            self.members = [self.keys[number] for number in self.inside.tolist()]

    def evidence(self) -> list[Row]:
        """Tell for each identifier which link, known first, ties it to the others."""
        made = self.customers.components
        counted = (made.until == FOREVER) & np.isin(made.links.a, self.inside)
        own = made.links.take(counted & np.isin(made.links.b, self.inside))
        rows: dict[bytes, Row] = {}
        for number in np.lexsort((own.offset, own.since)).tolist():
            a, b = self.keys[own.a[number]], self.keys[own.b[number]]
            for leaf, other in ((a, b), (b, a)):
                rows.setdefault(leaf, {"leaf": leaf, "with": other, **_when(own, number)})
        return list(rows.values())

    def told_apart(self) -> list[Row]:
        """List what was told apart from one of the customer's identifiers."""
        links = self.customers.links
        said = links.said.take(links.apart)
        return [self._row(said, number, "told apart") for number in self._leaving(said)]

    def held_back(self) -> list[Row]:
        """List links that don't count: an end is shared, or they would join what is told apart."""
        links = self.customers.components.all_links
        return [
            self._row(links, number, self._reason(int(links.a[number]), int(links.b[number])))
            for number in self._leaving(links)
        ]

    def not_believed(self) -> list[Row]:
        """List what was seen together by sources whose word does not link."""
        as_of = self.customers.as_of
        with event_relations(self.project, self.stores, PURPOSE, as_of) as connection:
            names = [name for name in tables_of(connection) if name not in (TOGETHER, APART)]
            pairs = seen_sql(self.project, names, as_of, believed=False)
            if not pairs:
                return []
            members = pyarrow.array(self.members, pyarrow.binary())
            connection.register("_members", pyarrow.table({"leaf": members}))
            is_mine = "IN (SELECT leaf FROM _members)"
            rows = connection.execute(
                f"""
                SELECT CASE WHEN a {is_mine} THEN a ELSE b END,
                  CASE WHEN a {is_mine} THEN b ELSE a END, time, known, "offset"
                FROM ({" UNION ALL ".join(pairs)}) WHERE (a {is_mine}) <> (b {is_mine})
                QUALIFY row_number() OVER (PARTITION BY a, b ORDER BY since, "offset") = 1
                ORDER BY since, "offset", a, b
                """
            ).fetchall()
        reason = "seen by a source whose word does not link"
        return [
            {"leaf": leaf, "with": other, "reason": reason, **_moments(time, known, offset)}
            for leaf, other, time, known, offset in rows
        ]

    def _leaving(self, facts: Facts) -> list[int]:
        """Find the pairs of which one end is the customer's."""
        is_one_end = np.isin(facts.a, self.inside) != np.isin(facts.b, self.inside)
        numbers: list[int] = np.flatnonzero(is_one_end).tolist()
        return numbers

    def _reason(self, a: int, b: int) -> str:
        made = self.customers.components
        if NEVER in (made.last[a], made.last[b]):
            return "shared: declared so"
        if made.one_too_many[a] >= 0 or made.one_too_many[b] >= 0:
            return f"shared: linked to more than {self.project.get(IDENTITY).at_most} others"
        return "it would join what was told apart"

    def _row(self, facts: Facts, number: int, reason: str) -> Row:
        leaf, other = self.keys[facts.a[number]], self.keys[facts.b[number]]
        if facts.a[number] not in self.inside:
            leaf, other = other, leaf
        return {"leaf": leaf, "with": other, "reason": reason, **_when(facts, number)}


def _when(facts: Facts, number: int) -> Row:
    return _moments(int(facts.time[number]), int(facts.known[number]), int(facts.offset[number]))


def _moments(time: int, known: int, offset: int) -> Row:
    return {
        "happened": from_microseconds(time).isoformat(),
        "known": from_microseconds(known).isoformat(),
        "offset": offset,
    }


def _name_events(project: Project, stores: Stores, rows: Sequence[Row]) -> None:
    """Say which event each piece of evidence is, and why somebody told identifiers apart."""
    if not rows:
        return
    offsets = sorted({row["offset"] for row in rows})
    with event_relations(project, stores, PURPOSE) as connection:
        named = " UNION ALL ".join(
            f'SELECT "offset", {text(name)} AS event, source FROM {quoted(name)}'
            for name in tables_of(connection)
        )
        within = 'WHERE list_contains(?::BIGINT[], "offset")'
        found = connection.execute(f"SELECT * FROM ({named}) {within}", [offsets]).fetchall()
        why = connection.execute(
            f'SELECT "offset", reason FROM {APART} {within}', [offsets]
        ).fetchall()
    events = {offset: (event, source) for offset, event, source in found}
    reasons = dict(why)
    for row in rows:
        row["event"], row["source"] = events[row["offset"]]
        if row["offset"] in reasons:
            row["reason"] = f"told apart: {reasons[row['offset']]}"

"""Who an event is about: from the leaf keys in a row to one customer key.

The rule of today is deterministic and needs no table: a customer is the leaf key of the first
declared namespace that the event carries. Order the namespaces from the surest to the loosest. What
grows here is ``identity_map(leaf, customer, valid_from, known_from)``: links between leaves, each
with both times, so that a later merge teaches the past nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import duckdb
import pyarrow
import pyarrow.compute

from liftwerk.definitions.project import Project
from liftwerk.errors import InputError, UnknownName, did_you_mean
from liftwerk.events.columns import LEAF
from liftwerk.events.engine import quoted
from liftwerk.events.identifiers import IDENTIFIERS, leaf_key, normalise
from liftwerk.events.query import query as query_events
from liftwerk.events.read import identifier_values
from liftwerk.events.read import read as read_events
from liftwerk.events.read import relations as event_relations
from liftwerk.privacy.permitted import NOW, AsOf
from liftwerk.store.stores import Stores

CUSTOMER = "customer"
"""The column that says who: 16 bytes."""


def customer_sql(project: Project) -> str:
    """Return the customer key as SQL over an event's columns."""
    leaves = [quoted(f"{LEAF}{name}") for name in project.get(IDENTIFIERS)]
    if not leaves:
        return "NULL::BLOB"
    return f"coalesce({', '.join(leaves)})"


def resolve(project: Project, table: pyarrow.Table) -> pyarrow.Table:
    """Add the customer to rows that hold leaf keys.

    Parameters
    ----------
    project : Project
    table : pyarrow.Table
        From `liftwerk.events.read.read`, with its leaf columns.

    Returns
    -------
    pyarrow.Table
        The same rows with a ``customer`` column, binary; null where no identifier is declared.
    """
    columns = [f"{LEAF}{name}" for name in project.get(IDENTIFIERS)]
    leaves = [table.column(name) for name in columns if name in table.column_names]
    if not leaves:
        return table.append_column(CUSTOMER, pyarrow.nulls(table.num_rows, pyarrow.binary()))
    return table.append_column(CUSTOMER, pyarrow.compute.coalesce(*leaves))


def read(
    project: Project,
    stores: Stores,
    name: str,
    purpose: str,
    columns: Sequence[str] | None = None,
    as_of: AsOf = NOW,
) -> pyarrow.Table:
    """Read events as `liftwerk.events.read.read` does, each with its ``customer``."""
    derived = {CUSTOMER: customer_sql(project)}
    return read_events(project, stores, name, purpose, columns, as_of, derived)


@contextmanager
def relations(
    project: Project,
    stores: Stores,
    purpose: str,
    as_of: AsOf = NOW,
    names: Sequence[str] | None = None,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open views as `liftwerk.events.read.relations` does, each with its ``customer``."""
    derived = {CUSTOMER: customer_sql(project)}
    with event_relations(project, stores, purpose, as_of, derived, names) as connection:
        yield connection


def query(
    project: Project, stores: Stores, sql: str, purpose: str, as_of: AsOf = NOW
) -> pyarrow.Table:
    """Answer a question as `liftwerk.events.query.query` does, over rows with a ``customer``."""
    return query_events(project, stores, sql, purpose, as_of, {CUSTOMER: customer_sql(project)})


def leaf_of(project: Project, identifier: str, namespace: str | None = None) -> bytes:
    """Return the leaf key of an identifier as a person writes it.

    Parameters
    ----------
    project : Project
    identifier : str
        The value, such as ``"3"``; or ``"namespace:value"`` where several are declared.
    namespace : str, optional
        Its namespace; by default the one before the colon, else the first declared.

    Returns
    -------
    bytes
        16 bytes.

    Raises
    ------
    UnknownName
        If no such namespace is declared.
    InputError
        If the identifier is not what its namespace demands.
    """
    known: Mapping[str, object] = project.get(IDENTIFIERS)
    if not known:
        raise UnknownName("no identifier is declared", "[identifiers]", "add [identifiers.NAME]")
    value = identifier
    if namespace is None:
        before, colon, rest = identifier.partition(":")
        namespace = next(iter(known))
        if colon and before in known:
            namespace, value = before, rest
    if namespace not in known:
        hint = did_you_mean(namespace, known)
        raise UnknownName(f"no identifier {namespace!r}", "[identifiers]", hint)
    try:
        return leaf_key(namespace, normalise(project.get(IDENTIFIERS)[namespace].normalise, value))
    except ValueError as error:
        raise InputError(str(error), f"identifiers.{namespace}", "check its spelling") from None


def customer_of(project: Project, identifier: str, namespace: str | None = None) -> bytes:
    """Return the customer key of an identifier: its leaf key, until leaves are linked."""
    return leaf_of(project, identifier, namespace)


def names_of(
    project: Project, stores: Stores, customers: Sequence[bytes], purpose: str
) -> dict[bytes, str]:
    """Return what customers are called outside, to reach or to show them.

    Parameters
    ----------
    project : Project
    stores : Stores
    customers : sequence of bytes
        Customer keys.
    purpose : str
        A declared purpose, or one of the built-in ones.

    Returns
    -------
    dict of bytes to str
        Customer key -> identifier; who was erased or never seen is not in it.
    """
    table = identifier_values(project, stores, purpose, list(customers))
    keys = table.column("leaf").to_pylist()
    return dict(zip(keys, table.column("value").to_pylist(), strict=True))


def leaves_of(project: Project, stores: Stores, customer: bytes) -> list[bytes]:
    """Return every leaf key that only this customer was seen with; for erasure.

    Parameters
    ----------
    project : Project
    stores : Stores
    customer : bytes
        The customer key.

    Returns
    -------
    list of bytes
        The customer key first. A leaf that other customers were seen with too (a shared device) is
        not the customer's alone; one that was also seen by itself is.
    """
    columns = [f"{LEAF}{name}" for name in project.get(IDENTIFIERS)]
    if len(columns) < 2:
        return [customer]
    with relations(project, stores, "erasure") as connection:
        seen = " UNION ".join(
            f"SELECT {CUSTOMER}, {quoted(column)} AS leaf FROM {quoted(view)}"
            for (view,) in connection.execute("SHOW TABLES").fetchall()
            if not view.startswith("_")
            for column in columns
        )
        rows = connection.execute(
            f"SELECT leaf FROM ({seen}) WHERE leaf <> {CUSTOMER} GROUP BY leaf"
            f" HAVING count(DISTINCT {CUSTOMER}) = 1 AND first({CUSTOMER}) = ? ORDER BY leaf",
            [customer],
        ).fetchall()
    return [customer, *(leaf for (leaf,) in rows)]

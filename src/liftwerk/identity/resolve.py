"""Who an event is about: from the leaf keys in a row to one customer key.

A row is about its surest identifier: the leaf key of the first declared namespace that it carries.
Order the namespaces from the surest to the loosest. Whose that leaf is says
`liftwerk.identity.mapping`, by the links that the reader may know. Where nothing is linked, a row's
customer is that leaf key.
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
from liftwerk.events.identifiers import IDENTIFIERS, leaf_key
from liftwerk.events.query import query as query_events
from liftwerk.events.read import OneCustomer, identifier_values
from liftwerk.events.read import read as read_events
from liftwerk.events.read import relations as event_relations
from liftwerk.events.tail import Behind
from liftwerk.identity.customers import Customers
from liftwerk.identity.definition import VISITOR, anonymous_namespaces
from liftwerk.identity.mapping import customers_as_of
from liftwerk.privacy.permitted import NOW, AsOf
from liftwerk.store.stores import Stores

CUSTOMER = "customer"
"""The column that says who: 16 bytes."""

MERGED = "_merged"
"""The relation of leaves that are known by another's key."""


def leaf_sql(project: Project) -> str:
    """Return the leaf key of a row's surest identifier as SQL over an event's columns."""
    leaves = [quoted(f"{LEAF}{name}") for name in project.get(IDENTIFIERS)]
    if not leaves:
        return "NULL::BLOB"
    return f"coalesce({', '.join(leaves)})"


def customer_sql(project: Project, merged: str | None = None) -> str:
    """Return the customer key as SQL over an event's columns.

    Parameters
    ----------
    project : Project
    merged : str, optional
        A relation of ``leaf`` and ``customer``, for the leaves that are known by another's key.
    """
    leaf = leaf_sql(project)
    if merged is None:
        return leaf
    found = f"(SELECT m.customer FROM {quoted(merged)} AS m WHERE m.leaf = {leaf})"
    return f"coalesce({found}, {leaf})"


def visitor_sql(project: Project) -> str | None:
    """Return the anonymous unit's key as SQL; None where no namespace is anonymous."""
    leaves = [quoted(f"{LEAF}{name}") for name in anonymous_namespaces(project)]
    if not leaves:
        return None
    return f"coalesce({', '.join(leaves)})"


def resolve(
    project: Project, table: pyarrow.Table, customers: Customers | None = None
) -> pyarrow.Table:
    """Add the customer to rows that hold leaf keys.

    Parameters
    ----------
    project : Project
    table : pyarrow.Table
        From `liftwerk.events.read.read`, with its leaf columns.
    customers : Customers, optional
        From `liftwerk.identity.mapping.customers_as_of`; without them nothing is merged.

    Returns
    -------
    pyarrow.Table
        The same rows with a ``customer`` column, binary; null where no identifier is declared.
    """
    columns = [f"{LEAF}{name}" for name in project.get(IDENTIFIERS)]
    leaves = [table.column(name) for name in columns if name in table.column_names]
    if not leaves:
        return table.append_column(CUSTOMER, pyarrow.nulls(table.num_rows, pyarrow.binary()))
    leaf = pyarrow.compute.coalesce(*leaves)
    if customers is None:
        return table.append_column(CUSTOMER, leaf)
    place = pyarrow.compute.index_in(leaf, customers.merged.column("leaf"))
    customer = customers.merged.column("customer").take(place)
    return table.append_column(CUSTOMER, pyarrow.compute.coalesce(customer, leaf))


def read(
    project: Project,
    stores: Stores,
    name: str,
    purpose: str,
    columns: Sequence[str] | None = None,
    as_of: AsOf = NOW,
) -> pyarrow.Table:
    """Read events as `liftwerk.events.read.read` does, each with its ``customer``."""
    how = _Reading(project, stores, as_of)
    return read_events(
        project,
        stores,
        name,
        purpose,
        columns,
        how.as_of,
        how.derived,
        how.beside,
        how.one_customer,
    )


@contextmanager
def relations(
    project: Project,
    stores: Stores,
    purpose: str,
    as_of: AsOf = NOW,
    names: Sequence[str] | None = None,
    superseded: bool = False,
    tail: Behind | None = None,
    leaves: pyarrow.Array | pyarrow.ChunkedArray | None = None,
    after_offset: int | None = None,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open views as `liftwerk.events.read.relations` does, each with its ``customer``.

    The customer is whom the row was about by all that the reader may know: for counting. What is
    known row by row, as of many times, is `liftwerk.identity.history.histories`.
    """
    how = _Reading(project, stores, as_of, tail)
    with event_relations(
        project,
        stores,
        purpose,
        how.as_of,
        how.derived,
        names,
        how.beside,
        how.one_customer,
        superseded,
        tail,
        leaves,
        after_offset,
    ) as connection:
        yield connection


def query(
    project: Project, stores: Stores, sql: str, purpose: str, as_of: AsOf = NOW
) -> pyarrow.Table:
    """Answer a question as `liftwerk.events.query.query` does, over rows with a ``customer``."""
    how = _Reading(project, stores, as_of)
    return query_events(
        project, stores, sql, purpose, how.as_of, how.derived, how.beside, how.one_customer
    )


class _Reading:
    """What a read needs beyond the events: the columns to add, and what they look into."""

    def __init__(
        self, project: Project, stores: Stores, as_of: AsOf, tail: Behind | None = None
    ) -> None:
        self.as_of = as_of
        self.beside: dict[str, pyarrow.Table] = {}
        self.one_customer: OneCustomer | None = None
        merged = None
        customers = customers_as_of(project, stores, as_of, tail)
        if customers is not None:
            self.as_of = customers.as_of
            if customers.merged.num_rows:
                merged = MERGED
                self.one_customer = customers.others_of
                self.beside[MERGED] = customers.merged
        self.derived = {CUSTOMER: customer_sql(project, merged)}
        visitor = visitor_sql(project)
        if visitor is not None:
            self.derived[VISITOR] = visitor


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
    namespace, value = named_identifier(project, identifier, namespace)
    try:
        return leaf_key(namespace, project.get(IDENTIFIERS)[namespace].spell(value))
    except ValueError as error:
        raise InputError(str(error), f"identifiers.{namespace}", "check its spelling") from None


def named_identifier(
    project: Project, identifier: str, namespace: str | None = None
) -> tuple[str, str]:
    """Part an identifier as a person writes it into its namespace and its value.

    Raises
    ------
    UnknownName
        If no such namespace is declared.
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
    return namespace, value


def customer_of(project: Project, identifier: str, namespace: str | None = None) -> bytes:
    """Return the key that an identifier has by itself: its leaf key, the unit of a decision.

    Whose it is now say `customers_of` and the rows that are read.
    """
    return leaf_of(project, identifier, namespace)


def customers_of(
    project: Project, stores: Stores, leaves: Sequence[bytes], as_of: AsOf = NOW
) -> dict[bytes, bytes]:
    """Say whose some leaf keys are.

    Parameters
    ----------
    project : Project
    stores : Stores
    leaves : sequence of bytes
        Leaf keys, customer keys among them.
    as_of : AsOf
        What may be known.

    Returns
    -------
    dict of bytes to bytes
        Leaf key -> customer key; a leaf that was never linked is its own.
    """
    customers = customers_as_of(project, stores, as_of)
    if customers is None:
        return {leaf: leaf for leaf in leaves}
    return customers.whose(leaves)


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

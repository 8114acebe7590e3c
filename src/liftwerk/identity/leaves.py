"""All that customers are known by, for whoever has to reach every row of theirs."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow
import pyarrow.compute

from liftwerk.definitions.project import Project
from liftwerk.events.columns import LEAF
from liftwerk.events.engine import quoted
from liftwerk.events.identifiers import IDENTIFIERS
from liftwerk.events.read import ERASURE
from liftwerk.events.read import relations as event_relations
from liftwerk.identity.customers import Customers
from liftwerk.identity.links import tables_of
from liftwerk.identity.mapping import customers_as_of, customers_to_erase
from liftwerk.identity.resolve import CUSTOMER, MERGED, customer_sql
from liftwerk.store.stores import Stores


def leaves_of(project: Project, stores: Stores, customer: bytes) -> list[bytes]:
    """Return every leaf key of a customer and of nobody else.

    Parameters
    ----------
    project : Project
    stores : Stores
    customer : bytes
        The customer key, or any of its leaf keys.

    Returns
    -------
    list of bytes
        The customer key first. Beside those that are linked to it there are those that were seen
        with no other customer, though nothing links them; not one that others were seen with too
        (a shared device).
    """
    return _leaves(project, stores, [customer], customers_as_of(project, stores))[customer]


def leaves_to_erase(
    project: Project, stores: Stores, keys: Sequence[bytes]
) -> dict[bytes, list[bytes]]:
    """Return, for some customers whose erasure has begun, what `leaves_of` returned before.

    Parameters
    ----------
    project : Project
    stores : Stores
    keys : sequence of bytes
        A leaf key of each.

    Returns
    -------
    dict of bytes to list of bytes
        Key -> leaf keys. All customers are looked up in one walk through the events.
    """
    return _leaves(project, stores, keys, customers_to_erase(project, stores))


def _leaves(
    project: Project, stores: Stores, keys: Sequence[bytes], customers: Customers | None
) -> dict[bytes, list[bytes]]:
    if customers is None:
        return {key: [key] for key in keys}
    merged = customers.merged
    place = pyarrow.compute.index_in(pyarrow.array(keys, pyarrow.binary()), merged.column("leaf"))
    found = merged.column("customer").take(place).to_pylist()
    owner = {key: other or key for key, other in zip(keys, found, strict=True)}
    asked = pyarrow.array(sorted(set(owner.values())), pyarrow.binary())
    linked = merged.filter(pyarrow.compute.is_in(merged.column("customer"), asked))
    pairs = [(row["customer"], row["leaf"]) for row in linked.to_pylist()]
    pairs += _seen_with_no_other(project, stores, customers, asked)
    leaves: dict[bytes, set[bytes]] = {}
    for customer, leaf in pairs:
        leaves.setdefault(customer, set()).add(leaf)
    return {
        key: [customer, *sorted(({key} | leaves.get(customer, set())) - {customer})]
        for key, customer in owner.items()
    }


def _seen_with_no_other(
    project: Project, stores: Stores, customers: Customers, asked: pyarrow.Array
) -> list[tuple[bytes, bytes]]:
    columns = [f"{LEAF}{name}" for name in project.get(IDENTIFIERS)]
    derived = {CUSTOMER: customer_sql(project, MERGED)}
    beside = {MERGED: customers.merged, "_asked": pyarrow.table({CUSTOMER: asked})}
    with event_relations(
        project, stores, ERASURE, customers.as_of, derived, None, beside
    ) as connection:
        seen = " UNION ".join(
            f"SELECT {CUSTOMER}, {quoted(column)} AS leaf FROM {quoted(view)}"
            for view in tables_of(connection)
            for column in columns
        )
        rows = connection.execute(
            f"SELECT first({CUSTOMER}), leaf FROM ({seen}) WHERE leaf <> {CUSTOMER} GROUP BY leaf"
            f" HAVING count(DISTINCT {CUSTOMER}) = 1"
            f" AND first({CUSTOMER}) IN (SELECT {CUSTOMER} FROM _asked)"
        ).fetchall()
    return [(customer, leaf) for customer, leaf in rows]

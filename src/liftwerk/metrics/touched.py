"""Whose totals what came in may change, and of whom something that was counted may be told anew."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from liftwerk.definitions.project import Project
from liftwerk.events.columns import leaf_columns
from liftwerk.events.engine import quoted
from liftwerk.events.read import purpose_named
from liftwerk.events.schema import schema_of
from liftwerk.identity.mapping import customers_as_of
from liftwerk.identity.resolve import customers_of, relations
from liftwerk.metrics.compile import Plan
from liftwerk.privacy.permitted import AsOf
from liftwerk.store.stores import Stores

TOUCHED = "_touched"
"""The relation of them, of `touched`."""

_CHANGES = "consent_changed"


def touched(
    project: Project,
    stores: Stores,
    plans: Sequence[Plan],
    purpose: str,
    offset: int,
    as_of: AsOf,
) -> pa.Table:
    """Return the customers of whom anything behind an offset tells.

    Parameters
    ----------
    project : Project
    stores : Stores
    plans : sequence of Plan
        What is counted.
    purpose : str
    offset : int
        What was known when they were counted last.
    as_of : AsOf
        What is known now.

    Returns
    -------
    pyarrow.Table
        ``customer`` (binary, each once) and ``restated``: whether something that was counted may
        count no longer, or for another customer. Of the others there is only more to add.
    """
    events = list(dict.fromkeys(plan.event for plan in plans))
    # With every report of a conversion that has a new one: an older one among them may count no
    # longer, and then whoever it named has to be counted anew.
    given = (project, stores, purpose, as_of, events)
    with relations(*given, superseded=True, after_offset=offset) as connection:
        rows = " UNION ALL ".join(
            f'SELECT customer, "offset" <= {offset} AS restated FROM {quoted(name)}'
            for name in events
        )
        told = connection.sql(
            f"SELECT customer, bool_or(restated) AS restated FROM ({rows})"
            " WHERE customer IS NOT NULL GROUP BY customer"
        ).to_arrow_table()
    moved = _regrouped(project, stores, offset, as_of)
    if purpose_named(project, purpose).can_be_withdrawn:
        moved |= _changed_consent(project, stores, offset, as_of)
    keys = pa.array(sorted(moved), pa.binary())
    others = told.filter(pc.invert(pc.is_in(told.column("customer"), keys)))
    return pa.concat_tables(
        [
            others.cast(_SCHEMA),
            pa.table({"customer": keys, "restated": pa.repeat(True, len(keys))}).cast(_SCHEMA),
        ]
    )


_SCHEMA = pa.schema([("customer", pa.binary()), ("restated", pa.bool_())])


def _regrouped(project: Project, stores: Stores, offset: int, as_of: AsOf) -> set[bytes]:
    """Return every key, then and now, of those who belong together with others than before."""
    now = customers_as_of(project, stores, as_of)
    if now is None:
        return set()
    before = customers_as_of(project, stores, AsOf(offset=offset))
    leaves = list(now.regrouped_since(before))
    found = {*leaves, *now.whose(leaves).values()}
    if before is not None:
        found |= set(before.whose(leaves).values())
    return found


def _changed_consent(project: Project, stores: Stores, offset: int, as_of: AsOf) -> set[bytes]:
    """Return the customers who changed their mind about anything."""
    columns = leaf_columns(schema_of(project))
    given = (project, stores, "deduplication", as_of, [_CHANGES])
    with relations(*given, after_offset=offset) as connection:
        selects = (
            f"SELECT {quoted(one)} AS leaf FROM {quoted(_CHANGES)} WHERE {quoted(one)} IS NOT NULL"
            for one in columns
        )
        found = connection.sql(" UNION ".join(selects)).fetchall()
    leaves = [bytes(leaf) for (leaf,) in found]
    return {*leaves, *customers_of(project, stores, leaves, as_of).values()}


def resolved(project: Project, stores: Stores, spine: pa.Table, as_of: AsOf) -> pa.Table:
    """Return a spine with its customers as they are known."""
    customers = customers_as_of(project, stores, as_of)
    if customers is None:
        return spine
    place = pc.index_in(spine.column("customer"), customers.merged.column("leaf"))
    column = pc.coalesce(customers.merged.column("customer").take(place), spine.column("customer"))
    return spine.set_column(spine.column_names.index("customer"), "customer", column)


def all_leaves(
    project: Project, stores: Stores, customers: pa.ChunkedArray, as_of: AsOf
) -> pa.Array:
    """Return every leaf key of some customers."""
    keys = pc.unique(customers)
    known = customers_as_of(project, stores, as_of)
    if known is None:
        return keys
    others = known.others_of(keys).column("other").combine_chunks()
    return pa.concat_arrays([keys.cast(pa.binary()), others.cast(pa.binary())])

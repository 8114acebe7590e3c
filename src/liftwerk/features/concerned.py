"""Which kept rows are concerned: the entities that some events are about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypeAlias

import duckdb
import msgspec
import pyarrow as pa

from liftwerk.definitions.project import Project
from liftwerk.errors import Conflict, Refused, UnknownName
from liftwerk.events.columns import LEAF
from liftwerk.events.definition import known_events
from liftwerk.events.engine import quoted
from liftwerk.events.identifiers import IDENTIFIERS
from liftwerk.events.read import ERASURE, refused_name, relations
from liftwerk.features.checks.flags import FLAGS
from liftwerk.features.entity import CONTEXT, PEOPLE, SESSION, encoded
from liftwerk.features.join import KEY_TYPES
from liftwerk.features.kept import KeptView, is_filled, kept_view
from liftwerk.features.older import as_used, drop_orphans, drop_version, kept_names
from liftwerk.features.rows import Source, text_of
from liftwerk.identity.definition import VISITOR
from liftwerk.identity.mapping import customers_as_of, customers_to_erase
from liftwerk.identity.resolve import CUSTOMER, leaf_sql, visitor_sql
from liftwerk.store.online import Changes, Progress
from liftwerk.store.stores import Stores

Key: TypeAlias = tuple[Any, ...]
"""What tells an entity: a value for each part of its key."""

WANTED = "_wanted"
"""The relation of the keys whose rows are made."""


def derived_columns(project: Project) -> dict[str, str]:
    """Write whom a row is about, as kept rows are told apart: by leaf keys."""
    derived = {CUSTOMER: leaf_sql(project)}
    visitor = visitor_sql(project)
    if visitor is not None:
        derived[VISITOR] = visitor
    return derived


def named_sql(project: Project, relation: str) -> str:
    """Write that a row names one of some leaves, in any namespace."""
    tests = (
        f"{quoted(LEAF + name)} IN (SELECT leaf FROM {relation})"
        for name in project.get(IDENTIFIERS)
    )
    return " OR ".join([*tests, "FALSE"])


def set_aside(
    connection: duckdb.DuckDBPyConnection,
    names: Iterable[str],
    kind: Literal["VIEW", "TABLE"] = "VIEW",
) -> None:
    """Rename events' relations, so that `narrow` can put parts of them in their place."""
    for name in names:
        connection.execute(f"ALTER {kind} {quoted(name)} RENAME TO {quoted(f'_all_{name}')}")


def narrow(connection: duckdb.DuckDBPyConnection, name: str, condition: str) -> None:
    """Let a view that was set aside hold only the rows for which a condition holds."""
    connection.execute(
        f"CREATE OR REPLACE VIEW {quoted(name)} AS"
        f" SELECT * FROM {quoted(f'_all_{name}')} WHERE {condition}"
    )


def keys_in(
    connection: duckdb.DuckDBPyConnection, kept: KeptView, names: Sequence[str]
) -> set[Key]:
    """Return whom or what the rows of some events are about."""
    found: set[Key] = set()
    for event, statement in kept.view.keys:
        if event in names:
            found.update(connection.execute(statement.duckdb).fetchall())
    return {key for key in found if None not in key}


def narrow_to_keys(
    connection: duckdb.DuckDBPyConnection, kept: KeptView, keys: Iterable[Key]
) -> None:
    """Leave out rows that are about none of some entities, as far as that is cheap to see."""
    sources = {plan.source.event: plan.source for plan in kept.view.plans}
    parts = next(iter(sources.values())).key
    columns = list(zip(*keys, strict=True))
    wanted = {
        f"e{place}": pa.array(columns[place], KEY_TYPES[part.type])
        for place, part in enumerate(parts)
    }
    connection.register("_given", pa.table(wanted))
    connection.execute(f"CREATE TABLE {WANTED} AS SELECT * FROM _given")
    connection.unregister("_given")
    set_aside(connection, kept.scanned)
    for event in kept.events:
        same = [_key_sql(plan.source) for plan in kept.view.plans if plan.source.event == event]
        for name in (event, refused_name(event)):
            narrow(connection, name, " OR ".join(dict.fromkeys(same)))


def narrow_to_offset(connection: duckdb.DuckDBPyConnection, kept: KeptView, offset: int) -> None:
    """Leave out what came behind an offset."""
    for name in kept.scanned:
        later = quoted(f"_later_{name}")
        connection.execute(f"ALTER VIEW {quoted(name)} RENAME TO {later}")
        connection.execute(
            f'CREATE VIEW {quoted(name)} AS SELECT * FROM {later} WHERE "offset" <= {offset}'
        )


def _key_sql(source: Source) -> str:
    tests = []
    for place, part in enumerate(source.key):
        column, wanted = quoted(part.column), f"SELECT e{place} FROM {WANTED}"
        if source.unnest is not None and part.column.startswith(f"{source.unnest}."):
            field = quoted(part.column.rpartition(".")[2])
            values = f"list_transform({quoted(source.unnest)}, lambda x: x.{field})"
            tests.append(f"list_has_any({values}, (SELECT list(e{place}) FROM {WANTED}))")
        elif part.column.startswith(CONTEXT):
            tests.append(f"{text_of('duckdb', part.column)} IN ({wanted})")
        else:
            tests.append(f"{column} IN ({wanted})")
    return f"({' AND '.join(tests)})"


def mark_stale(project: Project, stores: Stores, leaves: Sequence[bytes]) -> int:
    """Note which kept rows an erasure makes untrue, beside those of the erased themselves.

    A session, a product or another person's identifier may have been named by the same events; a
    report of a conversion may count now in the place of an erased one; and without the events that
    go, others may be one customer, or no longer. Such rows are made anew by the next step that
    keeps the view up to date, without what is erased. A session's goes at once, and so does what
    flags tell of: a worst value may have been theirs, and the next step raises the flag again.

    Parameters
    ----------
    project : Project
    stores : Stores
        Its tables still hold what is to be erased.
    leaves : sequence of bytes
        The leaf keys of those people.

    Returns
    -------
    int
        How many rows were noted.
    """
    stores.online.drop(FLAGS)
    drop_orphans(project, stores)
    filled = []
    for name in kept_names(project):
        try:
            kept = kept_view(as_used(project, stores.ledger, name), name)
        except (Refused, UnknownName):
            # What can't be made anew must not outlive whom it is partly about.
            drop_version(stores.online, name)
            continue
        progress = stores.online.progress(kept.space)
        if progress is not None and is_filled(progress):
            filled.append((kept, progress))
    if not filled:
        return 0
    moved = _moved(project, stores) - set(leaves)
    marks = []
    for kept, progress in filled:
        keys = named_by(project, stores, kept, [*leaves, *moved])
        if kept.entity in PEOPLE:
            keys |= {(leaf,) for leaf in moved}
        rows = [(encoded(kept.entity, key), msgspec.msgpack.encode(key)) for key in keys]
        if kept.entity in PEOPLE:
            rows = [row for row in rows if row[0] not in leaves]
        if kept.entity == SESSION:
            stores.online.erase(key for key, _ in rows)
        marks.append((kept, rows, progress))
    # After all of that: it takes keys out of every space, other views' marks among them.
    for kept, rows, progress in marks:
        if rows:
            _put(stores, kept, rows, progress)
    return sum(len(rows) for _, rows, _ in marks)


def _moved(project: Project, stores: Stores) -> set[bytes]:
    """Say who belongs together with others, once those who are being erased are gone."""
    before, now = customers_to_erase(project, stores), customers_as_of(project, stores)
    if before is None or now is None:
        return set()
    return set(now.regrouped_since(before))


def named_by(project: Project, stores: Stores, kept: KeptView, leaves: Sequence[bytes]) -> set[Key]:
    """Return whom the events that name some leaves are about, and other reports of the same."""
    derived = derived_columns(project)
    asked = pa.array(leaves, pa.binary())
    with relations(
        project, stores, ERASURE, derived=derived, names=kept.events, leaves=asked
    ) as connection:
        found = keys_in(connection, kept, kept.events)
    declared = known_events(project)
    names = [name for name in kept.events if declared[name].unique]
    if names:
        with relations(project, stores, ERASURE, derived=derived, names=names) as connection:
            found |= reports_beside(connection, project, kept, names, leaves)
    return found


def reports_beside(
    connection: duckdb.DuckDBPyConnection,
    project: Project,
    kept: KeptView,
    names: Sequence[str],
    leaves: Iterable[bytes],
) -> set[Key]:
    """Return whom reports are about of conversions of which another report names some leaves."""
    declared = known_events(project)
    asked = pa.table({"leaf": pa.array(sorted(leaves), pa.binary())})
    connection.register("_touched", asked)
    set_aside(connection, names)
    theirs = named_sql(project, "_touched")
    for name in names:
        keys = ", ".join(map(quoted, declared[name].unique))
        every = quoted(f"_all_{name}")
        narrow(connection, name, f"({keys}) IN (SELECT ({keys}) FROM {every} WHERE {theirs})")
    return keys_in(connection, kept, names)


def mark(stores: Stores, kept: KeptView, keys: Iterable[Key]) -> None:
    """Note that the rows of some keys are to be made anew, if the view is filled."""
    rows = [(encoded(kept.entity, key), msgspec.msgpack.encode(key)) for key in keys]
    progress = stores.online.progress(kept.space)
    if rows and progress is not None and is_filled(progress):
        _put(stores, kept, rows, progress)


def _put(
    stores: Stores, kept: KeptView, rows: Sequence[tuple[bytes, bytes]], seen: Progress
) -> None:
    while True:
        changes = Changes(stores.online.progress(kept.stale), rows)
        try:
            stores.online.apply({kept.stale: changes}, seen.offset, seen.at)
        except Conflict:
            continue  # the updater took some meanwhile
        return

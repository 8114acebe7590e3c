"""Rows beside the reference data that held at their time, by what was known."""

from __future__ import annotations

from collections.abc import Mapping

import duckdb
import pyarrow

from liftwerk.definitions.project import Project
from liftwerk.errors import InputError, UnknownName, did_you_mean
from liftwerk.events.engine import quoted
from liftwerk.events.entities.read import rows_sql, timelines
from liftwerk.events.entities.schema import EntityType, entity_of
from liftwerk.privacy.permitted import NOW, AsOf
from liftwerk.store.stores import Stores


def join(
    project: Project,
    stores: Stores,
    rows: pyarrow.Table,
    name: str,
    purpose: str,
    on: Mapping[str, str] | None = None,
    time: str = "time",
    known: str | None = None,
    as_of: AsOf = NOW,
) -> pyarrow.Table:
    """Give each row the properties that an entity had at its time.

    Parameters
    ----------
    project : Project
    stores : Stores
    rows : pyarrow.Table
        n rows, such as events that were read for the same purpose.
    name : str
        The entity.
    purpose : str
        A purpose that may read it.
    on : mapping of str to str, optional
        Property of the key -> column of ``rows``; by default the column of the same name.
    time : str
        Column with the moment at which it has to have held.
    known : str, optional
        Column with what may be known for that row, such as ``known_at``: nothing learnt later
        reaches it, as training needs it. By default all that ``as_of`` knows reaches every row.
    as_of : AsOf
        What the reader may know.

    Returns
    -------
    pyarrow.Table
        The n rows in their order, with ``NAME_PROPERTY`` for each property that is not of the key,
        ``NAME_valid_from`` and ``NAME_known_at``; null where nothing held or was known.

    Raises
    ------
    UnknownName
        If the entity, the purpose or a column is not there.
    InputError
        If the purpose may not read the entity, or a column does not fit its key.
    """
    kind = entity_of(project, name)
    on = dict(on or {key: key for key in kind.definition.key})
    _demand_columns(kind, rows, on, time, known)
    added = [c.name for c in kind.columns if c.name not in kind.definition.key]
    added += ["valid_from", "known_at"]
    with timelines(project, stores, purpose, [name], as_of) as connection:
        connection.register("_rows", rows)
        connection.execute(f"CREATE TABLE _known AS {rows_sql(kind, stores, as_of)}")
        same = " AND ".join(f"r.{quoted(mine)} = e.{quoted(key)}" for key, mine in on.items())
        then = f"{same} AND e.valid_from <= r.{quoted(time)}"
        if known is not None:
            then += f" AND e.known_at <= r.{quoted(known)}"
        fields = ", ".join(f"{quoted(key)}: e.{quoted(key)}" for key in added)
        # The latest beginning, and of what was known about it the last: both bounds are by row.
        best = f'arg_max({{{fields}}}, (e.valid_from, e.known_at, e."offset"))'
        chosen = ", ".join(f"f.best.{quoted(key)} AS {quoted(f'{name}_{key}')}" for key in added)
        try:
            return connection.sql(
                "WITH r AS (SELECT row_number() OVER () AS _n, * FROM _rows),"
                f" f AS (SELECT r._n, {best} AS best FROM r JOIN _known AS e ON {then}"
                " GROUP BY r._n)"
                f" SELECT r.* EXCLUDE (_n), {chosen} FROM r LEFT JOIN f USING (_n) ORDER BY r._n"
            ).to_arrow_table()
        except duckdb.Error as error:
            what = str(error).strip().partition("\n")[0]
            hint = "columns must have the types of the key, and times"
            raise InputError(what, f"entities.{name}", hint) from None


def _demand_columns(
    kind: EntityType, rows: pyarrow.Table, on: Mapping[str, str], time: str, known: str | None
) -> None:
    for key in kind.definition.key:
        if key not in on:
            hint = f"say which column holds it: on = {{{key!r}: …}}"
            raise InputError(f"nothing is joined to {key!r}", f"entities.{kind.name}.key", hint)
    for key in on:
        if key not in kind.definition.key:
            hint = did_you_mean(key, kind.definition.key)
            raise UnknownName(f"{key!r} is not in the key", f"entities.{kind.name}.key", hint)
    wanted = [*on.values(), time]
    if known is not None:
        wanted.append(known)
    for column in wanted:
        if column not in rows.column_names:
            hint = did_you_mean(column, rows.column_names)
            raise UnknownName(f"no column {column!r}", "the rows to join", hint)

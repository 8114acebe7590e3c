"""What is kept of each entity, in figures; and how a thing is named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from liftwerk.definitions.project import Project
from liftwerk.errors import InputError
from liftwerk.events.engine import connect
from liftwerk.events.entities.definition import ENTITIES
from liftwerk.events.entities.read import BURIED, rows_sql, timeline_sql
from liftwerk.events.entities.schema import entity_of
from liftwerk.store.stores import Stores


def summaries(project: Project, stores: Stores) -> list[dict[str, Any]]:
    """List the declared entities.

    Parameters
    ----------
    project : Project
    stores : Stores

    Returns
    -------
    list of dict
        For each: ``entity``, ``key``, ``description``, ``owner``, ``things`` (how many keys),
        ``rows`` (with those that were corrected), ``corrected``, ``from`` and ``known`` (the last
        ``valid_from`` and ``known_at``; None without rows).
    """
    found = []
    with stores.tables.reading():
        for name, definition in project.get(ENTITIES).items():
            kind = entity_of(project, name)
            connection = connect()
            connection.execute(f"CREATE TABLE {BURIED} (leaf BLOB)")
            rows = rows_sql(kind, stores)
            keys = ", ".join(f'"{key}"' for key in definition.key)
            [counts] = connection.execute(
                f"SELECT count(*), count(DISTINCT row({keys})), max(valid_from), max(known_at),"
                f" count(*) - (SELECT count(*) FROM ({timeline_sql(kind, rows)})) FROM ({rows})"
            ).fetchall()
            connection.close()
            found.append(
                {
                    "entity": name,
                    "key": list(definition.key),
                    "description": definition.description,
                    "owner": definition.owner,
                    "things": counts[1],
                    "rows": counts[0],
                    "corrected": counts[4],
                    "from": counts[2],
                    "known": counts[3],
                }
            )
    return found


def key_of(project: Project, name: str, parts: Sequence[str] | None) -> dict[str, str] | None:
    """Name a thing by the parts of its key in their order; None for all things.

    Raises
    ------
    InputError
        If there are more or fewer parts than the key has.
    """
    if not parts:
        return None
    key = entity_of(project, name).definition.key
    if len(parts) != len(key):
        hint = "it is named by " + ", ".join(key)
        what = f"{len(parts)} parts of a key that has {len(key)}"
        raise InputError(what, f"entities.{name}", hint)
    return dict(zip(key, parts, strict=True))

"""All that some leaf keys ever said about consent, read from the event tables.

Events of one customer mostly repeat the consent that was given once: repetitions are folded where
they are read, so that what comes back is about as long as what was said.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb
import pyarrow

from liftwerk.definitions.project import Project
from liftwerk.events.columns import leaf_columns
from liftwerk.events.engine import quoted, text
from liftwerk.events.read import relations
from liftwerk.events.schema import schema_of
from liftwerk.privacy.permitted import NOW, AsOf
from liftwerk.privacy.state import Statement
from liftwerk.store.stores import Stores

CHANGE = "consent_changed"


def read_statements(
    project: Project,
    stores: Stores,
    leaves: Sequence[bytes],
    purpose: str = "audit",
    as_of: AsOf = NOW,
) -> list[Statement]:
    """Read the statements about some leaf keys, in the order of the log.

    Parameters
    ----------
    project : Project
    stores : Stores
    leaves : sequence of bytes
        The leaf keys of one customer.
    purpose : str
        What for: a built-in purpose sees all of them.
    as_of : AsOf
        What may be known.

    Returns
    -------
    list of Statement
        Test traffic says nothing.
    """
    schema = schema_of(project)
    columns = leaf_columns(schema)
    if not leaves or not columns:
        return []
    with relations(project, stores, purpose, as_of) as connection:
        asked = pyarrow.table({"leaf": pyarrow.array(leaves, pyarrow.binary())})
        connection.register("_asked", asked)
        found = [
            *_changes(connection, columns),
            *_carried(connection, columns, [name for name in schema.types if name != CHANGE]),
        ]
    return sorted(found, key=lambda statement: statement.offset)


def _about(columns: Sequence[str]) -> str:
    is_one = " OR ".join(f"{quoted(column)} IN (SELECT leaf FROM _asked)" for column in columns)
    return f"({is_one})"


def _changes(connection: duckdb.DuckDBPyConnection, columns: Sequence[str]) -> list[Statement]:
    # Only the asked ones: what else a change names is somebody else's business.
    listed = ", ".join(
        f"CASE WHEN {quoted(column)} IN (SELECT leaf FROM _asked) THEN {quoted(column)} END"
        for column in columns
    )
    rows = connection.sql(
        f'SELECT time, known_at, "offset", granted, withdrawn, source, consent_source,'
        f" consent_version AS version, [{listed}] AS leaves FROM {quoted(CHANGE)}"
        f" WHERE NOT synthetic AND {_about(columns)}"
    ).to_arrow_table()
    return [_statement(row) for row in rows.to_pylist()]


def _carried(
    connection: duckdb.DuckDBPyConnection, columns: Sequence[str], names: Sequence[str]
) -> list[Statement]:
    """Read the consents that events carry, each one where it was known first."""
    selects = [
        f'SELECT {text(name)} AS event, time, known_at, "offset", source, consent_granted,'
        f" consent_source, consent_version, consent_at FROM {quoted(name)}"
        f" WHERE consent_granted IS NOT NULL AND NOT synthetic AND {_about(columns)}"
        for name in names
    ]
    rows = connection.sql(
        f"""
        SELECT event, coalesce(consent_at, time) AS time, known_at, "offset", source,
            consent_granted AS granted, consent_source, consent_version AS version,
            TRUE AS whole, consent_at IS NOT NULL AS dated
        FROM ({" UNION ALL ".join(selects)}) AS e
        QUALIFY row_number() OVER (
            PARTITION BY coalesce(consent_at, e.time), dated, granted, consent_source, version
            ORDER BY known_at, "offset"
        ) = 1
        """
    ).to_arrow_table()
    return [_statement(row) for row in rows.to_pylist()]


def _statement(row: dict[str, Any]) -> Statement:
    sets = {"granted": (), "withdrawn": (), "leaves": (), **row}
    for key in ("granted", "withdrawn", "leaves"):
        sets[key] = frozenset(one for one in sets[key] if one is not None)
    return Statement(**sets)

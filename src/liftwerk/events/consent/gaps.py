"""Events without consent state: kept for accounting, and counted here.

``missing``: the event says nothing of consent. ``unreadable``: a consent manager's answer came, but
it could not be read, or it named only purposes that are not declared.
"""

from __future__ import annotations

import pyarrow

from liftwerk.definitions.project import Project
from liftwerk.events.consent.statements import CHANGE
from liftwerk.events.engine import quoted, text
from liftwerk.events.read import relations
from liftwerk.events.schema import schema_of
from liftwerk.privacy.permitted import NOW, AsOf
from liftwerk.store.stores import Stores


def consent_gaps(
    project: Project, stores: Stores, purpose: str = "audit", as_of: AsOf = NOW
) -> pyarrow.Table:
    """Count the events whose consent is not known.

    Parameters
    ----------
    project : Project
    stores : Stores
    purpose : str
        What it is read for.
    as_of : AsOf
        What may be known.

    Returns
    -------
    pyarrow.Table
        ``source``, ``event``, ``reason`` (missing or unreadable), ``events`` (how many), ``of``
        (out of how many of that source and event); only where there is a gap. Test traffic and the
        changes of consent themselves are not counted.
    """
    names = [name for name in schema_of(project).types if name != CHANGE]
    with relations(project, stores, purpose, as_of, names=names) as connection:
        told = " UNION ALL ".join(
            f"SELECT {text(name)} AS event, source, consent_granted, consent_source"
            f" FROM {quoted(name)} WHERE NOT synthetic"
            for name in names
        )
        return connection.sql(
            f"""
            SELECT source, event, reason, count(*)::BIGINT AS events, any_value("of") AS "of"
            FROM (
                SELECT source, event, consent_granted IS NULL AS is_gap,
                    CASE WHEN consent_source IS NULL THEN 'missing' ELSE 'unreadable' END AS reason,
                    count(*) OVER (PARTITION BY source, event)::BIGINT AS "of"
                FROM ({told})
            )
            WHERE is_gap
            GROUP BY source, event, reason
            ORDER BY source, event, reason
            """
        ).to_arrow_table()

"""What a customer agreed to, when, who told us, and since when we know: the proof and the state."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow

from liftwerk.definitions.project import Project
from liftwerk.events.consent.statements import read_statements
from liftwerk.privacy.definition import PURPOSES, Purpose
from liftwerk.privacy.permitted import NOW, AsOf
from liftwerk.privacy.state import ConsentState, Turn, state_of, turns
from liftwerk.store.stores import Stores

_INSTANT = pyarrow.timestamp("us", "UTC")

HISTORY = pyarrow.schema(
    [
        ("time", _INSTANT),
        ("known_at", _INSTANT),
        ("offset", pyarrow.int64()),
        ("purpose", pyarrow.string()),
        ("change", pyarrow.string()),
        ("event", pyarrow.string()),
        ("source", pyarrow.string()),
        ("consent_source", pyarrow.string()),
        ("version", pyarrow.string()),
    ]
)
"""Columns of a history; ``change`` is granted, withdrawn or refused."""


def consent_history(
    project: Project,
    stores: Stores,
    leaves: Sequence[bytes],
    purpose: str = "audit",
    as_of: AsOf = NOW,
) -> pyarrow.Table:
    """Say what was granted and withdrawn by a customer.

    Parameters
    ----------
    project : Project
    stores : Stores
    leaves : sequence of bytes
        The customer's leaf keys.
    purpose : str
        What it is read for.
    as_of : AsOf
        What may be known.

    Returns
    -------
    pyarrow.Table
        `HISTORY`, in the order of their times: every change, and every event whose consent turned
        what held before. Purposes that are no longer declared are in it.
    """
    statements = read_statements(project, stores, leaves, purpose, as_of)
    declared = project.get(PURPOSES)
    named = set(declared)
    for statement in statements:
        named |= statement.granted | statement.withdrawn
    found: list[Turn] = []
    for name in sorted(named):
        found += turns(statements, name, declared.get(name, Purpose("consent")))
    found.sort(key=lambda turn: (turn.statement.time, turn.statement.offset, turn.purpose))
    rows = [
        {
            "time": turn.statement.time,
            "known_at": turn.statement.known_at,
            "offset": turn.statement.offset,
            "purpose": turn.purpose,
            "change": turn.word,
            "event": turn.statement.event,
            "source": turn.statement.source,
            "consent_source": turn.statement.consent_source,
            "version": turn.statement.version,
        }
        for turn in found
    ]
    return pyarrow.Table.from_pylist(rows, HISTORY)


def consent_state(
    project: Project,
    stores: Stores,
    leaves: Sequence[bytes],
    purpose: str = "audit",
    as_of: AsOf = NOW,
) -> dict[str, ConsentState]:
    """Say what holds for a customer, by purpose.

    Parameters
    ----------
    project : Project
    stores : Stores
    leaves : sequence of bytes
        The customer's leaf keys.
    purpose : str
        What it is read for.
    as_of : AsOf
        The instant, by what was known then; by default now.

    Returns
    -------
    dict of str to ConsentState
        Each declared purpose, in their declared order.
    """
    statements = read_statements(project, stores, leaves, purpose, as_of)
    return {
        name: state_of(statements, name, definition, as_of.time)
        for name, definition in project.get(PURPOSES).items()
    }

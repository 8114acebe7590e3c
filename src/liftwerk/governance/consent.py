"""Consent as a right: what a customer agreed to, shown and changed for all that they are known by.

A withdrawal reaches the events that carry one of the leaf keys it names, so that no scan has to ask
who somebody is. That is why it is told of every identifier that the customer is known by.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import msgspec

from liftwerk.clock import Clock
from liftwerk.definitions.project import Project
from liftwerk.errors import HomeInUse
from liftwerk.events.compact import compact
from liftwerk.events.consent.change import change_consent
from liftwerk.events.consent.history import consent_history, consent_state
from liftwerk.events.definition import LIVE
from liftwerk.events.read import identifier_values
from liftwerk.identity.leaves import leaves_of
from liftwerk.identity.resolve import leaf_of, named_identifier
from liftwerk.store.stores import Stores

SUBJECT = "a customer"
"""What the audit entry is about: it must not name whom."""


def show_customer(project: Project, stores: Stores, customer: str) -> dict[str, Any]:
    """Show a customer's consent: what holds, and how it came about.

    Parameters
    ----------
    project : Project
    stores : Stores
    customer : str
        An identifier, ``"3"`` or ``"namespace:3"``.

    Returns
    -------
    dict
        JSON-able: ``state`` (one entry a declared purpose) and ``history``, oldest first.

    Raises
    ------
    UnknownName
        If the namespace is not declared.
    InputError
        If the identifier is not what its namespace demands.
    """
    leaves = leaves_of(project, stores, leaf_of(project, customer))
    state = consent_state(project, stores, leaves)
    history = consent_history(project, stores, leaves).to_pylist()
    plain: dict[str, Any] = msgspec.to_builtins({"state": list(state.values()), "history": history})
    return plain


def change_customer(
    project: Project,
    stores: Stores,
    customer: str,
    granted: Sequence[str],
    withdrawn: Sequence[str],
    actor: str,
    clock: Clock,
) -> dict[str, Any]:
    """Grant or withdraw a customer's consent, from now on, for every identifier they are known by.

    Parameters
    ----------
    project : Project
    stores : Stores
    customer : str
        An identifier, ``"3"`` or ``"namespace:3"``; it need not have been seen before.
    granted, withdrawn : sequence of str
        Declared purposes.
    actor : str
        Who does it; the audit log keeps a key in their name's place.
    clock : Clock

    Returns
    -------
    dict
        JSON-able: ``events`` (ids), ``identifiers`` (how many it was told of), and ``counts``:
        whether readers see it already; if not, another process holds the home, and its next
        compaction does it.

    Raises
    ------
    UnknownName
        If a purpose or the namespace is not declared.
    InputError
        If the identifier is not what its namespace demands, or a purpose rests on no consent.
    """
    told = _identifiers(project, stores, customer)
    detail = {"granted": [*granted], "withdrawn": [*withdrawn]}
    with stores.ledger.change(actor, "consent.change", SUBJECT, detail, clock.now()):
        # After a kill between two of them it is done again: twice withdrawn is withdrawn.
        events = [
            change_consent(project, stores, identifiers, granted, withdrawn, LIVE, clock)
            for identifiers in told
        ]
    counts = True
    try:
        with stores.home.hold("consent"):
            compact(project, stores, clock)
    except HomeInUse:
        counts = False
    return {"events": events, "identifiers": sum(map(len, told)), "counts": counts}


def _identifiers(project: Project, stores: Stores, customer: str) -> list[dict[str, str]]:
    """List all that a customer is known by: an event names one identifier of a namespace."""
    leaf = leaf_of(project, customer)
    named, given = named_identifier(project, customer)
    values: dict[str, list[str]] = {named: [given]}
    known = identifier_values(project, stores, "audit", leaves_of(project, stores, leaf))
    for row in known.to_pylist():
        if row["leaf"] != leaf:
            values.setdefault(row["namespace"], []).append(row["value"])
    return [
        {name: value for name, value in zip(values, row, strict=True) if value is not None}
        for row in zip_longest(*values.values())
    ]

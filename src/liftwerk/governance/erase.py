"""Erase customers: the tombstones first, then every collection, then the receipt.

    request -> look up what else they are known by -> walk the catalogue once for all -> receipts

The tombstone is the intent, and durable. From its commit on no reader sees what carries the named
identifier and no door lets it in; what else the customer is known by follows with the next
`look_up`. A kill after it leaves an erasure that whoever erases next completes.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from msgspec import Struct

from liftwerk.clock import Clock
from liftwerk.definitions.project import Project
from liftwerk.events.collect import BURIED_SECONDS
from liftwerk.events.identifiers import IDENTIFIERS
from liftwerk.events.read import ERASURE, identifier_values
from liftwerk.faults import fault
from liftwerk.features.concerned import mark_stale
from liftwerk.governance.catalogue import fill_catalogue
from liftwerk.governance.learned import models_trained_on
from liftwerk.governance.prove import Find, prove
from liftwerk.identity.leaves import leaves_to_erase
from liftwerk.identity.resolve import leaf_of, named_identifier
from liftwerk.store.catalogue import Subject, Taken
from liftwerk.store.ledger import Erasing
from liftwerk.store.stores import Stores

SUBJECT = "a customer"
"""What the audit entry is about: it must not name whom."""

HEED_SECONDS = BURIED_SECONDS + 1.0
"""After this time every process that collects knows of a tombstone."""


class Erased(Struct, frozen=True):
    """What a walk through the catalogue did, for all whose erasure was waiting.

    Attributes
    ----------
    receipts : list of str
        The ids of their erasures.
    taken : dict of str to Taken
        Collection -> what went.
    found : list of Find or None
        What a search of every file still found; None when nobody asked for it.
    models : list of dict
        The versions of models that were trained on them, with what their rule says.
    """

    receipts: list[str]
    taken: dict[str, Taken]
    found: list[Find] | None
    models: list[dict[str, str]] = []


def request(
    project: Project,
    stores: Stores,
    customers: Sequence[str],
    actor: str,
    clock: Clock,
    reason: str,
) -> list[str]:
    """Queue customers' erasures: from here on no reader sees them.

    Parameters
    ----------
    project : Project
    stores : Stores
    customers : sequence of str
        An identifier of each, ``"3"`` or ``"namespace:3"``.
    actor : str
        Who does it; the audit log keeps a key in their name's place.
    clock : Clock
    reason : str
        Why, such as ``"request"``; it stands in the audit log, so it must name nobody.

    Returns
    -------
    list of str
        The id of each erasure, by which its receipt is found. It says nothing of whom.

    Raises
    ------
    UnknownName
        If a namespace is not declared.
    InputError
        If an identifier is not what its namespace demands. Nobody was queued.
    """
    leaves = [leaf_of(project, customer) for customer in customers]
    ids = [secrets.token_hex(8) for _ in leaves]
    detail = {"reason": reason, "erasures": ids}
    with (
        fault("tombstone_commit"),
        stores.ledger.change(actor, "customer.erase", SUBJECT, detail, clock.now()) as change,
    ):
        for erasure, leaf in zip(ids, leaves, strict=True):
            stores.ledger.queue_erasure(change, erasure, [leaf])
    return ids


def look_up(project: Project, stores: Stores, actor: str, clock: Clock) -> int:
    """Find what else those are known by who are queued, and bury that too; returns how many.

    Parameters
    ----------
    project : Project
    stores : Stores
        The caller holds the home, and has compacted: what waits in the inbox may link somebody.
    actor : str
    clock : Clock
    """
    new = [one for one in stores.ledger.erasing() if one.known is None]
    if not new:
        return 0
    keys = list(dict.fromkeys(leaf for one in new for leaf in one.leaves))
    known = leaves_to_erase(project, stores, keys)
    leaves = {one.id: [key for leaf in one.leaves for key in known[leaf]] for one in new}
    detail = {"erasures": len(new)}
    with stores.ledger.change(actor, "customer.known", SUBJECT, detail, clock.now()) as change:
        stores.ledger.know_erasures(change, leaves)
    return len(new)


def heeded(stores: Stores, clock: Clock) -> list[Erasing]:
    """Return the erasures of which every process that collects knows by now."""
    before = clock.now() - timedelta(seconds=HEED_SECONDS)
    queued = stores.ledger.erasing()
    return [one for one in queued if one.known is not None and one.known <= before]


def erase(
    project: Project,
    stores: Stores,
    erasures: Sequence[Erasing],
    actor: str,
    clock: Clock,
    *,
    search: bool = True,
    values: Sequence[tuple[str, str]] = (),
) -> Erased:
    """Take all those out of everything that is kept, for good, in one walk.

    Parameters
    ----------
    project : Project
    stores : Stores
        The caller holds the home.
    erasures : sequence of Erasing
        From `Ledger.erasing`, after `look_up`.
    actor : str
    clock : Clock
    search : bool
        Whether every file is searched afterwards for what is left.
    values : sequence of (str, str)
        Namespaces and identifiers to look for, beside those that the tables know.

    Returns
    -------
    Erased
        Who was erased before counts nothing.
    """
    catalogue = fill_catalogue(project, stores, clock)
    keys = tuple(dict.fromkeys(leaf for one in erasures for leaf in one.leaves))
    known = identifier_values(project, stores, ERASURE, keys)
    pairs = [(row["namespace"], row["value"]) for row in known.to_pylist()]
    subject = Subject(keys, tuple(dict.fromkeys([*pairs, *values])))
    before = set(stores.artefacts.names())
    mark_stale(project, stores, keys)
    taken = catalogue.erase(subject)
    learned = models_trained_on(project, stores, before - set(stores.artefacts.names()))
    stores.scrub()
    found = None
    if search:
        found = prove(stores.home, subject)
    ids = [one.id for one in erasures]
    receipt = _receipt(taken, found, len(ids)) | {"models": learned}
    detail = {"erasures": len(ids), "rows": {name: one.rows for name, one in taken.items()}}
    with stores.ledger.change(actor, "customer.erased", SUBJECT, detail, clock.now()) as change:
        stores.ledger.finish_erasures(change, dict.fromkeys(ids, receipt))
    stores.ledger.scrub()
    return Erased(ids, taken, found, learned)


def spellings(project: Project, customers: Sequence[str]) -> list[tuple[str, str]]:
    """Return identifiers as they were written and as events say them, with their namespaces."""
    namespaces = project.get(IDENTIFIERS)
    found = []
    for customer in customers:
        name, value = named_identifier(project, customer)
        found += [(name, value), (name, namespaces[name].spell(value))]
    return list(dict.fromkeys(found))


def _receipt(taken: dict[str, Taken], found: list[Find] | None, many: int) -> dict[str, Any]:
    """Say what went, by collection and field, and nothing of whom."""
    receipt: dict[str, Any] = {
        "erased_together": many,
        "collections": {
            name: {"fields": one.fields, "rows": one.rows, "read": one.read, "of": one.of}
            for name, one in taken.items()
        },
        "searched": found is not None,
    }
    if found:
        receipt["found"] = sorted({find.file for find in found})
    return receipt

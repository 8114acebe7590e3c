"""Erase a customer: the tombstone first, then every collection, then the proof.

The tombstone is the intent. From its commit on no reader sees the customer and no import lets them
in; a kill after it leaves an erasure that the next `erase` of anybody completes.
"""

from __future__ import annotations

from msgspec import Struct

from liftwerk.clock import Clock
from liftwerk.definitions.project import Project
from liftwerk.events.identifiers import IDENTIFIERS
from liftwerk.faults import fault
from liftwerk.governance.catalogue import fill_catalogue
from liftwerk.governance.prove import Find, prove
from liftwerk.identity.resolve import leaf_of, leaves_of
from liftwerk.store.stores import Stores

SUBJECT = "a customer"
"""What the audit entry is about: it must not name whom."""


class Erased(Struct, frozen=True):
    """What an erasure did.

    Attributes
    ----------
    counts : dict of str to int
        Collection -> rows or files that went.
    found : list of Find
        What a search of every file still found; empty, or the erasure failed.
    """

    counts: dict[str, int]
    found: list[Find]


def erase(
    project: Project, stores: Stores, customer: str, actor: str, clock: Clock, reason: str
) -> Erased:
    """Take a customer out of everything that is kept, for good.

    Parameters
    ----------
    project : Project
    stores : Stores
        The caller holds the home.
    customer : str
        An identifier, ``"3"`` or ``"namespace:3"``.
    actor : str
        Who does it; the audit log keeps a key in their name's place.
    clock : Clock
    reason : str
        Why, such as ``"request"``; it stands in the audit log, so it must name nobody.

    Returns
    -------
    Erased
        Once more changes nothing, and counts nothing.

    Raises
    ------
    UnknownName
        If the namespace is not declared.
    InputError
        If the identifier is not what its namespace demands.
    """
    catalogue = fill_catalogue(project, stores, clock)
    leaf = leaf_of(project, customer)
    keys = leaves_of(project, stores, leaf)
    ledger = stores.ledger
    detail = {"reason": reason, "keys": len(keys)}
    with (
        fault("tombstone_commit"),
        ledger.change(actor, "customer.erase", SUBJECT, detail, clock.now()) as change,
    ):
        ledger.bury(change, keys)
    # All that were ever erased: an erasure that was killed half-way ends here too.
    buried = sorted(ledger.buried())
    counts = catalogue.erase(buried)
    with ledger.change(actor, "customer.erased", SUBJECT, {"counts": counts}, clock.now()):
        pass
    stores.scrub()
    return Erased(counts, prove(stores.home, keys, _spelled(project, customer)))


def _spelled(project: Project, customer: str) -> list[tuple[str, str]]:
    """Return the identifier as it was written and as events say it, with its namespace."""
    namespaces = project.get(IDENTIFIERS)
    name, value = next(iter(namespaces)), customer
    before, colon, rest = customer.partition(":")
    if colon and before in namespaces:
        name, value = before, rest
    return [(name, value), (name, namespaces[name].spell(value))]

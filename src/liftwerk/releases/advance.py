"""Move a release to champion: one pointer per policy, one transaction with its audit entry."""

from __future__ import annotations

from liftwerk.clock import Clock
from liftwerk.errors import Refused
from liftwerk.faults import fault
from liftwerk.releases.create import Release, find
from liftwerk.store.stores import Stores

CHAMPION = "champion"
RETIRED = "retired"


def advance(release_id: str, stores: Stores, clock: Clock, actor: str) -> str:
    """Make a release the champion of its policy; the one before is retired.

    Parameters
    ----------
    release_id : str
        Id or an unambiguous beginning of it.
    stores : Stores
    clock : Clock
    actor : str

    Returns
    -------
    str
        The full id.

    Raises
    ------
    UnknownName
        If there is no such release.
    Refused
        If its gate did not pass.
    """
    release, stage = find(stores, release_id)
    if stage == CHAMPION:
        return release.id
    if release.gate.verdict != "passed":
        raise Refused(
            f"the gate says {release.gate.verdict}",
            f"release {release.id}",
            release.gate.sentence,
        )
    ledger = stores.ledger
    before = ledger.pointer(release.policy)
    detail = {"policy": release.policy, "from": stage, "to": CHAMPION, "replaces": before or ""}
    with (
        fault("release_commit"),
        ledger.change(actor, "release.advance", release.id, detail, clock.now()) as change,
    ):
        if before is not None:
            ledger.move_release(change, before, RETIRED)
        ledger.move_release(change, release.id, CHAMPION)
        ledger.set_pointer(change, release.policy, release.id)
    return release.id


def champion(policy: str, stores: Stores) -> Release | None:
    """Return the policy's champion release, or None when nothing is live."""
    pointed = stores.ledger.pointer(policy)
    if pointed is None:
        return None
    return find(stores, pointed)[0]

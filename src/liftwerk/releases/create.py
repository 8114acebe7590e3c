"""Bundle a policy with everything it stands on into an immutable release."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import rfc8785

from liftwerk.clock import Clock
from liftwerk.errors import UnknownName, did_you_mean
from liftwerk.faults import fault
from liftwerk.releases.gate import Verdict
from liftwerk.store.ledger import protocol
from liftwerk.store.stores import Stores


class Release(msgspec.Struct, frozen=True):
    """An immutable bundle, named by its content.

    Parameters
    ----------
    policy : str
        The declared policy.
    policy_state : str
        SHA-256 of what it has learned, here of its model.
    definitions : str
        Hash of the project's definitions.
    feature_versions : dict of str to str
        Feature -> version.
    evaluation : str
        SHA-256 of the evaluation artefact.
    gate : Verdict
        What the gate said when it was made.
    """

    policy: str
    policy_state: str
    definitions: str
    feature_versions: dict[str, str]
    evaluation: str
    gate: Verdict

    @property
    def id(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of the bundle's RFC 8785 JSON."""
        content: dict[str, Any] = msgspec.to_builtins(self)
        return hashlib.sha256(rfc8785.dumps(content)).hexdigest()[:16]


def create(release: Release, stores: Stores, clock: Clock, actor: str) -> str:
    """Write a release in stage ``draft`` with its audit entry; the same bundle is written once.

    Parameters
    ----------
    release : Release
    stores : Stores
    clock : Clock
    actor : str
        Who asks for it, for the audit log.

    Returns
    -------
    str
        The release's id.
    """
    ledger = stores.ledger
    if ledger.release(release.id) is not None:
        return release.id
    detail = {
        "policy": release.policy,
        "policy_state": release.policy_state,
        "evaluation": release.evaluation,
        "gate": release.gate.verdict,
    }
    with (
        fault("release_commit"),
        ledger.change(actor, "release.create", release.id, detail, clock.now()) as change,
    ):
        body = msgspec.json.encode(release)
        row = protocol.Release(release.id, release.policy, body, clock.now())
        ledger.insert_release(change, row)
    return release.id


def find(stores: Stores, release_id: str) -> tuple[Release, str]:
    """Look a release up by its id or an unambiguous beginning of it.

    Returns
    -------
    (Release, str)
        The bundle and its stage.

    Raises
    ------
    UnknownName
        If none or several match.
    """
    rows = stores.ledger.releases()
    matches = [row for row in rows if row.id.startswith(release_id)]
    if len(matches) != 1:
        hint = did_you_mean(release_id, [row.id for row in rows])
        if matches:
            hint = "several begin so: " + ", ".join(row.id for row in matches)
        raise UnknownName(f"no release {release_id!r}", "release list", hint)
    return msgspec.json.decode(matches[0].body, type=Release), matches[0].stage

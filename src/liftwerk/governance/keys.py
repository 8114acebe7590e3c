"""Write keys: who may send events as which source; made, listed, rotated and revoked.

A key is shown once, when it is made. What is kept is its hash, and what is audited is its id: no
file of the home can give a key away.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct

from liftwerk.clock import Clock
from liftwerk.definitions.project import Project
from liftwerk.errors import ProjectError, Refused, UnknownName, did_you_mean
from liftwerk.events.definition import SOURCES
from liftwerk.faults import fault
from liftwerk.governance.key_ring import WRITE, hash_of, id_in, sources_with_keys
from liftwerk.store.ledger.protocol import Key
from liftwerk.store.stores import Stores

GRACE = timedelta(days=7)
"""How long a rotated key still works, unless another grace is asked for."""

GRACE_MAX = timedelta(days=90)
"""A key that works for longer was not rotated."""

LABEL_MAX = 80

State = Literal["live", "expiring", "expired", "revoked", "orphaned"]
"""``expiring`` still works and has an end; ``orphaned``: its source takes no keys any more."""


class NewKey(Struct, frozen=True):
    """A key that was just made; its secret is nowhere else.

    Attributes
    ----------
    id : str
        What it is called by.
    secret : str
        The whole key, as a client sends it: ``lw_write_ID_`` and 256 random bits.
    source : str
        Whom it speaks for.
    """

    id: str
    secret: str
    source: str

    def __repr__(self) -> str:
        """Leave the secret out: a repr ends in logs and tracebacks."""
        return f"NewKey(id={self.id!r}, source={self.source!r})"


class Rotated(Struct, frozen=True):
    """A key in the place of another, and until when the other still works."""

    new: NewKey
    old: str
    until: datetime


class ListedKey(Struct, frozen=True):
    """What may be told of a key."""

    id: str
    source: str
    label: str
    state: State
    created: datetime
    expires: datetime | None
    revoked: datetime | None


def create_key(
    project: Project, stores: Stores, clock: Clock, actor: str, source: str, label: str = ""
) -> NewKey:
    """Make a write key of a source.

    Parameters
    ----------
    project : Project
    stores : Stores
    clock : Clock
    actor : str
        Who makes it; the audit log keeps a key in their name's place.
    source : str
        A declared source with ``kind = "http"``.
    label : str
        What it is for, such as ``"shop server"``. It stays out of the audit log.

    Returns
    -------
    NewKey

    Raises
    ------
    UnknownName
        If no such source is declared.
    ProjectError
        If the source is a file, or the label can't be shown in a line.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from liftwerk.clock import SystemClock
    >>> from liftwerk.definitions import build
    >>> from liftwerk.governance import KeyRing
    >>> from liftwerk.sections import SECTIONS
    >>> from liftwerk.store.home import Home
    >>> from liftwerk.store.stores import open_stores
    >>> project = {"name": "shop", "currency": "EUR", "timezone": "Europe/Berlin"}
    >>> web = {"kind": "http", "trust": "browser"}
    >>> shop = build({"project": project, "sources": {"web": web}}, SECTIONS)
    >>> clock = SystemClock()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with open_stores(Home.open(Path(folder) / "home", create=True)) as stores:
    ...         key = create_key(shop, stores, clock, "jane", "web")
    ...         KeyRing.load(shop, stores, {}).source_of(key.secret, clock.now())
    ...         _ = revoke_key(stores, clock, "jane", key.id)
    ...         KeyRing.load(shop, stores, {}).source_of(key.secret, clock.now()) is None
    'web'
    True
    """
    _must_take_keys(project, source)
    if len(label) > LABEL_MAX or not label.isprintable():
        hint = f"at most {LABEL_MAX} printable characters"
        raise ProjectError("the label can't be shown in a line", "keys create", hint)
    now = clock.now()
    new, row = _made(source, label, now)
    with (
        fault("key_commit"),
        stores.ledger.change(actor, "key.create", new.id, {"source": source}, now) as change,
    ):
        stores.ledger.add_key(change, row)
    return new


def rotate_key(
    project: Project,
    stores: Stores,
    clock: Clock,
    actor: str,
    key: str,
    grace: timedelta = GRACE,
) -> Rotated:
    """Make a key for the same source; the old one works on for the time of grace.

    Parameters
    ----------
    project : Project
    stores : Stores
    clock : Clock
    actor : str
    key : str
        The old key's id, or the whole key.
    grace : datetime.timedelta
        From nothing to `GRACE_MAX`. A key that ends earlier anyhow is not prolonged.

    Returns
    -------
    Rotated

    Raises
    ------
    UnknownName
        If there is no such key, or its source is no longer declared.
    ProjectError
        If the grace is negative or too long.
    Refused
        If the key has ended already.
    """
    if not timedelta(0) <= grace <= GRACE_MAX:
        raise ProjectError("no such grace", "keys rotate", f"from 0d to {GRACE_MAX.days}d")
    now = clock.now()
    old = _key(stores, key)
    _must_take_keys(project, old.source)
    until = now + grace
    if old.expires is not None:
        until = min(until, old.expires)
    expired = _has_expired(old, now)
    new, row = _made(old.source, old.label, now)
    detail = {"source": old.source, "new": new.id, "expires": until.isoformat()}
    ledger = stores.ledger
    with fault("key_commit"), ledger.change(actor, "key.rotate", old.id, detail, now) as change:
        # Asked inside the transaction: a key that was revoked meanwhile gets no successor.
        works = ledger.expire_key(change, old.id, until)
        if expired or not works:
            hint = f"make a new one: liftwerk keys create {old.source}"
            raise Refused("the key has ended already", f"key {old.id}", hint)
        ledger.add_key(change, row)
    return Rotated(new, old.id, until)


def revoke_key(stores: Stores, clock: Clock, actor: str, key: str) -> str:
    """End a key at once and for good; once more changes nothing.

    Parameters
    ----------
    stores : Stores
    clock : Clock
    actor : str
    key : str
        Its id, or the whole key: whoever finds a leaked one has nothing else.

    Returns
    -------
    str
        Its id.

    Raises
    ------
    UnknownName
        If there is no such key.
    """
    found = _key(stores, key)
    if found.revoked is None:
        ledger = stores.ledger
        detail = {"source": found.source}
        with (
            fault("key_commit"),
            ledger.change(actor, "key.revoke", found.id, detail, clock.now()) as change,
        ):
            ledger.revoke_key(change, found.id)
    return found.id


def list_keys(project: Project, stores: Stores, now: datetime) -> list[ListedKey]:
    """List every key that was made, oldest first, with what it is worth now.

    Parameters
    ----------
    project : Project
    stores : Stores
    now : datetime.datetime

    Returns
    -------
    list of ListedKey
    """
    taking = sources_with_keys(project)
    return [
        ListedKey(
            key.id,
            key.source,
            key.label,
            _state(key, now, taking),
            key.created,
            key.expires,
            key.revoked,
        )
        for key in _kept(stores)
    ]


def _made(source: str, label: str, now: datetime) -> tuple[NewKey, Key]:
    """Make a key, and the row that is kept of it."""
    # From the system and not from a generator that is handed in: nobody may be able to repeat it.
    key_id = secrets.token_hex(6)
    secret = f"lw_write_{key_id}_{secrets.token_urlsafe(32)}"
    return NewKey(key_id, secret, source), Key(key_id, source, hash_of(secret), label, now)


def _kept(stores: Stores) -> list[Key]:
    kept = stores.ledger.keys()
    return [key for key in kept if key.kind == WRITE]


def _key(stores: Stores, text: str) -> Key:
    """Find a key by its id or by itself."""
    key_id = id_in(text)
    if key_id is None:
        key_id = text
    known = {key.id: key for key in _kept(stores)}
    if key_id not in known:
        # What was typed is not repeated: it may be a secret.
        raise UnknownName("no such key", "keys", did_you_mean(key_id, known))
    return known[key_id]


def _must_take_keys(project: Project, source: str) -> None:
    taking = sources_with_keys(project)
    if source in taking:
        return
    if source in project.get(SOURCES):
        hint = 'only a source with kind = "http" has keys'
        raise ProjectError(f"the source {source!r} is a file", f"[sources.{source}]", hint)
    raise UnknownName(f"no source {source!r}", "[sources]", did_you_mean(source, taking))


def _has_expired(key: Key, now: datetime) -> bool:
    return key.expires is not None and key.expires <= now


def _state(key: Key, now: datetime, taking: Collection[str]) -> State:
    if key.revoked is not None:
        return "revoked"
    if _has_expired(key, now):
        return "expired"
    if key.source not in taking:
        return "orphaned"
    if key.expires is not None:
        return "expiring"
    return "live"

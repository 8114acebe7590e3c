"""The write keys as a collector asks for them: a key goes in, its source comes out.

A key is written ``lw_write_ID_SECRET``: a scanner knows it when it sees one in public code, and it
is found by its id. What is kept, and compared, is only its hash.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from liftwerk.definitions.project import Project
from liftwerk.errors import ProjectError
from liftwerk.events.definition import SOURCES, Source
from liftwerk.store.ledger.protocol import Key
from liftwerk.store.stores import Stores

WRITE = "write"
"""The kind of key that lets events in."""

_FORM = re.compile(r"lw_write_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")


class _Held(NamedTuple):
    """What a ring knows of a key; without a source it opens nothing."""

    hash: bytes
    source: str | None
    expires: datetime | None


class KeyRing:
    """Every write key there is, ready to be asked at each request.

    Keys come from the ledger and from the environment variables that sources name in ``key_env``.
    What the ledger says of a key is final: one that was revoked stays so, whoever still sets it.

    Parameters
    ----------
    keys : iterable of Key
        As the ledger keeps them.
    given : mapping of str to str
        Source -> its key from the environment.
    sources : collection of str
        The sources that take keys; keys of others open nothing.

    Raises
    ------
    ProjectError
        If two sources are given the same key: which of them is speaking must be certain.

    Examples
    --------
    >>> from datetime import UTC
    >>> now = datetime(2026, 3, 1, tzinfo=UTC)
    >>> ring = KeyRing([], {"web": "a key that I made"}, ["web"])
    >>> ring.source_of("a key that I made", now)
    'web'
    >>> ring.source_of("a key that I guessed", now) is None
    True
    """

    def __init__(
        self, keys: Iterable[Key], given: Mapping[str, str], sources: Collection[str]
    ) -> None:
        self._held: dict[str, _Held] = {}
        for source, secret in given.items():
            digest = hash_of(secret)
            handle = _handle(secret, digest)
            if handle in self._held:
                where = f"sources {self._held[handle].source} and {source}"
                raise ProjectError("two sources have one key", where, "give each its own")
            self._held[handle] = _Held(digest, source, None)
        for key in keys:
            if key.kind != WRITE:
                continue
            source_now: str | None = key.source
            if key.revoked is not None or key.source not in sources:
                source_now = None
            self._held[key.id] = _Held(key.hash, source_now, key.expires)

    @classmethod
    def load(cls, project: Project, stores: Stores, environ: Mapping[str, str]) -> KeyRing:
        """Read the keys as they are now; cheap enough for every few seconds.

        Parameters
        ----------
        project : Project
        stores : Stores
        environ : mapping of str to str
            The process's environment. A variable that is missing or empty gives no key.
        """
        taking = sources_with_keys(project)
        given = {}
        for name, source in taking.items():
            if source.key_env is None:
                continue
            secret = environ.get(source.key_env, "").strip()
            if secret:
                given[name] = secret
        return cls(stores.ledger.keys(), given, taking)

    def source_of(self, secret: str, now: datetime) -> str | None:
        """Say whose key it is.

        Parameters
        ----------
        secret : str
            The whole key, as it was sent.
        now : datetime.datetime

        Returns
        -------
        str or None
            The source; None when the key is unknown, expired or revoked: never which of these.
        """
        digest = hash_of(secret)
        held = self._held.get(_handle(secret, digest))
        if held is None or not hmac.compare_digest(held.hash, digest):
            return None
        if held.expires is not None and held.expires <= now:
            return None
        return held.source


def sources_with_keys(project: Project) -> dict[str, Source]:
    """Return the declared sources that speak over HTTP, by name."""
    return {name: one for name, one in project.get(SOURCES).items() if one.kind == "http"}


def id_in(secret: str) -> str | None:
    """Return the id that a key says, None when it has another form.

    Examples
    --------
    >>> id_in("lw_write_0123456789ab_" + 43 * "A")
    '0123456789ab'
    """
    written = _FORM.fullmatch(secret)
    if written is None:
        return None
    return written[1]


def hash_of(secret: str) -> bytes:
    """Hash a whole key: the text, and not what its Base64 means, for several texts mean the same.

    Examples
    --------
    >>> len(hash_of("a key that I made"))
    32
    """
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _handle(secret: str, digest: bytes) -> str:
    """Return what a key is looked up by: its id, or for one of another form its hash."""
    key_id = id_in(secret)
    if key_id is None:
        return digest.hex()
    return key_id

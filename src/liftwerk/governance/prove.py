"""Show that nothing is left of a customer: every file of the home is looked into."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import Struct

from liftwerk.governance.search import holds_key, needles
from liftwerk.store.home import Home

LEDGER = "ledger.sqlite"


class Find(Struct, frozen=True):
    """A place where something is left: the file in the home, and what gave it away."""

    file: str
    what: str


def prove(home: Home, keys: Sequence[bytes], spelled: Iterable[tuple[str, str]] = ()) -> list[Find]:
    """Search every file of a home for an erased customer.

    Parameters
    ----------
    home : Home
    keys : sequence of bytes
        The customer's leaf keys. The ledger keeps each once, as the tombstone that keeps the
        customer from coming back; once more is a find.
    spelled : iterable of (str, str)
        Namespace and identifier as events say it. Only the pair as JSON is looked for: an
        identifier such as ``3`` alone is everywhere.

    Returns
    -------
    list of Find
        Empty when nothing is left.
    """
    pairs = [_as_json(namespace, value) for namespace, value in spelled]
    finds = []
    for path in sorted(home.path.rglob("*")):
        if path.is_file():
            name = path.relative_to(home.path).as_posix()
            finds += [Find(name, what) for what in _left_in(path, name, keys, pairs)]
    return finds


def _left_in(path: Path, name: str, keys: Sequence[bytes], pairs: Sequence[bytes]) -> list[str]:
    raw = path.read_bytes()
    left = ["an identifier in JSON" for pair in pairs if pair in raw]
    if name == LEDGER:
        for key in keys:
            bare, *spelled = needles([key])
            if raw.count(bare) > 1 or any(needle in raw for needle in spelled):
                left.append("a key beside its tombstone")
    elif holds_key(path, keys):
        left.append("a key")
    return left


def _as_json(namespace: str, value: str) -> bytes:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{namespace}":"{escaped}"'.encode()

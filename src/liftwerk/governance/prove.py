"""Show that nothing is left of customers: every file of the home is looked into."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from liftwerk.governance.search import Needles, needles, spelled
from liftwerk.store.catalogue import Subject
from liftwerk.store.home import Home

LEDGER = ("ledger.sqlite", "ledger.sqlite-wal")


class Find(Struct, frozen=True):
    """A place where something is left: the file in the home, and what gave it away."""

    file: str
    what: str


def prove(home: Home, subject: Subject) -> list[Find]:
    """Search every file of a home for erased customers.

    Parameters
    ----------
    home : Home
    subject : Subject
        Their leaf keys, and their identifiers as events say them. Only the pair of namespace and
        identifier as JSON is looked for: an identifier such as ``3`` alone is everywhere. The
        ledger holds the bytes of each key, as the tombstone that keeps the customer from coming
        back; a key that is spelled there is a find.

    Returns
    -------
    list of Find
        Empty when nothing is left.
    """
    pairs: dict[bytes, int] = {}
    for namespace, value in subject.values:
        pairs |= _as_json(namespace, value)
    everywhere = Needles(pairs | needles(subject.keys))
    texts = Needles(pairs | {form: 0 for key in subject.keys for form in spelled(key)})
    finds = []
    for path in sorted(home.path.rglob("*")):
        if path.is_file():
            name = path.relative_to(home.path).as_posix()
            wanted = everywhere
            if name in LEDGER:
                wanted = texts
            finds += [Find(name, what) for what in _told(_found_in(path, wanted), pairs)]
    return finds


def _found_in(path: Path, wanted: Needles) -> set[bytes]:
    try:
        return wanted.found_in(path)
    except FileNotFoundError:
        return set()  # removed meanwhile, by a server that goes on


def _told(found: set[bytes], pairs: Iterable[bytes]) -> Iterator[str]:
    """Say what was found without saying whose it is."""
    said = found.intersection(pairs)
    if said:
        yield "an identifier in JSON"
    if found - said:
        yield "a key"


def _as_json(namespace: str, value: str) -> dict[bytes, int]:
    """Write a pair as JSON in both ways there are, and where the value begins."""
    name = msgspec.json.encode(namespace) + b":"
    forms = {msgspec.json.encode(value), json.dumps(value).encode()}
    return {name + form: len(name) for form in forms}

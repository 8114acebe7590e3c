"""Whom a body is about that never became an event: by its fields, by its words, by its bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any

import msgspec
import pyarrow
import pyarrow.compute

from liftwerk.events.identifiers import leaf_key
from liftwerk.events.schema import Schema
from liftwerk.store.catalogue import Subject

TELLING = 6
"""Shortest text that is looked for anywhere: a customer number such as ``3`` is everywhere."""

AT_ONCE = 200
"""Identifiers that are looked for in one pass."""

_WORD = re.compile(r"[^\s\"',:;{}\[\]()<>=&?]+")


def places_about(schema: Schema, bodies: Sequence[bytes], subject: Subject) -> list[int]:
    """Find the bodies that name somebody, wherever in them.

    Parameters
    ----------
    schema : Schema
    bodies : sequence of bytes
    subject : Subject
        Its keys find identifiers that are fields or words, however they are spelled; its values
        are looked for in the bytes.

    Returns
    -------
    list of int
        Places in the list, in order.
    """
    keys = frozenset(subject.keys)
    found = {place for place, body in enumerate(bodies) if is_about(schema, body, keys)}
    column = pyarrow.array(bodies, pyarrow.large_binary())
    spelled = sorted({form for _, value in subject.values for form in _forms(value)})
    for first in range(0, len(spelled), AT_ONCE):
        pattern = "|".join(map(re.escape, spelled[first : first + AT_ONCE]))
        holds = pyarrow.compute.match_substring_regex(column, pattern, ignore_case=True)
        found.update(pyarrow.compute.indices_nonzero(holds).to_pylist())
    return sorted(found)


def is_about(schema: Schema, body: bytes, keys: frozenset[bytes]) -> bool:
    """Say whether a body names one of the keys' identifiers, wherever and however spelled.

    Parameters
    ----------
    schema : Schema
    body : bytes
        What is no JSON has no fields to look at: every word in it is tried.
    keys : frozenset of bytes
        Leaf keys.
    """
    try:
        said = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        words = _WORD.findall(body.decode("utf-8", errors="replace"))
        return any(leaf in keys for word in words for leaf in _leaves(schema, word))
    named = chain(_in_fields(schema, said), _in_texts(schema, said))
    return any(leaf in keys for leaf in named)


def has_identifier(schema: Schema, body: bytes, keys: frozenset[bytes]) -> bool:
    """Say whether an admitted event's fields name one of the keys' identifiers.

    Parameters
    ----------
    schema : Schema
    body : bytes
        Canonical JSON, as `liftwerk.events.admit` writes it.
    keys : frozenset of bytes
        Leaf keys.
    """
    return any(leaf in keys for leaf in _in_fields(schema, msgspec.json.decode(body)))


def _in_fields(schema: Schema, said: Any) -> Iterator[bytes]:
    if not isinstance(said, dict):
        return
    identifiers = said.get("identifiers")
    if isinstance(identifiers, dict):
        for value in identifiers.values():
            yield from _leaves(schema, str(value))
    leaves = said.get("leaves")
    if isinstance(leaves, dict):
        for leaf in leaves.values():
            with suppress(ValueError, TypeError):  # what was refused may hold anything there
                yield bytes.fromhex(leaf)


def _in_texts(schema: Schema, said: Any) -> Iterator[bytes]:
    for text in _texts(said):
        for word in {text, *_WORD.findall(text)}:
            if len(word) >= TELLING:
                yield from _leaves(schema, word)


def _texts(said: Any) -> Iterator[str]:
    """Walk through every text of a document, names of fields among them."""
    waiting = [said]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            waiting += [*one, *one.values()]
        elif isinstance(one, list):
            waiting += one


def _leaves(schema: Schema, value: str) -> Iterator[bytes]:
    """Make the keys that a value would have in every namespace."""
    for name, namespace in schema.namespaces.items():
        try:
            yield leaf_key(name, namespace.spell(value))
        except ValueError:
            continue


def _forms(value: str) -> Iterator[str]:
    """Write an identifier as it may stand in bytes: Latin-1 text, one character a byte."""
    if len(value) < TELLING:
        return
    yield value.encode().decode("latin-1")
    yield msgspec.json.encode(value).decode("latin-1")[1:-1]
    yield json.dumps(value)[1:-1]

"""What changed between two versions of a feature, key by key, and what that means."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal

from msgspec import Struct

from liftwerk.definitions.typed import MICROSECONDS
from liftwerk.features.used import Version
from liftwerk.features.version import WORDS

Meaning = Literal["values", "words"]
"""Whether values are others, or only what is said of them."""


class Change(Struct, frozen=True):
    """A key that was changed.

    Attributes
    ----------
    key : str
        Dotted, such as ``window``, or ``events.order.properties.revenue.type`` of what it reads.
    before, after : str or None
        As they are written; None where it is not.
    meaning : str
        ``values`` or ``words``.
    """

    key: str
    before: str | None
    after: str | None
    meaning: Meaning


class Difference(Struct, frozen=True):
    """Two versions of a feature side by side.

    Attributes
    ----------
    name : str
    before, after : Version
    changes : tuple of Change
    values : bool
        Whether a customer may have another value.
    """

    name: str
    before: Version
    after: Version
    changes: tuple[Change, ...]
    values: bool

    @property
    def words(self) -> str:
        """What it means, in a few words."""
        if self.values:
            return "values change"
        if self.changes:
            return "only words change"
        return "nothing changes"


def difference(before: Version, after: Version) -> Difference:
    """Hold two versions side by side.

    Examples
    --------
    >>> old = Version("orders", "1f", {"window": "86400000000us", "owner": "ann"}, None, None)
    >>> new = Version("orders", "2e", {"window": "172800000000us", "owner": "bob"}, None, None)
    >>> for one in difference(old, new).changes:
    ...     print(one.key, one.before, one.after, one.meaning)
    owner ann bob words
    window 1d 2d values
    """
    values = before.version != after.version
    was, now = written_keys(before), written_keys(after)
    changes = []
    for key in sorted({*was, *now}):
        if was.get(key) != now.get(key):
            meaning: Meaning = "words"
            if values and not _is_said(key):
                meaning = "values"
            changes.append(Change(key, was.get(key), now.get(key), meaning))
    return Difference(before.name, before, after, tuple(changes), values)


def written_keys(version: Version) -> dict[str, str]:
    """Return each dotted key of a definition as it is written."""
    return dict(_flat(version.definition))


def written(value: Any) -> str:
    """Write a part of a definition as a person would.

    Examples
    --------
    >>> written("7776000000000us"), written(["a", "b"]), written(0.5), written(True)
    ('90d', 'a, b', '0.5', 'true')
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(written(one) for one in value)
    text = str(value)
    if re.fullmatch("[0-9]+us", text):
        length = int(text.removesuffix("us"))
        units = sorted(MICROSECONDS.items(), key=lambda one: -one[1])
        fitting = [(unit, size) for unit, size in units if length % size == 0 and unit != "w"]
        unit, size = fitting[0]
        return f"{length // size}{unit}"
    return text


def _is_said(key: str) -> bool:
    """Say whether a key only says something of a feature."""
    parts = key.split(".")
    return parts[0] in WORDS or parts[-1] == "privacy"


def _flat(value: dict[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for key, one in value.items():
        if isinstance(one, dict):
            yield from _flat(one, f"{before}{key}.")
        else:
            yield f"{before}{key}", written(one)

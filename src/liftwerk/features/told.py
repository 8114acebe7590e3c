"""What was told of features: a recorded answer, with the knowledge that it rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import Struct

from liftwerk.features.concerned import Key

EVENT = "features_served"

By = Literal["view", "decision", "kept"]
"""Who told it: a view that was asked, a decision, or what a view keeps and would tell now."""


class Told(Struct, frozen=True):
    """One answer.

    Attributes
    ----------
    by : str
        Who told it.
    name : str
        The view, or the decision's policy.
    key : tuple
        Whom or what it is about.
    purpose : str
    values : mapping of str to str
        Feature -> its value as JSON, to the last digit.
    versions : mapping of str to str
        Feature -> its version then.
    rules : str or None
        `liftwerk.features.version.rules_of` the project then; None where nobody noted it.
    time : datetime
        The time that the values are of.
    offset : int
        The last one that they know of.
    entity : str
        Whom or what it is about.
    request : mapping of str to object
        What came with it, as far as it is known.
    """

    by: By
    name: str
    key: Key
    purpose: str
    values: Mapping[str, str]
    versions: Mapping[str, str]
    rules: str | None
    time: datetime
    offset: int
    entity: str
    request: Mapping[str, Any] = {}

    @property
    def version(self) -> str:
        """The older version of a view that told it, as ``VIEW@VERSION``; none of anything else."""
        if self.by != "decision" and "@" in self.name:
            return self.name
        return ""


def written(value: Any) -> str:
    """Write one value, to the last digit.

    Examples
    --------
    >>> written(0.1), written(None), written("Straße")
    ('0.1', 'null', '"Straße"')
    """
    return msgspec.json.encode(value).decode()


def snapshot_of(values: Mapping[str, Any]) -> str:
    """Write values as they are recorded: one JSON object, its names in order."""
    return msgspec.json.encode(dict(values), order="sorted").decode()


def values_in(snapshot: str, names: Sequence[str] | None = None) -> dict[str, str]:
    """Read what `snapshot_of` wrote: feature -> its value as JSON, as it was written.

    Examples
    --------
    >>> values_in('{"days":1.50,"orders":2.0}')
    {'days': '1.5', 'orders': '2.0'}
    """
    found = msgspec.json.decode(snapshot)
    return {name: written(found[name]) for name in names or found}

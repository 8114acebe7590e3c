"""What several vendors demand alike: hashed identifiers, and no setting of another kind."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from liftwerk.definitions.lines import Path
from liftwerk.definitions.problem import Problem, dotted
from liftwerk.definitions.project import Project

if TYPE_CHECKING:
    from liftwerk.connectors.destinations.definition import Destination


def sha256_hex(value: str) -> str:
    """Hash a normalised identifier as vendors do: 64 lower case hexadecimal digits.

    What already is such a hash stays as it is.

    Examples
    --------
    >>> sha256_hex("ada@example.com")[:12]
    'b5fc85e55755'
    >>> sha256_hex(sha256_hex("ada@example.com")) == sha256_hex("ada@example.com")
    True
    """
    if is_sha256(value):
        return value
    return hashlib.sha256(value.encode()).hexdigest()


def is_sha256(value: str) -> bool:
    """Say whether a text is a SHA-256 in lower case hexadecimal digits."""
    return len(value) == 64 and not set(value) - set("0123456789abcdef")


def foreign(
    project: Project, path: Path, destination: Destination, own: Sequence[str]
) -> Iterable[Problem]:
    """Yield the settings that another kind has and this one not."""
    for key in ("measurement_id", "dataset_id", "action_source"):
        if key not in own and getattr(destination, key) is not None:
            here = (*path, key)
            what = f"{dotted(here)} is not for {destination.kind}"
            yield project.problem(here, "leave it out", what=what)

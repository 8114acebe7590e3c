"""``[identifiers.NAME]``: the namespaces a customer may be known by."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Literal

from msgspec import Struct

from liftwerk.definitions.problem import Problem
from liftwerk.definitions.project import Project
from liftwerk.definitions.section import named
from liftwerk.privacy.tags import Tag

FINGERPRINTS = ("ip", "user_agent", "fonts", "canvas")
"""What is never an identifier: it would recognise people who did not ask to be."""

_SPELLINGS = {
    "ip": {"ip", "ipv4", "ipv6"},
    "user_agent": {"user_agent", "useragent"},
    "fonts": {"font", "fonts"},
    "canvas": {"canvas"},
}


class Namespace(Struct, frozen=True):
    """``[identifiers.NAME]``.

    Attributes
    ----------
    normalise : str
        What is done to a value before it is hashed.
    privacy : str
        How close the value is to a person.
    description : str
        What it is.
    """

    normalise: Literal["none", "trim", "lower", "email"] = "none"
    privacy: Tag = "pseudonymous"
    description: str = ""


def fingerprint(name: str) -> str | None:
    """Return what a namespace would fingerprint by, judged by its name.

    Examples
    --------
    >>> fingerprint("client_ip_address"), fingerprint("recipient")
    ('ip', None)
    """
    words = name.split("_")
    pairs = ["_".join(pair) for pair in pairwise(words)]
    for kind, spellings in _SPELLINGS.items():
        if spellings.intersection(words) or spellings.intersection(pairs):
            return kind
    return None


def _check(project: Project) -> Iterable[Problem]:
    for name in project.get(IDENTIFIERS):
        kind = fingerprint(name)
        if kind is not None:
            what = f"the identifier {name!r} would fingerprint people by {kind}"
            hint = "identify customers by what they gave you"
            yield project.problem(("identifiers", name), hint, what=what)


IDENTIFIERS = named("identifiers", Namespace, _check)

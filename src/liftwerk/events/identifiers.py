"""``[identifiers.NAME]``: the namespaces a customer may be known by, and the keys made from them.

An identifier stands in every event's envelope, so its declaration, its one spelling and its leaf
key belong to this room; which keys are one customer is said by `liftwerk.identity`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from itertools import pairwise

from msgspec import Struct
from msgspec.structs import force_setattr

from liftwerk.definitions.problem import Problem
from liftwerk.definitions.project import Project
from liftwerk.definitions.section import named
from liftwerk.events.spelling import COUNTRIES, PHONE, Rule, normalise, with_version
from liftwerk.privacy.tags import Tag

__all__ = [
    "FINGERPRINTS",
    "IDENTIFIERS",
    "LEAF_BYTES",
    "Namespace",
    "Rule",
    "fingerprint",
    "leaf_key",
    "normalise",
]

LEAF_BYTES = 16
"""Length of a leaf key."""

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
        What is done to a value before it is hashed; a bare name stands for the rule's newest
        version, and ``email@1`` pins one.
    privacy : str
        How close the value is to a person.
    description : str
        What it is.
    anonymous : bool
        Whether it knows a visitor and not yet a customer, as a cookie or a device does.
    region : str or None
        The country whose form a phone number without ``+`` has.
    """

    normalise: Rule = "none"
    privacy: Tag = "pseudonymous"
    description: str = ""
    anonymous: bool = False
    region: str | None = None

    def __post_init__(self) -> None:
        # With its version, so that the project's hash changes when a bare name means another.
        force_setattr(self, "normalise", with_version(self.normalise))

    def spell(self, value: str) -> str:
        """Give an identifier of this namespace its one spelling.

        Raises
        ------
        ValueError
            If it is not what the rule demands.

        Examples
        --------
        >>> Namespace("phone", region="DE").spell("030 / 12 34 56")
        '+4930123456'
        """
        return normalise(self.normalise, value, self.region)


def leaf_key(namespace: str, spelled: str) -> bytes:
    """Make the stable key of a normalised identifier.

    Parameters
    ----------
    namespace : str
        The declared namespace.
    spelled : str
        What `normalise` returned.

    Returns
    -------
    bytes
        The first 16 bytes of SHA-256 over namespace, NUL and identifier in UTF-8.

    Examples
    --------
    >>> leaf_key("customer_id", "3").hex()
    '3899accec6d84a7bab486016573acfae'
    """
    return hashlib.sha256(f"{namespace}\0{spelled}".encode()).digest()[:LEAF_BYTES]


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
    for name, namespace in project.get(IDENTIFIERS).items():
        path = ("identifiers", name)
        kind = fingerprint(name)
        if kind is not None:
            what = f"the identifier {name!r} would fingerprint people by {kind}"
            hint = "identify customers by what they gave you"
            yield project.problem(path, hint, what=what)
        elif not name.isidentifier() or name != name.lower():
            what = f"the identifier name {name!r} cannot be used"
            hint = "use lower case letters, digits and _, a letter first"
            yield project.problem(path, hint, what=what)
        if namespace.region is None:
            continue
        if namespace.normalise != PHONE:
            hint = 'a region is for normalise = "phone"'
            yield project.problem((*path, "region"), hint, namespace.region)
        elif namespace.region not in COUNTRIES:
            hint = 'write a code of ISO 3166 such as "DE"'
            yield project.problem((*path, "region"), hint, namespace.region)


IDENTIFIERS = named("identifiers", Namespace, _check)

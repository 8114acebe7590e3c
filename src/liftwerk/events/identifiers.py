"""``[identifiers.NAME]``: the namespaces a customer may be known by, and the keys made from them.

An identifier stands in every event's envelope, so its declaration, its one spelling and its leaf
key belong to this room; which keys are one customer is said by `liftwerk.identity`.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable
from itertools import pairwise
from typing import Literal

from msgspec import Struct

from liftwerk.definitions.problem import Problem
from liftwerk.definitions.project import Project
from liftwerk.definitions.section import named
from liftwerk.privacy.tags import Tag

Rule = Literal["none", "trim", "lower", "email"]

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
        What is done to a value before it is hashed.
    privacy : str
        How close the value is to a person.
    description : str
        What it is.
    """

    normalise: Rule = "none"
    privacy: Tag = "pseudonymous"
    description: str = ""


def normalise(rule: Rule, value: str) -> str:
    """Give an identifier its one spelling.

    Parameters
    ----------
    rule : str
        ``none`` leaves it alone, ``trim`` cuts white space around it, ``lower`` also writes it in
        small letters (in Unicode's composed form), ``email`` also demands an address.
    value : str
        The identifier as it came.

    Returns
    -------
    str
        The spelling that is hashed.

    Raises
    ------
    ValueError
        If nothing is left, or if it is not what the rule demands.

    Examples
    --------
    >>> normalise("email", " Ada@Example.com ")
    'ada@example.com'
    """
    spelled = value
    if rule != "none":
        spelled = spelled.strip()
    if rule in ("lower", "email"):
        spelled = unicodedata.normalize("NFC", spelled.lower())
    if not spelled:
        raise ValueError("an identifier is empty")
    if rule == "email":
        name, at, host = spelled.rpartition("@")
        if not at or not name or not host or any(map(str.isspace, spelled)):
            raise ValueError("an identifier is not an e-mail address")
    return spelled


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
    for name in project.get(IDENTIFIERS):
        kind = fingerprint(name)
        if kind is not None:
            what = f"the identifier {name!r} would fingerprint people by {kind}"
            hint = "identify customers by what they gave you"
            yield project.problem(("identifiers", name), hint, what=what)
        elif not name.isidentifier() or name != name.lower():
            what = f"the identifier name {name!r} cannot be used"
            hint = "use lower case letters, digits and _, a letter first"
            yield project.problem(("identifiers", name), hint, what=what)


IDENTIFIERS = named("identifiers", Namespace, _check)

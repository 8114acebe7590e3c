"""``[identity]``: which links between identifiers are believed.

The namespaces stand in the envelope, so `liftwerk.events.identifiers` declares them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from liftwerk.definitions.problem import Problem
from liftwerk.definitions.project import Project
from liftwerk.definitions.section import one
from liftwerk.errors import did_you_mean
from liftwerk.events.definition import EVENTS
from liftwerk.events.identifiers import FINGERPRINTS, IDENTIFIERS, Namespace, fingerprint, leaf_key

__all__ = [
    "FINGERPRINTS",
    "IDENTIFIERS",
    "IDENTITY",
    "VISITOR",
    "Identity",
    "Namespace",
    "anonymous_namespaces",
    "fingerprint",
    "shared_leaves",
]

VISITOR = "visitor"
"""The column of the anonymous unit, in projects that declare an anonymous namespace."""

Trust = Literal["server", "browser", "partner", "import"]


class Identity(Struct, frozen=True):
    """``[identity]``.

    Attributes
    ----------
    at_most : int
        An identifier that was seen with more others of one namespace is shared: it links nobody.
        Others of an anonymous namespace don't count: one customer has many cookies.
    shared : tuple of str
        Identifiers that link nobody, each as ``"namespace:value"``.
    linked_by : tuple of str
        Trusts of the sources whose events may link. A browser's key is public: who adds
        ``browser`` lets anybody say that two identifiers are one customer.
    """

    at_most: int = 10
    shared: tuple[str, ...] = ()
    linked_by: tuple[Trust, ...] = ("server", "import")


def anonymous_namespaces(project: Project) -> list[str]:
    """Name the namespaces that know visitors, in declared order."""
    return [name for name, one in project.get(IDENTIFIERS).items() if one.anonymous]


def shared_leaves(project: Project) -> list[bytes]:
    """Return the leaf keys of the identifiers that link nobody by declaration."""
    namespaces = project.get(IDENTIFIERS)
    found = []
    for written in project.get(IDENTITY).shared:
        name, _, value = written.partition(":")
        found.append(leaf_key(name, namespaces[name].spell(value)))
    return found


def _check(project: Project) -> Iterable[Problem]:
    identity = project.get(IDENTITY)
    if identity.at_most < 1:
        yield project.problem(("identity", "at_most"), "at least 1", identity.at_most)
    namespaces = project.get(IDENTIFIERS)
    for place, written in enumerate(identity.shared):
        yield from _check_shared(project, place, written, namespaces)
    if not anonymous_namespaces(project):
        return
    for name, event in project.get(EVENTS).items():
        if VISITOR in event.properties:
            what = f"the property name {VISITOR!r} is taken by the anonymous unit"
            path = ("events", name, "properties", VISITOR)
            yield project.problem(path, "choose another name", what=what)


def _check_shared(
    project: Project, place: int, written: str, namespaces: dict[str, Namespace]
) -> Iterable[Problem]:
    path = ("identity", "shared", place)
    name, colon, value = written.partition(":")
    if not colon:
        yield project.problem(path, 'write "namespace:value"', written)
    elif name not in namespaces:
        yield project.problem(path, did_you_mean(name, namespaces), written)
    else:
        try:
            namespaces[name].spell(value)
        except ValueError as error:
            yield project.problem(path, str(error), written)


IDENTITY = one("identity", Identity, _check)

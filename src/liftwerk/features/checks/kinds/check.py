"""What a check is: the statistics that it needs, and a pure rule over them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from msgspec import Struct

from liftwerk.features.checks.definition import Severity, Verdict
from liftwerk.stats.estimate import Unknown


class Judged(Struct, frozen=True):
    """What a rule says.

    Attributes
    ----------
    verdict : str
        ``passed``, ``failed`` or ``unknown``.
    found : str
        What was found, in words; of an unknown, why and what it would take.
    observed : object
        What was found, as an acceptance keeps it; None where there is nothing to accept.
    """

    verdict: Verdict
    found: str
    observed: Any = None


class Check(Protocol):
    """A rule over sufficient statistics of one relation.

    Each is a frozen struct of its limits; `liftwerk.features.checks.kinds` lists them.
    """

    name: ClassVar[str]
    """The key that declares it."""

    severity: ClassVar[Severity]
    """What it does where nobody says."""

    each: ClassVar[bool]
    """Whether one value can break it by itself, whatever the others are."""

    @property
    def expected(self) -> str:
        """What should be, in words."""
        ...

    def statistics(self, table: Any) -> Mapping[str, Any]:
        """Return Ibis aggregates by name; of those with the same name one is computed."""
        ...

    def judge(self, found: Mapping[str, Any]) -> Judged:
        """Judge the values of these statistics."""
        ...

    def accepting(self, observed: Any) -> Check:
        """Return the check that lets pass what was found once and accepted."""
        ...


def unknown(why: Unknown) -> Judged:
    """Pass on why there is no verdict."""
    return Judged("unknown", str(why))

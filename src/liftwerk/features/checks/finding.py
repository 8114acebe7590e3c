"""What came of a check."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from liftwerk.features.checks.definition import Severity, Verdict


class Finding(Struct, frozen=True):
    """One check, and what came of it.

    Attributes
    ----------
    subject : str
        What it is about, as the project file names it: ``features.spend``.
    check : str
        The key that declares it.
    severity : str
        What it does where it fails.
    verdict : str
        ``passed``, ``failed`` or ``unknown``: then there is too little to tell.
    expected, found : str
        What should be, and what is.
    observed : object
        What an acceptance keeps of it.
    """

    subject: str
    check: str
    severity: Severity
    verdict: Verdict
    expected: str
    found: str
    observed: Any = None

    @property
    def stops(self) -> bool:
        """Whether values must not be used for it."""
        return self.verdict == "failed" and self.severity == "stop"

    @property
    def where(self) -> str:
        """Where it is declared."""
        return f"{self.subject}.checks.{self.check}"

"""``[purposes.NAME]``: what data may be used for, and on which ground."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from liftwerk.definitions.problem import Problem
from liftwerk.definitions.project import Project
from liftwerk.definitions.section import named

Basis = Literal["consent", "contract", "legitimate_interest", "legal_obligation"]
"""The ground on which data are used (GDPR, article 6)."""

Withdrawal = Literal["future", "retroactive"]
"""What a withdrawal reaches: events from then on, or all of them."""


class Purpose(Struct, frozen=True):
    """``[purposes.NAME]``.

    Attributes
    ----------
    basis : str
        The ground on which data are used.
    withdrawal : str
        What a withdrawal reaches: ``future`` events, or ``retroactive`` all.
    description : str
        What is done with the data, in words a customer understands.
    """

    basis: Basis
    withdrawal: Withdrawal = "future"
    description: str = ""

    @property
    def can_be_withdrawn(self) -> bool:
        """Whether somebody may object: nothing that a contract or a law demands."""
        return self.basis in ("consent", "legitimate_interest")


ACCESS = "access"
"""The purpose for which a customer's own data are given to them."""

HOUSEKEEPING = {
    "deduplication": Purpose("legal_obligation", description="Count no event twice"),
    "audit": Purpose("legal_obligation", description="Show what was done, and on which data"),
    "erasure": Purpose("legal_obligation", description="Find everything of a customer to delete"),
    ACCESS: Purpose("legal_obligation", description="Give a customer all that is known of them"),
}
"""Purposes that are built in: without them no right could be served."""


def _check(project: Project) -> Iterable[Problem]:
    for name, purpose in project.get(PURPOSES).items():
        if name in HOUSEKEEPING:
            what = f"the purpose {name!r} is built in"
            yield project.problem(("purposes", name), "choose another name", what=what)
        if purpose.withdrawal == "retroactive" and purpose.basis in (
            "contract",
            "legal_obligation",
        ):
            hint = f"what rests on {purpose.basis} cannot be withdrawn: leave it out"
            path = ("purposes", name, "withdrawal")
            yield project.problem(path, hint, purpose.withdrawal)


PURPOSES = named("purposes", Purpose, _check)

"""``consent`` in an event: three ways to say it, and the one form in which it is kept.

=========================================  ==================================================
on the wire                                kept
=========================================  ==================================================
``{"granted": […], "source": "api", …}``   the same, sorted, with declared purposes only
``{"tcf": "CP…", "at": "…"}``              ``granted``, ``source`` tcf, ``version``, ``at``
``{"gcm": {"ad_storage": "granted", …}}``  ``granted``, ``source`` gcm, ``version``
any of them, but unreadable                ``source`` alone: asked for, and not known
nothing                                    nothing
=========================================  ==================================================
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct
from msgspec.structs import force_setattr

TEXT_LIMIT = 1000
"""Longest version of a text, in characters, and most purposes in one consent."""

YEARS = range(1970, 2200)

Form = Literal["import", "tcf", "gcm", "api"]


class Consent(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the customer had agreed to when the event was collected.

    Attributes
    ----------
    granted : list of str or None
        The purposes; None when it is not known what was agreed to.
    source : str or None
        Who says so.
    version : str or None
        What the customer was shown.
    at : datetime or None
        When they agreed.
    tcf, gcm : object
        As a consent manager gives it, before it is resolved; ``source`` follows from it.
    """

    granted: (
        Annotated[
            list[Annotated[str, Meta(min_length=1, max_length=200)]], Meta(max_length=TEXT_LIMIT)
        ]
        | None
    ) = None
    source: Form | None = None
    version: Annotated[str, Meta(max_length=TEXT_LIMIT)] | None = None
    at: Annotated[datetime, Meta(tz=True)] | None = None
    # Of any type: what a consent manager answers is its business, and must not cost an order.
    tcf: Any = UNSET
    gcm: Any = UNSET

    def __post_init__(self) -> None:
        way = self.way
        if way != "api":
            if self.granted is not None or UNSET not in (self.tcf, self.gcm):
                raise ValueError("it is said in one way: granted, tcf or gcm")
            force_setattr(self, "source", way)
        elif self.source is None:
            raise ValueError("source is missing beside granted; or say it as tcf or gcm")
        if self.at is None:
            return
        if self.at.year not in YEARS:
            raise ValueError("at is not between 1970 and 2199")
        if self.at.tzinfo is not UTC:
            # One instant has one spelling, as in the event around it.
            force_setattr(self, "at", self.at.astimezone(UTC))

    @property
    def way(self) -> str:
        """How it was said; a name in `liftwerk.events.consent.kinds.KINDS`."""
        if self.tcf is not UNSET:
            return "tcf"
        if self.gcm is not UNSET:
            return "gcm"
        return "api"

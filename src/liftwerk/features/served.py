"""The answer to what is known of a customer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

Missing = Literal["never", "expired", "no_consent", "no_answer", "not_given"]
"""Why a value is missing.

Nothing that counts was ever seen; or only what the window does not reach any more; or there are
such events, and they may not be used for the purpose; or the values of an expression are known and
it has no answer, such as a division by 0; or it should have come with the request, and did not.
"""


class Flag(Struct, frozen=True):
    """Why a view stays at its last good state.

    Attributes
    ----------
    reason : str
        Which check fails, in words.
    where : str
        Where it is declared.
    since : datetime
        Since when the values stay.
    """

    reason: str
    where: str
    since: datetime


class Served(Struct, frozen=True):
    """The values of one customer.

    Attributes
    ----------
    values : mapping of str to object
        Feature -> value; None where it is missing.
    missing : mapping of str to str
        Feature -> why.
    as_of : datetime
        The time that the values are of.
    offset : int
        The last offset of the log that they know of.
    fresh : datetime
        When it was last known that they are all there is: now, where the log does not go on behind
        the offset; else when they were brought up to it.
    flagged : Flag or None
        Why they stay at their last good state; None while they follow the log.
    """

    values: Mapping[str, Any]
    missing: Mapping[str, Missing]
    as_of: datetime
    offset: int
    fresh: datetime
    flagged: Flag | None = None

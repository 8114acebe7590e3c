"""The answer to what is known of a customer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

Missing = Literal["never", "expired"]
"""Why a value is missing: nothing that counts was ever seen, or it was too long ago."""


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
        When they were brought up to this offset.
    """

    values: Mapping[str, Any]
    missing: Mapping[str, Missing]
    as_of: datetime
    offset: int
    fresh: datetime

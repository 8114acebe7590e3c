"""Reading ``--since``: a length of time before now, or a day."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from liftwerk.errors import ProjectError
from liftwerk.lazy import LazyModule

if TYPE_CHECKING:
    from liftwerk.definitions import typed
else:
    typed = LazyModule("liftwerk.definitions.typed")


def since_when(given: str | None, now: datetime, command: str) -> datetime | None:
    """Return the instant that ``--since`` means; None where it is not given.

    Raises
    ------
    ProjectError
        If it is neither a length of time nor a day.
    """
    if given is None:
        return None
    try:
        return now - timedelta(microseconds=typed.Duration(given).microseconds)
    except (ValueError, OverflowError):
        pass
    try:
        at = datetime.fromisoformat(given)
    except ValueError:
        hint = "write a length of time such as 7d, or a day such as 2026-03-01"
        raise ProjectError(f"--since is {given!r}", command, hint) from None
    if at.tzinfo is None:
        at = at.replace(tzinfo=now.tzinfo)
    return at

"""Flags of views that stay at their last good state.

They are kept in the store of online values: a flag changes in the same transaction as the values
that it is about, and so does the revision of their space, by which readers see that it may have.
"""

from __future__ import annotations

from datetime import datetime

import msgspec
from msgspec import Struct

from liftwerk.features.checks.finding import Finding
from liftwerk.features.served import Flag
from liftwerk.store.online import Changes, Online, Reading

FLAGS = "checks/flags"
"""Space of a view's values -> its flag, while it is held."""


class Held(Struct, frozen=True):
    """Why a view stays at its last good state.

    Attributes
    ----------
    flag : Flag
    findings : tuple of Finding
        All that stops it.
    """

    flag: Flag
    findings: tuple[Finding, ...]


def read_flags(online: Online) -> dict[str, Flag]:
    """Return the flags that stand, by the space of the values that they are about."""
    return {row.key.decode(): _HELD.decode(row.body).flag for row in online.rows(FLAGS)}


def read_held(reading: Online | Reading, space: str) -> Held | None:
    """Return why a view is held; None where it is not.

    Parameters
    ----------
    reading : Online or Reading
    space : str
        Of the view's values.
    """
    (body,), _ = reading.get(FLAGS, [space.encode()])
    if body is None:
        return None
    return _HELD.decode(body)


def flag_changes(
    online: Online, space: str, held: Held | None, is_new: bool = False
) -> dict[str, Changes]:
    """Return what raises or lowers a view's flag, to be applied together with its values.

    Parameters
    ----------
    online : Online
    space : str
        Of the view's values.
    held : Held or None
        None to lower it.
    is_new : bool
        Whether they were made just now: then the flags of the view's other versions go.
    """
    name = space.partition("@")[0]
    progress, standing = online.progress(FLAGS), read_flags(online)
    drops = [one for one in standing if one == space or (is_new and one.partition("@")[0] == name)]
    if held is not None:
        put = (space.encode(), msgspec.json.encode(held))
        return {FLAGS: Changes(progress, puts=[put], drops=[one.encode() for one in drops])}
    if not drops:
        return {}
    return {FLAGS: Changes(progress, drops=[one.encode() for one in drops])}


def lower(online: Online, space: str, at: datetime) -> None:
    """Lower the flag of a view whose values are forgotten."""
    changes = flag_changes(online, space, None)
    if changes:
        online.apply(changes, 0, at)


_HELD = msgspec.json.Decoder(Held)

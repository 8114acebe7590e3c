"""One event that this process has to tell: a consent that changed, a message that left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from liftwerk.clock import Clock
from liftwerk.definitions.project import Project
from liftwerk.errors import InputError
from liftwerk.events.admit import ERASED, admit
from liftwerk.events.ids import made_id
from liftwerk.events.schema import schema_of
from liftwerk.store.stores import Stores


def append_event(
    project: Project, stores: Stores, event: Mapping[str, Any], source: str, clock: Clock
) -> str:
    """Append one event to the inbox; durable when it returns.

    Parameters
    ----------
    project : Project
    stores : Stores
    event : mapping
        The envelope; ``id``, ``version`` and ``time`` are filled in when missing.
    source : str
        The declared source.
    clock : Clock

    Returns
    -------
    str
        The event's id.

    Raises
    ------
    InputError
        If it is refused; the reason is in the message.
    """
    schema = schema_of(project)
    now = clock.now()
    whole = {"time": now, **event}
    kind = schema.types.get(str(whole.get("name")))
    if kind is not None:
        whole.setdefault("version", kind.definition.version)
    # Said twice in one microsecond, it is one event.
    whole.setdefault("id", str(made_id("append", source, msgspec.json.encode(whole).decode())))
    admitted = admit([msgspec.json.encode(whole)], schema, source, now, stores.ledger.buried())
    row = admitted.rows[0]
    if row is None:
        reason = admitted.refused[0].reason
        if reason == ERASED:
            raise InputError("the customer was erased", str(whole.get("name")), "leave them out")
        raise InputError(reason, "event", "see `liftwerk schema`")
    stores.inbox.append([row])
    return str(whole["id"])

"""Segment: calls as its storage keeps them, one a line, or rows of a warehouse's tables.

A call is translated as when its clients send it (`liftwerk.connectors.segment`). A warehouse row
has a call's fields as columns in snake_case, those of the context with ``context_`` before them;
what is left are properties, or the traits of an ``identify``.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pyarrow
from msgspec import structs

from liftwerk.connectors.definition import ImportDefinition
from liftwerk.connectors.exports.lines import LINE
from liftwerk.connectors.exports.translated import UNTRANSLATED, Bodies, Body, Translated
from liftwerk.connectors.mapping import ROW, numbered
from liftwerk.connectors.rows import Rows
from liftwerk.connectors.segment.definition import SegmentMapping
from liftwerk.connectors.segment.translate import KINDS, Calls, translate
from liftwerk.definitions.project import Project

TABLES = {"identifies": "identify", "pages": "page", "screens": "screen", "groups": "group",
          "aliases": "alias"}  # fmt: skip

_FIELDS = {
    "id": "messageId",
    "message_id": "messageId",
    "timestamp": "timestamp",
    "original_timestamp": "originalTimestamp",
    "sent_at": "sentAt",
    "user_id": "userId",
    "anonymous_id": "anonymousId",
    "previous_id": "previousId",
    "group_id": "groupId",
}
"""Column of a warehouse's table -> field of a call."""

_OWN = ("received_at", "uuid", "uuid_ts", "loaded_at", "event", "event_text")

NOT_DECLARED = "not declared: {name}"
NOBODY = "without an identifier"

Json = dict[str, Any]

_decode = msgspec.json.Decoder(Json).decode
_encode = msgspec.json.Encoder().encode


def translated(
    project: Project, name: str, definition: ImportDefinition, rows: Rows, table: str
) -> Translated:
    """Prepare to translate a file; ``table`` is its name without the ending."""
    calls = _calls(project, definition)
    kind = TABLES.get(table, "track")
    extras = _extras(definition)
    delay = timedelta(0)
    if definition.known_at is not None:
        delay = definition.known_at.delay.timedelta

    def events_of(batch: pyarrow.RecordBatch, left_out: Counter[str]) -> Bodies:
        numbers, lines = (column.to_pylist() for column in batch.columns)
        return [
            (number, _events(calls, (kind, table), line, extras, delay, left_out))
            for number, line in zip(numbers, lines, strict=True)
            if line is not None
        ]

    return Translated(f"SELECT {ROW}, {LINE} FROM ({numbered(rows)})", events_of, UNTRANSLATED)


def _calls(project: Project, definition: ImportDefinition) -> Calls:
    """Read how calls are translated: by ``[segment]``, and what the import says differently."""
    calls = Calls.of(project)
    mapping: SegmentMapping = structs.replace(
        calls.mapping,
        events={**calls.mapping.events, **definition.names},
        properties={**calls.mapping.properties, **definition.fields},
        # Years of calls say what nobody asks for any more.
        undeclared="ignore",
    )
    namespaces = dict(calls.namespaces)
    namespaces |= {field: space for space, field in definition.identifiers.items()}
    return Calls(mapping, namespaces, calls.events, calls.purposes)


def _extras(definition: ImportDefinition) -> Json:
    extras: Json = {}
    if definition.consent is not None:
        extras["consent"] = msgspec.to_builtins(definition.consent)
    return extras


def _events(
    calls: Calls,
    named: tuple[str, str],
    line: str,
    extras: Json,
    delay: timedelta,
    left_out: Counter[str],
) -> tuple[Body | None, ...]:
    try:
        said = _decode(line)
    except (ValueError, RecursionError):
        return (line,)
    if "type" not in said or "messageId" not in said:
        said = _call(*named, said)
    made: list[Json] = []
    if said.get("type") in KINDS:
        made = translate(calls, said["type"], said)
    bodies: list[Body] = []
    for event in made:
        if event["name"] not in calls.events:
            left_out[NOT_DECLARED.format(name=str(event["name"])[:100])] += 1
        elif not event["identifiers"]:
            left_out[NOBODY] += 1
        else:
            if delay:
                event["known_at"] = _later(event["time"], delay)
            bodies.append(_encode(event | extras))
    if not made:
        left_out[f"no event is made of {str(said.get('type'))[:100]!r}"] += 1
    return tuple(bodies)


def _later(time: Any, delay: timedelta) -> Any:
    """Say when a delay after a time was; what is no time stays, and is refused with it."""
    try:
        return datetime.fromisoformat(time) + delay
    except (TypeError, ValueError):
        return time


def _call(kind: str, table: str, row: Json) -> Json:
    """Make a call of a warehouse's row."""
    call: Json = {"type": kind, "context": {}}
    rest: Json = {}
    for key, value in row.items():
        if value is None or key in _OWN:
            continue
        if key in _FIELDS:
            call[_FIELDS[key]] = value
        elif key.startswith("context_"):
            _put(call["context"], key.removeprefix("context_"), value)
        else:
            rest[key] = value
    # Tables of one event have its name; the one of all events says it in a column.
    named = [said for said in (row.get("event_text"), row.get("event"), table) if said]
    call["event"] = named[0]
    inside = "properties"
    if kind in ("identify", "group"):
        inside = "traits"
    call[inside] = rest
    return call


def _put(context: Json, key: str, value: Any) -> None:
    """Put a flattened field of the context back where the calls have it."""
    outer, _, inner = key.partition("_")
    if outer in ("page", "campaign", "location", "traits") and inner:
        context.setdefault(outer, {})[inner] = value
    elif key == "consent_category_preferences":
        preferences = value
        if isinstance(value, str):
            preferences = msgspec.json.decode(value)
        context["consent"] = {"categoryPreferences": preferences}

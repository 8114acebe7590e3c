"""The JSON Schema of the project file, for editors that complete and check while one types."""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from msgspec import NODEFAULT, Struct
from msgspec.structs import FieldInfo, fields

from liftwerk.definitions.project import plain_value
from liftwerk.definitions.section import NAME_PATTERN, Section
from liftwerk.definitions.typed import DECIMAL_PATTERN, TypedString

Schema = dict[str, Any]

DRAFT = "https://json-schema.org/draft/2020-12/schema"

_SCALARS: dict[Any, Schema] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    Decimal: {"type": ["string", "integer"], "pattern": DECIMAL_PATTERN},
    datetime: {"type": "string", "format": "date-time"},
}


def json_schema(sections: Sequence[Section[Any]]) -> Schema:
    """Derive the schema from the structs of the sections.

    Parameters
    ----------
    sections : sequence of Section
        Every section that may be in the file.

    Returns
    -------
    dict
        A JSON Schema (draft 2020-12).

    Examples
    --------
    >>> from liftwerk.definitions import PROJECT
    >>> json_schema([PROJECT])["properties"]["project"]
    {'$ref': '#/$defs/ProjectSection'}
    """
    defined: dict[str, Schema] = {}
    properties: dict[str, Schema] = {}
    for section in sections:
        schema = _schema(section.type, defined)
        if section.many:
            schema = {
                "type": "object",
                "propertyNames": {"pattern": NAME_PATTERN},
                "additionalProperties": schema,
            }
        properties[section.name] = schema
    return {
        "$schema": DRAFT,
        "title": "liftwerk.toml",
        "type": "object",
        "properties": properties,
        "required": ["project"],
        "additionalProperties": False,
        "$defs": dict(sorted(defined.items())),
    }


def _schema(wanted: Any, defined: dict[str, Schema]) -> Schema:
    origin = typing.get_origin(wanted)
    arguments = typing.get_args(wanted)
    if origin in (types.UnionType, typing.Union):
        members = [_schema(item, defined) for item in arguments if item is not type(None)]
        if len(members) == 1:
            return members[0]
        return {"anyOf": members}
    if origin is typing.Literal:
        return {"enum": list(arguments)}
    if origin in (list, tuple):
        return {"type": "array", "items": _schema(arguments[0], defined)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema(arguments[1], defined)}
    if wanted is Any:
        return {}
    if issubclass(wanted, Struct):
        return _reference(wanted, defined)
    if issubclass(wanted, TypedString):
        return {"type": "string", "pattern": wanted.pattern, "description": wanted.wanted}
    return dict(_SCALARS[wanted])


def _reference(struct: type[Struct], defined: dict[str, Schema]) -> Schema:
    name = struct.__name__
    if name not in defined:
        defined[name] = {}
        defined[name] = _table(struct, defined)
    return {"$ref": f"#/$defs/{name}"}


def _table(struct: type[Struct], defined: dict[str, Schema]) -> Schema:
    summary, meanings = _documented(struct)
    properties: dict[str, Schema] = {}
    for field in fields(struct):
        schema = _schema(field.type, defined)
        if field.name in meanings:
            schema["description"] = _described(meanings[field.name], field)
        default = _default(field)
        if default is not None:
            schema["default"] = default
        properties[field.encode_name] = schema
    table: Schema = {
        "type": "object",
        "description": summary,
        "properties": properties,
        "required": [field.encode_name for field in fields(struct) if field.required],
        "additionalProperties": False,
    }
    if not hasattr(struct, "shorthand"):
        return table
    return {"anyOf": [{"type": "string"}, table], "description": summary}


def _described(meaning: str, field: FieldInfo) -> str:
    """Say what a key means, and how a typed string is written."""
    for member in (field.type, *typing.get_args(field.type)):
        if isinstance(member, type) and issubclass(member, TypedString):
            return f"{meaning} {member.wanted[:1].upper()}{member.wanted[1:]}."
    return meaning


def _default(field: FieldInfo) -> Any:
    """Return a default worth showing: as it would be written, and not an empty one."""
    value = field.default
    if isinstance(value, TypedString):
        return str(value)
    if value is NODEFAULT or isinstance(value, Struct) or value in (None, "", ()):
        return None
    return plain_value(value)


def _documented(struct: type[Struct]) -> tuple[str, dict[str, str]]:
    """Return a struct's first paragraph, and what it says of each attribute."""
    text = inspect.getdoc(struct)
    if text is None:
        return "", {}
    summary = " ".join(text.split("\n\n")[0].split())
    _, _, listed = text.partition("Attributes\n----------\n")
    meanings: dict[str, str] = {}
    entries = re.split(r"^(?=\S)", listed.partition("\n\n")[0], flags=re.MULTILINE)
    for entry in entries:
        head, _, body = entry.partition("\n")
        names = head.partition(":")[0]
        for name in names.split(","):
            meanings[name.strip()] = " ".join(body.split())
    meanings.pop("", None)
    return summary, meanings

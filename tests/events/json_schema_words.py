"""JSON Schema (2020-12), the few words of it that our schemas use; any other word is an error.

Written from the specification, and looking at nothing of ours: it judges what we derive.
"""

from __future__ import annotations

import re
from typing import Any

NOTES = {"$schema", "$defs", "title", "description", "default", "format", "readOnly"}
TYPES: dict[str, Any] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: (
        not isinstance(value, bool)
        and (isinstance(value, int) or (isinstance(value, float) and value.is_integer()))
    ),
}


def is_valid(document: dict[str, Any], value: object) -> bool:
    """Say whether a value is an instance of a schema."""
    return _holds(document, value, document)


def _holds(schema: Any, value: Any, root: dict[str, Any]) -> bool:
    if isinstance(schema, bool):
        return schema
    return all(_word(word, wanted, schema, value, root) for word, wanted in schema.items())


def _word(word: str, wanted: Any, schema: dict[str, Any], value: Any, root: Any) -> bool:
    is_number = TYPES["number"](value)
    match word:
        case _ if word in NOTES or word.startswith("x-"):
            return True
        case "$ref":
            return _holds(root["$defs"][wanted.removeprefix("#/$defs/")], value, root)
        case "type":
            return bool(TYPES[wanted](value))
        case "const":
            return type(value) is type(wanted) and value == wanted
        case "enum":
            return value in wanted
        case "anyOf":
            return any(_holds(one, value, root) for one in wanted)
        case "pattern":
            # ECMA-262: $ is the end, and not the place before a last line break.
            return not isinstance(value, str) or bool(re.search(wanted.replace("$", r"\Z"), value))
        case "minLength":
            return not isinstance(value, str) or len(value) >= wanted
        case "maxLength":
            return not isinstance(value, str) or len(value) <= wanted
        case "minimum":
            return not is_number or value >= wanted
        case "exclusiveMinimum":
            return not is_number or value > wanted
        case "maximum":
            return not is_number or value <= wanted
        case "items":
            return not isinstance(value, list) or all(_holds(wanted, one, root) for one in value)
        case "maxItems":
            return not isinstance(value, list) or len(value) <= wanted
        case "required":
            return not isinstance(value, dict) or all(key in value for key in wanted)
        case "properties":
            if not isinstance(value, dict):
                return True
            return all(_holds(one, value[key], root) for key, one in wanted.items() if key in value)
        case "additionalProperties":
            if not isinstance(value, dict):
                return True
            more = [one for key, one in value.items() if key not in schema["properties"]]
            return all(_holds(wanted, one, root) for one in more)
    raise AssertionError(f"{word!r} is not judged here")

"""Words for a refusal: which field of which event, and what would have been right.

A reason names fields and never values: it is counted, shown and logged, and a value may be
personal.
"""

from __future__ import annotations

import re

import msgspec

from liftwerk.errors import did_you_mean
from liftwerk.events.delivery.fields import DELIVERY
from liftwerk.events.properties import PropertyDefinition
from liftwerk.events.schema import EventType, Schema, head_of

_AT = re.compile(r" - at `([^`]*)`$")
_FIELD = re.compile(r"field `([^`]*)`")
_PROPERTY = re.compile(r"\$\.properties\.([^.\[]+)")

_ENVELOPE = {
    "id": "a UUID",
    "time": 'a time with its zone such as "2026-03-01T09:30:00Z"',
    "known_at": 'a time with its zone such as "2026-03-01T09:30:00Z"',
    "sent_at": 'a time with its zone such as "2026-03-01T09:30:00Z"',
    "received": 'a time with its zone such as "2026-03-01T09:30:00Z"',
    "decision": "the UUID of a decision",
    "weight": "a number above 0",
    "synthetic": "true or false",
    "modelled": "true or false",
}


def explain(schema: Schema, body: bytes | str, error: Exception) -> tuple[str, str]:
    """Turn a decoder's error into a reason and a path.

    Parameters
    ----------
    schema : Schema
    body : bytes or str
        What was refused.
    error : Exception
        What the decoder raised.

    Returns
    -------
    (str, str)
        The reason, without values, and the path of the offending field.
    """
    if isinstance(error, RecursionError):
        return "nested too deeply", "$"
    if not isinstance(error, msgspec.ValidationError):
        return "not JSON", "$"
    message = str(error)
    path = "$"
    place = _AT.search(message)
    if place is not None:
        path = place[1]
        message = message[: place.start()]
    head = head_of(body)
    if head is None:
        return "not an event: one JSON object each", "$"
    name, version = head
    if not isinstance(name, str):
        return "name is missing", "$.name"
    if name not in schema.types:
        # The name came from outside, but it is a declared kind of word, not somebody's data.
        return f"unknown event {name[:100]!r}: {did_you_mean(name, schema.types)}", path
    if version is None:
        return _words(schema, schema.types[name], path, message), path
    kind = schema.version(name, version)
    if kind is None or path == "$.version":
        return f"{name}: {_declared(schema, name)} declared, not this one", "$.version"
    return _words(schema, kind, path, message), path


def _declared(schema: Schema, name: str) -> str:
    """Say which versions are declared.

    Examples
    --------
    >>> from liftwerk.events.definition import RESERVED
    >>> kinds = {"assigned": EventType("assigned", RESERVED["assigned"], msgspec.Struct)}
    >>> _declared(Schema(kinds, {}, {}, "EUR", msgspec.json.Decoder(), None), "assigned")
    'version 1 is'
    """
    numbers = [str(kind.definition.version) for kind in schema.versions(name)]
    if len(numbers) == 1:
        return f"version {numbers[0]} is"
    return f"versions {', '.join(numbers[:-1])} and {numbers[-1]} are"


def _words(schema: Schema, kind: EventType, path: str, message: str) -> str:
    field = path.removeprefix("$.properties").removeprefix("$").lstrip(".")
    where = ".".join(part for part in (kind.name, field) if part)
    named = _FIELD.search(message)
    if message.startswith("Object missing required field") and named is not None:
        return f"{where}.{named[1]} is missing"
    if message.startswith("Object contains unknown field") and named is not None:
        if path == "$" and named[1] == DELIVERY:
            return f"{where}.{DELIVERY}: no destination declares delivery fields"
        if path == f"$.{DELIVERY}":
            return f"{where}: no destination declares the field {named[1][:100]!r}"
        return f"{where}: no field {named[1][:100]!r} is declared"
    if not message.startswith(("Expected", "Invalid", "Number", "Integer", "Object")):
        return f"{where}: {message}"  # one of our own rules
    definition = _property(kind, path)
    if definition is not None:
        return f"{where}: expected {wanted(definition, schema.currency)}"
    if field in _ENVELOPE:
        return f"{where}: expected {_ENVELOPE[field]}"
    return f"{where}: {message[0].lower()}{message[1:]}"


def _property(kind: EventType, path: str) -> PropertyDefinition | None:
    """Return the definition of the property at a path, unless it points inside a list."""
    found = _PROPERTY.fullmatch(path)
    if found is None:
        return None
    return kind.definition.properties.get(found[1])


def wanted(definition: PropertyDefinition, currency: str) -> str:
    """Say what a property's value should look like.

    Examples
    --------
    >>> from decimal import Decimal
    >>> wanted(PropertyDefinition("integer", minimum=Decimal(0), maximum=Decimal(120)), "USD")
    'a whole number from 0 to 120'
    >>> wanted(PropertyDefinition("money", minimum=Decimal(0)), "USD")
    'an amount in USD such as "29.99", at least 0'
    """
    nouns = {
        "string": "text",
        "integer": "a whole number",
        "number": "a number",
        "boolean": "true or false",
        "money": f'an amount in {currency} such as "29.99"',
        "time": 'a time with its zone such as "2026-03-01T09:30:00Z"',
        "list": "a list",
    }
    if definition.choices:
        return "one of " + ", ".join(definition.choices)
    return nouns[definition.type] + _range(definition)


def _range(definition: PropertyDefinition) -> str:
    low, high = definition.minimum, definition.maximum
    comma = ""
    if definition.type == "money":
        comma = ","
    if low is not None and high is not None:
        return f"{comma} from {low:f} to {high:f}"
    if low is not None:
        return f"{comma} at least {low:f}"
    if high is not None:
        return f"{comma} at most {high:f}"
    return ""

"""Made-up events that fit what is declared: test traffic for any project, marked as such.

Customers who do not exist have identifiers of a reserved form, new for each run: nobody's address
ends in ``.invalid`` (RFC 2606), and no text of a customer begins with `RESERVED`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any
from uuid import UUID

import numpy as np

from liftwerk.events.definition import EventDefinition
from liftwerk.events.identifiers import Namespace
from liftwerk.events.properties import PropertyDefinition
from liftwerk.money import exponent

RESERVED = "liftwerk-synthetic"
"""What made-up texts begin with."""

SPAN = 100
"""How far made-up numbers lie from their bounds."""

_MOST = 10**12
_CODES = {"country@1": "AQ", "currency@1": "XTS"}
"""Antarctica, where no shop delivers, and the currency that ISO 4217 keeps for tests."""


def identifier(namespace: Namespace, name: str, generator: np.random.Generator) -> str:
    """Make up an identifier that its namespace takes.

    Parameters
    ----------
    namespace : Namespace
    name : str
        Of the customer who does not exist: letters, digits and ``-``.
    generator : numpy.random.Generator

    Returns
    -------
    str

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> identifier(Namespace("email"), "x-1", rng)
    'liftwerk-synthetic-x-1@example.invalid'
    """
    rule = namespace.normalise
    made = f"{RESERVED}-{name}"
    if rule == "email@1":
        return f"{made}@example.invalid"
    if rule == "phone@1":
        # 555-0100 to 555-0199 are given to nobody in North America.
        area, line = generator.integers(201, 999), generator.integers(100, 200)
        return f"+1{area}5550{line}"
    if rule == "sha256@1":
        return hashlib.sha256(made.encode()).hexdigest()
    return _CODES.get(rule, made)


def made_up(
    name: str,
    definition: EventDefinition,
    currency: str,
    at: datetime,
    identifiers: Mapping[str, str],
    generator: np.random.Generator,
    *,
    whole: bool = True,
) -> dict[str, Any]:
    """Make up an event that is taken.

    Parameters
    ----------
    name : str
    definition : EventDefinition
    currency : str
        Of the project.
    at : datetime
        When it happens.
    identifiers : mapping of str to str
        Namespace -> value.
    generator : numpy.random.Generator
    whole : bool
        With every property, or only with those that are required.

    Returns
    -------
    dict
        The envelope, ready for JSON; marked as ``synthetic``.
    """
    return {
        "id": str(UUID(bytes=generator.bytes(16), version=4)),
        "name": name,
        "version": definition.version,
        "time": at.isoformat(),
        "identifiers": dict(identifiers),
        "synthetic": True,
        "properties": {
            key: value(one, currency, at, generator)
            for key, one in definition.properties.items()
            if whole or one.required
        },
    }


def value(
    definition: PropertyDefinition, currency: str, at: datetime, generator: np.random.Generator
) -> Any:
    """Make up a value of a property: of its type, and within its bounds."""
    match definition.type:
        case "integer":
            return int(_decimal(definition, 0, generator))
        case "number":
            return _number(definition, generator)
        case "boolean":
            return bool(generator.integers(2))
        case "money":
            return f"{_decimal(definition, exponent(currency), generator):f}"
        case "time":
            return at.isoformat()
        case "list":
            return [_item(definition, currency, at, generator) for _ in range(2)]
        case _:
            if definition.choices:
                return definition.choices[generator.integers(len(definition.choices))]
            return f"{RESERVED}-{generator.bytes(6).hex()}"


def _item(
    definition: PropertyDefinition, currency: str, at: datetime, generator: np.random.Generator
) -> Any:
    if isinstance(definition.of, dict):
        return {
            key: value(PropertyDefinition(kind), currency, at, generator)
            for key, kind in definition.of.items()
        }
    return value(PropertyDefinition(definition.of or "string"), currency, at, generator)


def _decimal(
    definition: PropertyDefinition, decimals: int, generator: np.random.Generator
) -> Decimal:
    """Draw a number of so many decimals near the lower bound, or else near the upper one."""
    step = Decimal(1).scaleb(-decimals)
    low, high = definition.minimum, definition.maximum
    if low is None:
        low = Decimal(0)
        if high is not None:
            low = min(low, high - SPAN)
    if high is None:
        high = low + SPAN
    first = int((low / step).to_integral_value(ROUND_CEILING))
    last = int((min(high, low + SPAN) / step).to_integral_value(ROUND_FLOOR))
    drawn = first + int(generator.integers(min(max(last - first, 0), _MOST) + 1))
    return Decimal(drawn) * step


def _number(definition: PropertyDefinition, generator: np.random.Generator) -> float:
    low, high = definition.minimum, definition.maximum
    if low is None:
        least = 0.0
        if high is not None:
            least = min(0.0, float(high) - SPAN)
    else:
        least = float(low)
    most = least + SPAN
    if high is not None:
        most = min(float(high), most)
    drawn = least + float(generator.random()) * (most - least)
    return math.nextafter(min(max(drawn, least), most), least)

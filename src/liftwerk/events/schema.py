"""Definitions -> types that decode and check an event in one C-level pass, made once a project.

The type is the schema: what `liftwerk.events.admit` accepts, what the tables' columns are and what
a refusal says all follow from the same declaration.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache, reduce
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta, Struct, defstruct

from liftwerk.definitions.project import Project
from liftwerk.events.definition import (
    LIVE,
    SOURCES,
    EventDefinition,
    PropertyDefinition,
    Source,
    known_events,
)
from liftwerk.events.identifiers import IDENTIFIERS, Namespace, normalise
from liftwerk.events.rules import RULES
from liftwerk.money import exponent

TEXT_LIMIT = 100_000
"""Longest text, in characters, and longest list, in items."""

FULL_WEIGHT = 1.0
"""The default weight, one object: msgspec leaves out what *is* the default, not what equals it."""

_INT64 = 2**63
_MONEY_DIGITS = 18
_YEARS = range(1970, 2200)

Check = Callable[[Any], None]


class Consent(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the customer had agreed to when the event was collected."""

    granted: list[Annotated[str, Meta(min_length=1, max_length=200)]]
    source: Literal["import", "tcf", "gcm", "api"]
    version: Annotated[str, Meta(max_length=TEXT_LIMIT)] | None = None
    at: Annotated[datetime, Meta(tz=True)] | None = None


@dataclass(frozen=True)
class EventType:
    """One (name, version): its definition, the struct of its JSON, the name of its table."""

    name: str
    definition: EventDefinition
    struct: type[Struct]

    @property
    def table(self) -> str:
        """Name of the table that keeps it."""
        return f"{self.name}_v{self.definition.version}"


@dataclass(frozen=True)
class Schema:
    """Every event a project knows, ready to decode."""

    types: Mapping[str, EventType]
    namespaces: Mapping[str, Namespace]
    sources: Mapping[str, Source]
    currency: str
    decoder: msgspec.json.Decoder[Any]


@lru_cache(maxsize=8)
def schema_of(project: Project) -> Schema:
    """Compile a project's events.

    Parameters
    ----------
    project : Project

    Returns
    -------
    Schema
        The same object for the same project.
    """
    currency = project.currency
    namespaces = project.get(IDENTIFIERS)
    identifiers = _identifiers(namespaces)
    types = {
        name: EventType(name, definition, _event(name, definition, identifiers, currency))
        for name, definition in known_events(project).items()
    }
    sources = {**project.get(SOURCES), LIVE: Source("http", "server", "Decisions made live")}
    union: Any = reduce(operator.or_, (kind.struct for kind in types.values()))
    return Schema(types, namespaces, sources, currency, msgspec.json.Decoder(union))


def _event(
    name: str, definition: EventDefinition, identifiers: type[Struct], currency: str
) -> type[Struct]:
    """Make the struct of one event; its field order is the order of the canonical JSON."""
    properties = _record(f"{name}_properties", definition.properties, currency, RULES.get(name, ()))
    is_empty_allowed = not any(one.required for one in definition.properties.values())
    properties_field: tuple[Any, ...] = ("properties", properties)
    if is_empty_allowed:
        properties_field = ("properties", properties, msgspec.field(default_factory=properties))
    instant = Annotated[datetime, Meta(tz=True)]
    text = Annotated[str, Meta(max_length=TEXT_LIMIT)]
    fields: list[tuple[Any, ...]] = [
        ("id", UUID),
        ("version", Literal[definition.version]),
        ("time", instant),
        ("source", text | None, None),
        ("identifiers", identifiers | None, None),
        ("session", text | None, None),
        ("consent", Consent | None, None),
        ("context", dict[str, Any] | None, None),
        ("decision", UUID | None, None),
        ("weight", Annotated[float, Meta(gt=0, le=1e9)], FULL_WEIGHT),
        ("synthetic", bool, False),
        ("modelled", bool, False),
        properties_field,
        ("known_at", instant | None, None),
        ("received", instant | None, None),
        # Last, so that `liftwerk.events.admit.digest` can leave it out: a retry changes it.
        ("sent_at", instant | None, None),
    ]
    return defstruct(
        f"{name}_event",
        fields,
        tag_field="name",
        tag=name,
        kw_only=True,
        forbid_unknown_fields=True,
        omit_defaults=True,
        namespace={"__post_init__": _utc_fields(("time", "known_at", "received", "sent_at"))},
    )


def _identifiers(namespaces: Mapping[str, Namespace]) -> type[Struct]:
    """Make the struct of ``identifiers``: one optional text a namespace, normalised as it comes."""
    value = Annotated[str, Meta(min_length=1, max_length=1000)]
    rules = [(f"{name}_", namespace.normalise) for name, namespace in namespaces.items()]

    def spell(self: Any) -> None:
        found = False
        for attribute, rule in rules:
            given = getattr(self, attribute)
            if given is not None:
                found = True
                setattr(self, attribute, normalise(rule, given))
        if not found:
            raise ValueError("an event names at least one identifier")

    return defstruct(
        "identifiers",
        [(attribute, value | None, None) for attribute, _ in rules],
        rename={f"{name}_": name for name in namespaces},
        kw_only=True,
        forbid_unknown_fields=True,
        omit_defaults=True,
        namespace={"__post_init__": spell},
    )


def _record(
    name: str,
    properties: Mapping[str, PropertyDefinition],
    currency: str,
    rules: Sequence[Check] = (),
) -> type[Struct]:
    """Make the struct of some properties. Names get a ``_``: some would be Python keywords."""
    fields: list[tuple[Any, ...]] = []
    checks: list[Check] = []
    instants = []
    for key, definition in properties.items():
        wanted = _type(f"{name}_{key}", definition, currency)
        if definition.required:
            fields.append((f"{key}_", wanted))
        else:
            fields.append((f"{key}_", wanted | None, None))
        if definition.type == "time":
            instants.append(f"{key}_")
        if definition.type == "money" and _is_bounded(definition):
            checks.append(_bounds(key, definition))
    if instants:
        checks.append(_utc_fields(tuple(instants)))
    checks.extend(rules)
    namespace: dict[str, Any] = {}
    if checks:
        namespace["__post_init__"] = _all_of(checks)
    return defstruct(
        name,
        fields,
        rename={f"{key}_": key for key in properties},
        kw_only=True,
        forbid_unknown_fields=True,
        omit_defaults=True,
        namespace=namespace,
    )


def _type(name: str, definition: PropertyDefinition, currency: str) -> Any:
    if definition.type != "list":
        return _scalar(definition, currency)
    if isinstance(definition.of, dict):
        rows = {key: PropertyDefinition(kind) for key, kind in definition.of.items()}
        item: Any = _record(name, rows, currency)
    else:
        item = _scalar(PropertyDefinition(definition.of or "string"), currency)
    return Annotated[list[item], Meta(max_length=TEXT_LIMIT)]


def _scalar(definition: PropertyDefinition, currency: str) -> Any:
    low, high = definition.minimum, definition.maximum
    match definition.type:
        case "integer":
            least, most = -_INT64, _INT64 - 1
            if low is not None:
                least = int(low.to_integral_value("ROUND_CEILING"))
            if high is not None:
                most = int(high.to_integral_value("ROUND_FLOOR"))
            return Annotated[int, Meta(ge=least, le=most)]
        case "number":
            bounds: dict[str, Any] = {}
            if low is not None:
                bounds["ge"] = float(low)
            if high is not None:
                bounds["le"] = float(high)
            return Annotated[float, Meta(**bounds)]
        case "boolean":
            return bool
        case "money":
            return Annotated[str, Meta(pattern=money_pattern(definition, currency))]
        case "time":
            return Annotated[datetime, Meta(tz=True)]
        case _:
            if definition.choices:
                return Literal[definition.choices]
            return Annotated[str, Meta(max_length=TEXT_LIMIT)]


def money_pattern(definition: PropertyDefinition, currency: str) -> str:
    r"""Return what decimal text must look like to be an amount: no more decimals than there are.

    Examples
    --------
    >>> import re
    >>> pattern = money_pattern(PropertyDefinition("money", minimum=Decimal(0)), "USD")
    >>> [bool(re.search(pattern, text)) for text in ("29.99", "0.0", "1.230", "1.234", "-1", "1\n")]
    [True, True, True, False, False, False]
    """
    decimals = exponent(currency)
    sign = "-?"
    if definition.minimum is not None and definition.minimum >= 0:
        sign = ""
    cents = r"(\.0+)?"
    if decimals:
        cents = rf"(\.[0-9]{{1,{decimals}}}0*)?"
    return rf"\A{sign}[0-9]{{1,{_MONEY_DIGITS - decimals}}}{cents}\Z"


def _is_bounded(definition: PropertyDefinition) -> bool:
    has_low = definition.minimum is not None and definition.minimum != 0
    return has_low or definition.maximum is not None


def _bounds(key: str, definition: PropertyDefinition) -> Check:
    low, high = definition.minimum, definition.maximum

    def check(self: Any) -> None:
        amount = getattr(self, f"{key}_")
        if amount is None:
            return
        if low is not None and Decimal(amount) < low:
            raise ValueError(f"{key} is below {low}")
        if high is not None and Decimal(amount) > high:
            raise ValueError(f"{key} is above {high}")

    return check


def _utc_fields(names: Sequence[str]) -> Check:
    """Turn instants to UTC, so that one instant has one spelling."""

    def check(self: Any) -> None:
        for name in names:
            at = getattr(self, name)
            if at is None:
                continue
            if at.year not in _YEARS:
                raise ValueError(f"{name.rstrip('_')} is not between 1970 and 2199")
            if at.tzinfo is not UTC:
                setattr(self, name, at.astimezone(UTC))

    return check


def _all_of(checks: Sequence[Check]) -> Check:
    def check(self: Any) -> None:
        for one in checks:
            one(self)

    return check

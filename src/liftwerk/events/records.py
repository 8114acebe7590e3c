"""Declared properties -> the struct that decodes and checks them in one C-level pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, defstruct

from liftwerk.events.properties import PropertyDefinition
from liftwerk.money import exponent

TEXT_LIMIT = 100_000
"""Longest text, in characters, and longest list, in items."""

_INT64 = 2**63
_MONEY_DIGITS = 18
_YEARS = range(1970, 2200)

Check = Callable[[Any], None]


def record(
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
        checks.append(utc_fields(tuple(instants)))
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
        item: Any = record(name, rows, currency)
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


def utc_fields(names: Sequence[str]) -> Check:
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

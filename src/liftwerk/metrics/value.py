"""``value``: what an event is worth, reckoned exactly from several properties.

The language is that of features' expressions (`liftwerk.features.expression`), as far as whole
numbers carry it: ``+ - *``, ``coalesce``, ``least`` and ``greatest``, over numbers, properties,
fields of the unnested items and properties of entities. Money is kept in minor units and numbers in
billionths, so that no order of rows leaves a trace; what has an unknown part is unknown, and is not
added up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial, reduce
from typing import Any, Literal, TypeAlias

from msgspec import Struct
from sqlglot import exp

from liftwerk.events.definition import EventDefinition
from liftwerk.events.entities.definition import EntityDefinition
from liftwerk.features.condition import columns_of_event
from liftwerk.features.expression import Expression, full_name, parse_expression
from liftwerk.features.kinds.aggregate import NUMBER_SCALE

Column: TypeAlias = Any
"""Whole numbers of each row: whatever can be added and multiplied."""

Choice: TypeAlias = Literal["coalesce", "least", "greatest"]

MONEY = "money"
_LARGEST = 2**53
_SUMMABLE = ("integer", "number", MONEY)
_CHOICES: Mapping[type, Choice] = {
    exp.Coalesce: "coalesce",
    exp.Least: "least",
    exp.Greatest: "greatest",
}


class Worth(Struct, frozen=True):
    """A reckoned value, exactly.

    Attributes
    ----------
    column : Column or None
        Whole numbers; None for a literal.
    scale : int
        How many of them are one unit.
    money : bool or None
        Whether it is money; None for a literal, which is whatever stands beside it.
    literal : int
        The whole number of a literal.
    """

    column: Column | None
    scale: int
    money: bool | None
    literal: int = 0

    def at(self, scale: int) -> Column:
        """Return the whole numbers of a finer scale."""
        times = scale // self.scale
        if self.column is None:
            return self.literal * times
        if times == 1:
            return self.column
        return self.column * times


def value_types(
    event: EventDefinition, unnest: str | None, entities: Mapping[str, EntityDefinition]
) -> dict[str, str]:
    """Say what a value may be reckoned from, and of what type that is.

    Parameters
    ----------
    event : EventDefinition
    unnest : str or None
        The list whose items are the rows.
    entities : mapping of str to EntityDefinition
        Those whose key the event says (`keys_said`) may be named too.
    """
    types = {name: one.type for name, one in columns_of_event(event, "EUR", unnest).items()}
    found: dict[str, str] = dict(types)
    for name, entity in entities.items():
        if keys_said(event, unnest, entity) is not None:
            found |= {f"{name}.{key}": one.type for key, one in entity.properties.items()}
    return found


def keys_said(
    event: EventDefinition, unnest: str | None, entity: EntityDefinition
) -> dict[str, str] | None:
    """Return what in an event says each part of an entity's key: the item's field, or its namesake.

    Returns
    -------
    dict of str to str
        Part of the key -> column; None if a part is said by nothing of its type.
    """
    types = columns_of_event(event, "EUR", unnest)
    said = {}
    for part in entity.key:
        columns = [name for name in (f"{unnest}.{part}", part) if name in types]
        if not columns or types[columns[0]].type != entity.properties[part].type:
            return None
        said[part] = columns[0]
    return said


def parse_value(text: str, types: Mapping[str, str]) -> Expression:
    """Read a value.

    Raises
    ------
    ValueError
        If it cannot be reckoned exactly, or mixes money and numbers.

    Examples
    --------
    >>> parse_value("quantity * price", {"quantity": "integer", "price": "money"}).names
    ('quantity', 'price')
    """
    parsed = parse_expression(text, types)
    is_money(parsed, types)
    return parsed


def is_money(parsed: Expression, types: Mapping[str, str]) -> bool:
    """Say whether a value is money."""
    return bool(unit_of(parsed, types, 0).money)


def unit_of(parsed: Expression, types: Mapping[str, str], decimals: int) -> Worth:
    """Say in which unit a value is reckoned; the parameters are those of `worth`."""
    return worth(parsed, types, decimals, lambda _: 0, lambda _, *parts: parts[0])


def worth(
    parsed: Expression,
    types: Mapping[str, str],
    decimals: int,
    column: Callable[[str], Column],
    choose: Callable[..., Column],
) -> Worth:
    """Reckon a value over columns.

    Parameters
    ----------
    parsed : Expression
    types : mapping of str to str
        From `value_types`.
    decimals : int
        Of money.
    column : callable
        Name -> whole numbers: of money in minor units, of a number in billionths.
    choose : callable
        ``coalesce``, ``least`` or ``greatest``, and columns, to the column that is chosen.

    Raises
    ------
    ValueError
        As of `parse_value`.
    """
    scales = {MONEY: 10**decimals, "number": NUMBER_SCALE}

    def reckoned(found: Any) -> Worth:
        if isinstance(found, exp.Paren):
            return reckoned(found.this)
        if isinstance(found, exp.Column):
            name = full_name(found)
            if types[name] not in _SUMMABLE:
                raise ValueError(f"{name} is of type {types[name]}, which cannot be added up")
            return Worth(column(name), scales.get(types[name], 1), types[name] == MONEY)
        if isinstance(found, exp.Literal):
            number = Decimal(found.this)
            scale = int(10 ** max(0, -int(number.as_tuple().exponent)))
            literal = int(number * scale)
            if max(scale, abs(literal)) >= _LARGEST:
                raise ValueError(f"{found.sql('duckdb')} has too many digits")
            return Worth(None, scale, None, literal)
        if isinstance(found, exp.Neg):
            return _product(found, Worth(None, 1, None, -1), reckoned(found.this))
        if isinstance(found, exp.Mul):
            return _product(found, reckoned(found.this), reckoned(found.expression))
        if isinstance(found, exp.Add | exp.Sub):
            one, other = _aligned(found, [reckoned(found.this), reckoned(found.expression)])
            if isinstance(found, exp.Sub):
                other = _product(found, Worth(None, 1, None, -1), other)
            return _together(lambda a, b: a + b, [one, other])
        if type(found) in _CHOICES:
            parts = [reckoned(part) for part in (found.this, *found.expressions)]
            return _together(partial(choose, _CHOICES[type(found)]), _aligned(found, parts))
        what = f"{found.sql('duckdb')} is not reckoned in whole numbers"
        raise ValueError(f"{what}: use + - * coalesce least greatest")

    return reckoned(parsed.tree)


def _product(found: Any, one: Worth, other: Worth) -> Worth:
    if one.money and other.money:
        raise ValueError(f"{found.sql('duckdb')} multiplies money by money")
    kinds = {one.money, other.money}
    scale = one.scale * other.scale
    if one.column is None and other.column is None:
        return Worth(None, scale, None, one.literal * other.literal)
    return Worth(one.at(one.scale) * other.at(other.scale), scale, True in kinds)


def _aligned(found: Any, parts: list[Worth]) -> list[Worth]:
    kinds = {part.money for part in parts} - {None}
    if len(kinds) > 1:
        raise ValueError(f"{found.sql('duckdb')} mixes money and numbers")
    scale = reduce(math.lcm, (part.scale for part in parts))
    kind = next(iter(kinds), None)
    return [
        Worth(None, scale, kind, part.literal * scale // part.scale)
        if part.column is None
        else Worth(part.at(scale), scale, kind)
        for part in parts
    ]


def _together(how: Callable[..., Column], parts: list[Worth]) -> Worth:
    return Worth(how(*(part.at(part.scale) for part in parts)), parts[0].scale, parts[0].money)

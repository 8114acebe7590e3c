"""``where`` and ``when``: conditions on an event, in a small part of SQL that every engine shares.

Names against literals, with ``and``, ``or``, ``not`` and parentheses:

    channel = 'email' and revenue >= 20 and (sku in ('a', 'b') or context.country is null)

A name is a property, a field of the unnested items (``items.sku``), ``source``, ``trust``,
``session``, ``modelled`` or ``context.NAME``. Money is written in units (``19.90``), an instant as
``'2026-03-01T09:30:00Z'``. As in SQL, a comparison with what is not there is neither true nor
false, and such a row does not count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import Any

from msgspec import Struct
from sqlglot import exp

from liftwerk.definitions.lines import Path
from liftwerk.definitions.problem import Problem
from liftwerk.definitions.project import Project
from liftwerk.definitions.section import is_name
from liftwerk.errors import did_you_mean
from liftwerk.events.definition import EventDefinition
from liftwerk.features.entity import CONTEXT
from liftwerk.features.parse import tree_of
from liftwerk.money import exponent

_ENVELOPE = {"source": "string", "trust": "string", "session": "string", "modelled": "boolean"}
_COMPARISONS = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
}
_MIRRORED = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_INSTANTS = (exp.DType.TIMESTAMP, exp.DType.TIMESTAMPNTZ, exp.DType.TIMESTAMPTZ, exp.DType.DATE)
_INT64 = 2**63
_UNORDERED = ("string", "boolean")


class Column(Struct, frozen=True):
    """What a name stands for: its declared type, and the decimals of money."""

    type: str
    decimals: int = 0


class Test(Struct, frozen=True):
    """A name against literals: ``op`` is a comparison, ``in`` or ``is null``."""

    name: str
    type: str
    op: str
    values: tuple[Any, ...] = ()


class Not(Struct, frozen=True):
    """The opposite."""

    of: Node


class Every(Struct, frozen=True):
    """All of them hold."""

    of: tuple[Node, ...]


class Some(Struct, frozen=True):
    """One of them holds."""

    of: tuple[Node, ...]


Node = Test | Not | Every | Some


class Condition(Struct, frozen=True):
    """A parsed condition.

    Attributes
    ----------
    tree : Test, Not, Every or Some
        What it says.
    """

    tree: Node

    @property
    def names(self) -> tuple[str, ...]:
        """What it reads, each once."""
        return tuple(dict.fromkeys(test.name for test in _tests(self.tree)))

    @property
    def text(self) -> str:
        """One spelling for everything that is written alike but for spaces and capitals."""
        return _text(self.tree)


def columns_of_event(
    definition: EventDefinition, currency: str, unnest: str | None = None
) -> dict[str, Column]:
    """List what a condition on an event may name, but for what is under ``context``.

    Parameters
    ----------
    definition : EventDefinition
    currency : str
        The project's currency.
    unnest : str or None
        The list whose items are the rows.
    """
    decimals = exponent(currency)
    types = dict(_ENVELOPE)
    types |= {name: one.type for name, one in definition.properties.items() if one.type != "list"}
    if unnest is not None:
        items = definition.properties[unnest].of
        if isinstance(items, dict):
            types |= {f"{unnest}.{name}": type_ for name, type_ in items.items()}
        elif items is not None:
            types[unnest] = items
    return {
        name: Column(type_, decimals if type_ == "money" else 0) for name, type_ in types.items()
    }


def parse_condition(text: str, columns: Mapping[str, Column]) -> Condition:
    """Read a condition.

    Parameters
    ----------
    text : str
        As it is written in the project file.
    columns : mapping of str to Column
        From `columns_of_event`.

    Raises
    ------
    ValueError
        If it is not such a condition: what was found, and what would be right.

    Examples
    --------
    >>> paid = parse_condition("revenue>=20 AND NOT (sku = 'a')", {
    ...     "revenue": Column("money", 2), "sku": Column("string")})
    >>> paid.text, paid.names
    ("revenue >= 2000 and not (sku = 'a')", ('revenue', 'sku'))
    """
    tree = tree_of(text, "condition")
    try:
        return Condition(_Reader(columns).node(tree))
    except RecursionError:
        raise ValueError("too many parts in one another: write it shorter") from None


def check_condition(
    project: Project, path: Path, text: str, columns: Mapping[str, Column]
) -> Iterable[Problem]:
    """Find what is wrong with a condition."""
    try:
        parse_condition(text, columns)
    except ValueError as error:
        yield project.problem(path, str(error), text)


def holds(condition: Condition, row: Mapping[str, Any]) -> bool | None:
    """Say whether a condition holds of one row, in plain Python.

    Parameters
    ----------
    condition : Condition
    row : mapping of str to object
        Name -> value, None where there is none: money in minor units, instants as datetimes.

    Returns
    -------
    bool or None
        None where it is neither true nor false.
    """
    return _holds(condition.tree, row)


class _Reader:
    """From what the parser found to a condition."""

    def __init__(self, columns: Mapping[str, Column]) -> None:
        self.columns = columns

    def node(self, found: Any) -> Node:
        if isinstance(found, exp.Paren):
            return self.node(found.this)
        if isinstance(found, exp.Not):
            return Not(self.node(found.this))
        if isinstance(found, exp.And):
            return Every(tuple(self.node(one) for one in found.flatten()))
        if isinstance(found, exp.Or):
            return Some(tuple(self.node(one) for one in found.flatten()))
        return self._test(found)

    def _test(self, found: Any) -> Node:
        if isinstance(found, exp.Column):
            name, column = self._named(found)
            if column.type != "boolean":
                raise ValueError(f"{name} is of type {column.type}: compare it with something")
            return Test(name, "boolean", "=", (True,))
        if isinstance(found, exp.Is) and isinstance(found.expression, exp.Null):
            name, column = self._named(found.this)
            return Test(name, column.type, "is null")
        if isinstance(found, exp.In) and found.expressions:
            name, column = self._named(found.this)
            values = tuple(self._literal(one, name, column) for one in found.expressions)
            return Test(name, column.type, "in", values)
        if isinstance(found, exp.Between):
            low = self._compared(found.this, ">=", found.args["low"])
            return Every((low, self._compared(found.this, "<=", found.args["high"])))
        if type(found) in _COMPARISONS:
            op = _COMPARISONS[type(found)]
            if isinstance(found.expression, exp.Column) and isinstance(found.this, exp.Literal):
                return self._compared(found.expression, _MIRRORED[op], found.this)
            return self._compared(found.this, op, found.expression)
        raise ValueError(f"{found.sql('duckdb')} is no comparison of a name with a literal")

    def _compared(self, named: Any, op: str, literal: Any) -> Test:
        name, column = self._named(named)
        if column.type in _UNORDERED and op not in ("=", "<>"):
            raise ValueError(f"{name} is of type {column.type}, which has no order: use = or in")
        return Test(name, column.type, op, (self._literal(literal, name, column),))

    def _named(self, found: Any) -> tuple[str, Column]:
        if not isinstance(found, exp.Column):
            raise ValueError(f"{found.sql('duckdb')} is no name: compare a name with a literal")
        name = ".".join(part.name for part in found.parts)
        if name.startswith(CONTEXT):
            if not all(map(is_name, name.split("."))):
                raise ValueError(f"{name!r} is no name: lower case letters, digits and _")
            return name, Column("string")
        if name not in self.columns:
            raise ValueError(f"there is no {name!r} here: {did_you_mean(name, self.columns)}")
        return name, self.columns[name]

    def _literal(self, found: Any, name: str, column: Column) -> Any:
        text, is_text = _written(found)
        wanted = {
            "string": "a text in quotes",
            "boolean": "true or false",
            "integer": "a whole number",
            "number": "a number",
            "money": f"an amount with at most {column.decimals} decimals",
            "time": "an instant such as '2026-03-01T09:30:00Z'",
        }[column.type]
        try:
            if is_text == (column.type in ("string", "time")) and text is not None:
                return _LITERALS[column.type](text, column)
        except (ValueError, InvalidOperation):
            pass
        raise ValueError(
            f"{name} is of type {column.type}: write {wanted}, not {found.sql('duckdb')}"
        )


def _written(found: Any) -> tuple[str | None, bool]:
    """Return a literal's text, and whether it stands in quotes; None where it is no literal."""
    if isinstance(found, exp.Cast) and isinstance(found.this, exp.Literal):
        if found.to.this not in _INSTANTS:
            return None, False
        return found.this.this, True
    if isinstance(found, exp.Neg) and isinstance(found.this, exp.Literal):
        return f"-{found.this.this}", False
    if isinstance(found, exp.Literal):
        return found.this, found.is_string
    if isinstance(found, exp.Boolean):
        return str(found.this).lower(), False
    return None, False


def _boolean(text: str, _column: Column) -> bool:
    if text not in ("true", "false"):
        raise ValueError(text)
    return text == "true"


def _minor(text: str, column: Column) -> int:
    minor = Decimal(text).scaleb(column.decimals)
    if minor != int(minor):
        raise ValueError(text)
    return _whole(str(int(minor)), column)


def _whole(text: str, _column: Column) -> int:
    number = int(text)
    if not -_INT64 <= number < _INT64:
        raise ValueError(text)
    return number


def _finite(text: str, _column: Column) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(text)
    return number


def _instant(text: str, _column: Column) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        return instant.replace(tzinfo=UTC)
    return instant.astimezone(UTC)


_LITERALS: Mapping[str, Any] = {
    "string": lambda text, _column: text,
    "boolean": _boolean,
    "integer": _whole,
    "number": _finite,
    "money": _minor,
    "time": _instant,
}


def _tests(node: Node) -> Iterable[Test]:
    if isinstance(node, Test):
        yield node
    elif isinstance(node, Not):
        yield from _tests(node.of)
    else:
        for one in node.of:
            yield from _tests(one)


def _text(node: Node) -> str:
    if isinstance(node, Not):
        return f"not ({_text(node.of)})"
    if isinstance(node, Every | Some):
        word = " and " if isinstance(node, Every) else " or "
        parts = (
            f"({_text(one)})" if isinstance(one, Every | Some) else _text(one) for one in node.of
        )
        return word.join(parts)
    if node.op == "is null":
        return f"{node.name} is null"
    values = ", ".join(map(_spelled, node.values))
    if node.op == "in":
        return f"{node.name} in ({values})"
    return f"{node.name} {node.op} {values}"


def _spelled(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return f"'{value.isoformat()}'"
    if isinstance(value, str):
        escaped = value.replace("'", "''")
        return f"'{escaped}'"
    return repr(value)


OPERATORS: Mapping[str, Any] = {
    "=": lambda one, other: one == other,
    "<>": lambda one, other: one != other,
    "<": lambda one, other: one < other,
    "<=": lambda one, other: one <= other,
    ">": lambda one, other: one > other,
    ">=": lambda one, other: one >= other,
}
"""Comparisons, of plain values and of expressions alike."""


def _holds(node: Node, row: Mapping[str, Any]) -> bool | None:
    if isinstance(node, Not):
        found = _holds(node.of, row)
        return None if found is None else not found
    if isinstance(node, Every):
        return _least(_holds(one, row) for one in node.of)
    if isinstance(node, Some):
        opposite = _least(
            None if found is None else not found for found in (_holds(one, row) for one in node.of)
        )
        return None if opposite is None else not opposite
    value = row.get(node.name)
    if node.op == "is null":
        return value is None
    if value is None:
        return None
    if node.op == "in":
        return value in node.values
    return bool(OPERATORS[node.op](value, node.values[0]))


def _least(found: Iterable[bool | None]) -> bool | None:
    """Return the conjunction: false if one is false, else unknown if one is unknown."""
    every = set(found)
    if False in every:
        return False
    if None in every:
        return None
    return True

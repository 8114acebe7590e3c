"""Conditions as Ibis expressions, for every engine that Ibis writes SQL for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from liftwerk.features.condition import OPERATORS, Condition, Every, Node, Not, Some, Test
from liftwerk.lazy import LazyModule

if TYPE_CHECKING:
    import ibis
else:
    ibis = LazyModule("ibis")


def condition_ibis(condition: Condition, table: ibis.Table) -> ibis.BooleanValue:
    """Write a condition over the columns of an event.

    Parameters
    ----------
    condition : Condition
    table : ibis.Table
        The event, its list unnested: money in minor units, what is under ``context`` as columns of
        the whole name.
    """
    return _expression(condition.tree, table)


def _expression(node: Node, table: ibis.Table) -> Any:
    if isinstance(node, Not):
        return ~_expression(node.of, table)
    if isinstance(node, Every):
        return ibis.and_(*(_expression(one, table) for one in node.of))
    if isinstance(node, Some):
        return ibis.or_(*(_expression(one, table) for one in node.of))
    value = _column(node, table)
    if node.op == "is null":
        return value.isnull()
    literals = [_typed(one, node.type) for one in node.values]
    if node.op == "in":
        return value.isin(literals)
    return OPERATORS[node.op](value, literals[0])


def _column(test: Test, table: ibis.Table) -> Any:
    if test.name in table.columns:
        return table[test.name]
    items, _, field = test.name.partition(".")
    return table[items][field]


def _typed(value: Any, type_: str) -> Any:
    kinds = {"number": "float64", "integer": "int64", "money": "int64", "time": "timestamp('UTC')"}
    return ibis.literal(value, kinds.get(type_))

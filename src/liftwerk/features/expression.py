"""``expression``: arithmetic over other features of the same entity, and what else is known.

    orders_90d / (visits_90d + 1)
    case when days_since_order > 90 then 0 else ln(revenue_1y + 1) end

A name is a feature, one of ``hour_of_day``, ``day_of_week``, ``day_of_month`` and ``month_of_year``
(of the question, in the project's zone), or a property of the entity itself that held then and was
known, as in ``product.price``. Beside names there are numbers, ``+ - * /``, ``coalesce``,
``least``, ``greatest``, ``ln``, ``sqrt``, ``abs`` and ``case`` with comparisons. It is reckoned on
final values in double precision, by one evaluator for one row and for a million. What has no answer
(an unknown operand, a division by 0, a logarithm or a root that does not exist) is unknown; a
comparison with the unknown does not hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any, TypeAlias

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from sqlglot import exp

from liftwerk.definitions.lines import Path
from liftwerk.definitions.problem import Problem
from liftwerk.definitions.project import Project
from liftwerk.errors import did_you_mean
from liftwerk.features.parse import tree_of

Numbers: TypeAlias = NDArray[np.float64]
"""One number a row; NaN where it is unknown."""

_NUMERIC = ("integer", "number", "money", "boolean")


class Expression(Struct, frozen=True):
    """A parsed expression.

    Attributes
    ----------
    tree : sqlglot.exp.Expression
        What it says.
    names : tuple of str
        The features it reads, and what else `liftwerk.features.definition.readable_types` names.
    """

    tree: Any
    names: tuple[str, ...]

    @property
    def text(self) -> str:
        """One spelling for everything that is written alike but for spaces and capitals."""
        return str(self.tree.sql("duckdb", comments=False))


def parse_expression(text: str, types: Mapping[str, str]) -> Expression:
    """Read an expression.

    Parameters
    ----------
    text : str
        As it is written in the project file.
    types : mapping of str to str
        Feature -> the type of its values.

    Raises
    ------
    ValueError
        If it is not such an expression: what was found, and what would be right.

    Examples
    --------
    >>> share = parse_expression("won/(asked+1)", {"won": "number", "asked": "number"})
    >>> share.text, share.names
    ('won / (asked + 1)', ('won', 'asked'))
    """
    tree = tree_of(text, "expression")
    try:
        _demand(tree, types)
    except RecursionError:
        raise ValueError("too many parts in one another: write it shorter") from None
    names = dict.fromkeys(full_name(column) for column in tree.find_all(exp.Column))
    return Expression(tree, tuple(names))


def check_expression(
    project: Project, path: Path, text: str, types: Mapping[str, str]
) -> Iterable[Problem]:
    """Find what is wrong with an expression."""
    try:
        parse_expression(text, types)
    except ValueError as error:
        yield project.problem(path, str(error), text)


def evaluate(expression: Expression, columns: Mapping[str, Numbers], rows: int) -> Numbers:
    """Reckon an expression, row by row.

    Parameters
    ----------
    expression : Expression
    columns : mapping of str to float64 of shape (rows,)
        Feature -> values, NaN where they are unknown.
    rows : int

    Returns
    -------
    float64 of shape (rows,)
        NaN where there is no answer.

    Examples
    --------
    >>> share = parse_expression("won / asked", {"won": "number", "asked": "number"})
    >>> evaluate(share, {"won": np.array([1.0, 1.0]), "asked": np.array([4.0, 0.0])}, 2)
    array([0.25,  nan])
    """
    with np.errstate(all="ignore"):
        found = np.broadcast_to(_number(expression.tree, columns), (rows,)).astype(np.float64)
    found[~np.isfinite(found)] = np.nan
    return found


def cycle(expressions: Mapping[str, Expression]) -> list[str]:
    """Return features that are defined by themselves, in a circle; empty if there are none.

    Examples
    --------
    >>> types = {"a": "number", "b": "number"}
    >>> cycle({"a": parse_expression("b", types), "b": parse_expression("a + 1", types)})
    ['a', 'b', 'a']
    """
    done: set[str] = set()
    for start in expressions:
        trail: list[str] = []
        found = _walk(start, expressions, trail, done)
        if found:
            return found
    return []


def _walk(
    name: str, expressions: Mapping[str, Expression], trail: list[str], done: set[str]
) -> list[str]:
    if name in trail:
        return [*trail[trail.index(name) :], name]
    if name in done or name not in expressions:
        return []
    trail.append(name)
    for read in expressions[name].names:
        found = _walk(read, expressions, trail, done)
        if found:
            return found
    trail.pop()
    done.add(name)
    return []


_BINARY: Mapping[type, Any] = {
    exp.Add: np.add,
    exp.Sub: np.subtract,
    exp.Mul: np.multiply,
    exp.Div: np.divide,
}
_UNARY: Mapping[type, Any] = {
    exp.Neg: np.negative,
    exp.Ln: np.log,
    exp.Sqrt: np.sqrt,
    exp.Abs: np.abs,
}
_COMPARED: Mapping[type, Any] = {
    exp.EQ: np.equal,
    exp.NEQ: np.not_equal,
    exp.LT: np.less,
    exp.LTE: np.less_equal,
    exp.GT: np.greater,
    exp.GTE: np.greater_equal,
}
_MANY: Mapping[type, Any] = {
    exp.Coalesce: lambda one, other: np.where(np.isnan(one), other, one),
    exp.Least: np.minimum,
    exp.Greatest: np.maximum,
}


def full_name(column: exp.Column) -> str:
    """Return a name as it is written, such as ``product.price``."""
    return ".".join(part.name for part in column.parts)


def _demand(found: Any, types: Mapping[str, str]) -> None:
    """Raise where something else is written than the evaluator knows."""
    if isinstance(found, exp.Column):
        name = full_name(found)
        if name not in types:
            raise ValueError(f"there is no feature {name!r} here: {did_you_mean(name, types)}")
        if types[name] not in _NUMERIC:
            raise ValueError(f"{name} is of type {types[name]}, which cannot be reckoned with")
    elif isinstance(found, exp.Literal):
        if found.is_string:
            raise ValueError(f"{found.sql('duckdb')} is a text, which cannot be reckoned with")
        if not isfinite(float(found.this)):
            raise ValueError(f"{found.sql('duckdb')} is beyond every number")
    elif isinstance(found, exp.Case):
        if found.this is not None:
            raise ValueError("write case when …, with a comparison after each when")
        for branch in found.args["ifs"]:
            _demand_comparison(branch.this, types)
            _demand(branch.args["true"], types)
        if found.args.get("default") is not None:
            _demand(found.args["default"], types)
    else:
        for part in _parts(found):
            _demand(part, types)


def _demand_comparison(found: Any, types: Mapping[str, str]) -> None:
    while isinstance(found, exp.Paren):
        found = found.this
    if type(found) not in _COMPARED:
        raise ValueError(f"{found.sql('duckdb')} is no comparison")
    _demand(found.this, types)
    _demand(found.expression, types)


def _parts(found: Any) -> list[Any]:
    kind = type(found)
    if kind in _BINARY:
        return [found.this, found.expression]
    if kind in _UNARY or kind is exp.Paren:
        return [found.this]
    if kind in _MANY:
        return [found.this, *found.expressions]
    raise ValueError(f"{found.sql('duckdb')} is not arithmetic over features")


def _number(found: Any, columns: Mapping[str, Numbers]) -> Any:
    kind = type(found)
    if kind is exp.Column:
        return columns[full_name(found)]
    if kind is exp.Literal:
        return np.float64(found.this)
    if kind is exp.Paren:
        return _number(found.this, columns)
    if kind is exp.Case:
        return _case(found, columns)
    if kind in _UNARY:
        answer = _UNARY[kind](_number(found.this, columns))
        return np.where(np.isfinite(answer), answer, np.nan)
    numbers = [_number(part, columns) for part in _parts(found)]
    if kind in _BINARY:
        answer = _BINARY[kind](*numbers)
        return np.where(np.isfinite(answer), answer, np.nan)
    answer = numbers[0]
    for number in numbers[1:]:
        answer = _MANY[kind](answer, number)
    return answer


def _case(found: Any, columns: Mapping[str, Numbers]) -> Any:
    answer: Any = np.nan
    if found.args.get("default") is not None:
        answer = _number(found.args["default"], columns)
    for branch in reversed(found.args["ifs"]):
        test = branch.this.unnest()
        one, other = _number(test.this, columns), _number(test.expression, columns)
        known = ~(np.isnan(one) | np.isnan(other))
        holds = _COMPARED[type(test)](one, other) & known
        answer = np.where(holds, _number(branch.args["true"], columns), answer)
    return answer

"""``expression``: arithmetic over other features of the same entity, and what else is known.

    orders_90d / (visits_90d + 1)
    case when days_since_order > 90 then 0 else ln(revenue_1y + 1) end

A name is a feature, one of ``hour_of_day``, ``day_of_week``, ``day_of_month`` and ``month_of_year``
(of the question, in the project's zone), or a property of the entity itself that held then and was
known, as in ``product.price``. Beside names there are numbers, ``+ - * /``, ``coalesce``,
``least``, ``greatest``, ``ln``, ``sqrt``, ``abs`` and ``case`` with comparisons. It is reckoned on
final values in double precision, the same for one row and for a million. What has no answer
(an unknown operand, a division by 0, a logarithm or a root that does not exist) is unknown; a
comparison with the unknown does not hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import isfinite, nan
from operator import itemgetter
from typing import Any, TypeAlias

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from sqlglot import exp

from liftwerk.definitions.lines import Path
from liftwerk.definitions.problem import Problem
from liftwerk.definitions.project import Project
from liftwerk.errors import did_you_mean
from liftwerk.features.arithmetic import FLOATS, ROWS, Arithmetic
from liftwerk.features.parse import tree_of

Numbers: TypeAlias = NDArray[np.float64]
"""One number a row; NaN where it is unknown."""

Reckoning: TypeAlias = Callable[[Mapping[str, Any]], Any]
"""Feature -> its value, or its values, to what comes of them."""

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
        answer = _reckoning(expression.tree, ROWS)(columns)
        found = np.broadcast_to(answer, (rows,)).astype(np.float64)
    found[~np.isfinite(found)] = np.nan
    return found


def for_one(expression: Expression) -> Reckoning:
    """Prepare what `evaluate` reckons for one row; gives the same number, and is much faster.

    Parameters
    ----------
    expression : Expression

    Returns
    -------
    callable
        Feature -> float, NaN where it is unknown; to a float, NaN where there is no answer.

    Examples
    --------
    >>> share = for_one(parse_expression("won / asked", {"won": "number", "asked": "number"}))
    >>> share({"won": 1.0, "asked": 4.0}), share({"won": 1.0, "asked": 0.0})
    (0.25, nan)
    """
    return _reckoning(expression.tree, FLOATS)


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
    if type(found) not in ROWS.compared:
        raise ValueError(f"{found.sql('duckdb')} is no comparison")
    _demand(found.this, types)
    _demand(found.expression, types)


def _parts(found: Any) -> list[Any]:
    kind = type(found)
    if kind in ROWS.two:
        return [found.this, found.expression]
    if kind in ROWS.one or kind is exp.Paren:
        return [found.this]
    if kind in ROWS.many:
        return [found.this, *found.expressions]
    raise ValueError(f"{found.sql('duckdb')} is not arithmetic over features")


def _reckoning(found: Any, way: Arithmetic) -> Reckoning:
    """Turn a tree into functions of functions, once: what the parser made is slow to walk."""
    kind = type(found)
    if kind is exp.Column:
        return itemgetter(full_name(found))
    if kind is exp.Literal:
        number = way.number(found.this)
        return lambda _: number
    if kind is exp.Paren:
        return _reckoning(found.this, way)
    if kind is exp.Case:
        return _case(found, way)
    parts = [_reckoning(part, way) for part in _parts(found)]
    if kind in way.one:
        return _of_one(way.one[kind], *parts)
    several = {**way.two, **way.many}
    answer = parts[0]
    for part in parts[1:]:
        answer = _of_two(several[kind], answer, part)
    return answer


def _of_one(reckon: Callable[[Any], Any], part: Reckoning) -> Reckoning:
    return lambda values: reckon(part(values))


def _of_two(reckon: Callable[[Any, Any], Any], one: Reckoning, other: Reckoning) -> Reckoning:
    return lambda values: reckon(one(values), other(values))


def _unknown(_: Mapping[str, Any]) -> float:
    return nan


def _case(found: Any, way: Arithmetic) -> Reckoning:
    answer: Reckoning = _unknown
    if found.args.get("default") is not None:
        answer = _reckoning(found.args["default"], way)
    for branch in reversed(found.args["ifs"]):
        test = branch.this.unnest()
        one, other = _reckoning(test.this, way), _reckoning(test.expression, way)
        holds = _of_two(way.compared[type(test)], one, other)
        answer = _chosen(way, holds, _reckoning(branch.args["true"], way), answer)
    return answer


def _chosen(way: Arithmetic, holds: Reckoning, then: Reckoning, otherwise: Reckoning) -> Reckoning:
    return lambda values: way.choose(holds(values), then(values), otherwise(values))

"""``formula``: metrics reckoned from metrics, as far as sums of customers carry it.

    margin - returns - 0.35 * orders        a sum: of one customer as of all of them
    revenue / orders                        a ratio: of sums, never a mean of ratios

So little is deliberate. Whatever can be written here can be read by an experiment: a sum has a
mean over customers, and a ratio of two sums has one by the delta method.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from msgspec import Struct
from sqlglot import exp

from liftwerk.errors import did_you_mean
from liftwerk.features.expression import full_name
from liftwerk.features.parse import tree_of
from liftwerk.metrics.definition import MetricDefinition


class Sum(Struct, frozen=True):
    """Metrics times factors, and a constant.

    Attributes
    ----------
    terms : mapping of str to fractions.Fraction
        Metric -> its factor.
    constant : fractions.Fraction
        What is added for each customer, or once in a period.
    """

    terms: Mapping[str, Fraction]
    constant: Fraction = Fraction(0)

    @property
    def names(self) -> tuple[str, ...]:
        """The metrics it reads."""
        return tuple(self.terms)

    def plus(self, other: Sum, times: Fraction = Fraction(1)) -> Sum:
        """Add another sum, times a factor.

        Examples
        --------
        >>> one = Sum({"a": Fraction(1)}, Fraction(1))
        >>> one.plus(one, Fraction(-1))
        Sum(terms={}, constant=Fraction(0, 1))
        """
        terms = dict(self.terms)
        for name, factor in other.terms.items():
            terms[name] = terms.get(name, Fraction(0)) + times * factor
        kept = {name: factor for name, factor in terms.items() if factor}
        return Sum(kept, self.constant + times * other.constant)


class Ratio(Struct, frozen=True):
    """One metric divided by another."""

    numerator: str
    denominator: str

    @property
    def names(self) -> tuple[str, ...]:
        """The metrics it reads."""
        return (self.numerator, self.denominator)


def parse_formula(text: str, known: Iterable[str]) -> Sum | Ratio:
    """Read a formula.

    Parameters
    ----------
    text : str
        As it is written in the project file.
    known : iterable of str
        The metrics that may be named.

    Raises
    ------
    ValueError
        If it is no such formula: what was found, and what would be right.

    Examples
    --------
    >>> parse_formula("revenue / orders", ["revenue", "orders"])
    Ratio(numerator='revenue', denominator='orders')
    >>> parse_formula("margin - 2 * (orders - 1)", ["margin", "orders"]).terms["orders"]
    Fraction(-2, 1)
    """
    names = list(known)
    tree = tree_of(text, "formula").unnest()
    try:
        if isinstance(tree, exp.Div):
            sides = (tree.this.unnest(), tree.expression.unnest())
            if not isinstance(sides[1], exp.Literal):
                return Ratio(*(_divided(side, names) for side in sides))
        return _sum(tree, names)
    except RecursionError:
        raise ValueError("too many parts in one another: write it shorter") from None


def _divided(side: Any, names: list[str]) -> str:
    if not isinstance(side, exp.Column):
        found = side.sql("duckdb")
        raise ValueError(f"only a metric is divided by a metric: give {found!r} a name of its own")
    return _named(side, names)


def _named(column: exp.Column, names: list[str]) -> str:
    name = full_name(column)
    if name not in names:
        raise ValueError(f"there is no metric {name!r}: {did_you_mean(name, names)}")
    return name


def _sum(found: Any, names: list[str]) -> Sum:
    if isinstance(found, exp.Paren):
        return _sum(found.this, names)
    if isinstance(found, exp.Column):
        return Sum({_named(found, names): Fraction(1)})
    if isinstance(found, exp.Literal) and not found.is_string:
        return Sum({}, Fraction(found.this))
    if isinstance(found, exp.Neg):
        return Sum({}).plus(_sum(found.this, names), Fraction(-1))
    if isinstance(found, exp.Add):
        return _sum(found.this, names).plus(_sum(found.expression, names))
    if isinstance(found, exp.Sub):
        return _sum(found.this, names).plus(_sum(found.expression, names), Fraction(-1))
    if isinstance(found, exp.Mul | exp.Div):
        return _scaled(found, _sum(found.this, names), _sum(found.expression, names))
    raise ValueError(f"{found.sql('duckdb')} is no sum of metrics")


def _scaled(found: Any, one: Sum, other: Sum) -> Sum:
    if isinstance(found, exp.Div):
        if other.terms or not other.constant:
            raise ValueError(f"{found.sql('duckdb')}: only a whole formula is divided by a metric")
        return Sum({}).plus(one, 1 / other.constant)
    if one.terms and other.terms:
        raise ValueError(f"{found.sql('duckdb')} multiplies metrics: the sum of customers does not")
    if one.terms:
        return Sum({}).plus(one, other.constant)
    return Sum({}).plus(other, one.constant)


def formula_of(metrics: Mapping[str, MetricDefinition], name: str) -> Sum | Ratio:
    """Return what a metric is reckoned from; of one that has no formula, itself.

    Raises
    ------
    ValueError
        As of `parse_formula`.
    """
    formula = metrics[name].formula
    if formula is None:
        return Sum({name: Fraction(1)})
    return parse_formula(formula, metrics)


def flattened(metrics: Mapping[str, MetricDefinition], name: str) -> Sum:
    """Return a sum as one over metrics that have no formula.

    Raises
    ------
    ValueError
        If a ratio is among what it adds up.

    Examples
    --------
    >>> metrics = {"a": MetricDefinition("", "e"), "b": MetricDefinition("", formula="2 * a + 1"),
    ...     "c": MetricDefinition("", formula="a - b")}
    >>> flattened(metrics, "c")
    Sum(terms={'a': Fraction(-1, 1)}, constant=Fraction(-1, 1))
    """
    found = formula_of(metrics, name)
    if isinstance(found, Ratio):
        raise ValueError(f"{name!r} is a ratio, which cannot be added up")
    if metrics[name].formula is None:
        return found
    total = Sum({}, found.constant)
    for part, factor in found.terms.items():
        total = total.plus(flattened(metrics, part), factor)
    return total

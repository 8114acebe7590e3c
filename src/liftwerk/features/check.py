"""Declared bounds, checked in one scan over the values, before a model or a decision sees them.

A value outside its bounds is a fault of the data or of the declaration, and which of the two it is
no program can know. So the run stops with one line: a model that learned from such values would be
wrong without saying so. A missing value breaks no bound; a NaN breaks every one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import pyarrow as pa
from msgspec import Struct

from liftwerk.errors import DefinitionError, Refused
from liftwerk.events.engine import connect, quoted
from liftwerk.features.definition import FeatureDefinition

Bound = Literal["minimum", "maximum"]


class Violation(Struct, frozen=True):
    """Values of a feature beyond one of its declared bounds.

    Attributes
    ----------
    feature : str
        The feature.
    bound : str
        ``minimum`` or ``maximum``.
    limit : float
        What was declared.
    rows : int
        How many values are beyond it.
    of : int
        Among how many that are known.
    worst : float
        The one furthest beyond.
    """

    feature: str
    bound: Bound
    limit: float
    rows: int
    of: int
    worst: float


def violations(values: pa.Table, features: Mapping[str, FeatureDefinition]) -> list[Violation]:
    """Find the values that break a declared bound.

    Parameters
    ----------
    values : pyarrow.Table
        One column a feature; others are left alone.
    features : mapping of str to FeatureDefinition
        Whose bounds are checked.

    Returns
    -------
    list of Violation
        In the order of the features, minimum before maximum; empty when all hold.

    Raises
    ------
    DefinitionError
        If a bound is declared for a feature whose values are no numbers.

    Examples
    --------
    >>> from liftwerk.features.definition import FeatureChecks
    >>> spend = FeatureDefinition("customer", "order", "sum", checks=FeatureChecks(minimum=0))
    >>> violations(pa.table({"spend": [3.0, -2.0, None]}), {"spend": spend})
    [Violation(feature='spend', bound='minimum', limit=0.0, rows=1, of=2, worst=-2.0)]
    """
    bounds: list[tuple[str, Bound, float]] = []
    columns: list[str] = []
    for name, feature in features.items():
        if feature.checks.minimum is not None:
            bounds.append((name, "minimum", feature.checks.minimum))
            columns += _beyond(values, name, "<", "min", feature.checks.minimum)
        if feature.checks.maximum is not None:
            bounds.append((name, "maximum", feature.checks.maximum))
            columns += _beyond(values, name, ">", "max", feature.checks.maximum)
    if not bounds:
        return []
    with connect() as connection:
        connection.register("_values", values)
        (row,) = connection.sql(f"SELECT {', '.join(columns)} FROM _values").fetchall()
    found = []
    for place, (name, bound, limit) in enumerate(bounds):
        rows, known, worst_value = row[3 * place : 3 * place + 3]
        if rows > 0:
            found.append(Violation(name, bound, float(limit), rows, known, worst_value))
    return found


def _beyond(values: pa.Table, name: str, sign: str, worst: str, limit: float) -> list[str]:
    """Write one bound as SQL: how many are beyond it, how many are known, and the worst."""
    type_ = values.schema.field(name).type
    if not (pa.types.is_integer(type_) or pa.types.is_floating(type_)):
        what = f"{name} has bounds, and its values are no numbers but {type_}"
        raise DefinitionError(what, f"features.{name}.checks", "leave the bounds out")
    number = f"CAST({quoted(name)} AS DOUBLE)"
    beyond = f"{number} {sign} {limit!r} OR isnan({number})"
    return [
        f"count(*) FILTER (WHERE {beyond})",
        f"count({number})",
        f"{worst}({number}) FILTER (WHERE {beyond})",
    ]


def check_features(values: pa.Table, features: Mapping[str, FeatureDefinition]) -> None:
    """Refuse to go on with values that break a declared bound.

    Parameters
    ----------
    values : pyarrow.Table
        One column a feature.
    features : mapping of str to FeatureDefinition
        Whose bounds are checked.

    Raises
    ------
    Refused
        One line about the first violation, naming the feature, the bound and how many.
    """
    found = violations(values, features)
    if not found:
        return
    first = found[0]
    more = ""
    if len(found) > 1:
        more = f" (and {len(found) - 1} more)"
    raise Refused(
        f"{first.feature} is beyond its {first.bound} {first.limit:g} in {first.rows} of "
        f"{first.of} values, the worst {first.worst:g}{more}",
        f"features.{first.feature}.checks",
        f"correct the events, or declare another {first.bound}",
    )

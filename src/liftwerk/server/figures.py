"""Every figure of the report as a table: shown beside its chart, and given as CSV.

A chart and its table are made from the same rows, so that they cannot disagree.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from liftwerk.server import format as fmt
from liftwerk.server import words

ESTIMATORS = (
    ("dr", "Doubly robust"),
    ("ips", "Inverse probability (IPS)"),
    ("snips", "Self-normalised IPS"),
    ("dm", "Direct method"),
)
"""The four ways of evaluating a policy; the first is the one that is quoted."""


@dataclass(frozen=True)
class Column:
    """A column: its key in the CSV, its heading for people, and how a cell is written."""

    key: str
    heading: str
    write: Callable[[Any], str]
    numeric: bool = True


@dataclass(frozen=True)
class Table:
    """A figure as rows."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]

    def cells(self) -> Iterator[list[tuple[str, bool]]]:
        """Give the rows as people read them, each cell with whether it is a number."""
        for row in self.rows:
            pairs = zip(self.columns, row, strict=True)
            yield [(_written(column, value), column.numeric) for column, value in pairs]

    def csv(self) -> str:
        """Write the rows as CSV (RFC 4180), numbers unrounded, an unknown as an empty cell."""
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow([column.key for column in self.columns])
        writer.writerows(self.rows)
        return out.getvalue()


def _written(column: Column, value: Any) -> str:
    if value is None:
        return "unknown"
    return column.write(value)


def effect(unit: str, digits: int | None = None) -> Callable[[Any], str]:
    """Return a writer of effects in `unit`."""
    return lambda value: fmt.quantity(value, unit, digits)


def in_money(currency: str, digits: int, sign: bool = False) -> Callable[[Any], str]:
    """Return a writer of amounts of money."""
    return lambda value: fmt.money(value, currency, digits, sign=sign)


def effect_digits(unit: str, values: Sequence[float]) -> int:
    """Choose decimals for effects that are read together.

    Examples
    --------
    >>> effect_digits("share", [0.0431, 0.002]), effect_digits("USD", [0.42])
    (2, 3)
    """
    if unit == "share":
        return max(1, fmt.decimals([100 * value for value in values]) - 1)
    return fmt.decimals(values)


def tables(document: Mapping[str, Any], charts: Mapping[str, Any]) -> dict[str, Table]:
    """Make all tables of a report, by name.

    Parameters
    ----------
    document, charts : mapping
        A `liftwerk.server.source.Report`'s two parts.
    """
    currency = charts["project"]["currency"]
    made = [policies(document, charts, currency), differences(document, charts, currency)]
    for action, outcomes in charts.get("qini", {}).items():
        for outcome, curve in outcomes.items():
            if "share" in curve:
                made.append(qini(action, outcome, curve, charts))
    for action, outcomes in charts.get("deciles", {}).items():
        for outcome, deciles in outcomes.items():
            if isinstance(deciles, list):
                made.append(by_decile(action, outcome, deciles, charts))
    curve = charts.get("profit_curve", {})
    if "share" in curve:
        made.append(profit(curve, currency))
        made.append(profit_marks(curve, charts, currency))
    return {table.name: table for table in made}


def policies(document: Mapping[str, Any], charts: Mapping[str, Any], currency: str) -> Table:
    """Make the table of policies, a row for each policy and estimator."""
    figures = document["policies"]
    digits = fmt.figure_digits(entry.get("dr") for entry in figures.values())
    columns = (
        Column("policy", "Policy", str, numeric=False),
        Column("estimator", "Estimator", str, numeric=False),
        Column("value", "A customer", in_money(currency, digits)),
        Column("low", "Low", in_money(currency, digits)),
        Column("high", "High", in_money(currency, digits)),
        Column("treated_share", "Treated", fmt.share),
    )
    rows = []
    for name, entry in figures.items():
        label = words.policy_label(name, charts)
        for key, title in ESTIMATORS:
            figure = entry.get(key)
            rows.append((label, title, *_numbers(figure), entry.get("treated_share")))
    return Table("policies", "Value of each policy", columns, tuple(rows))


def differences(document: Mapping[str, Any], charts: Mapping[str, Any], currency: str) -> Table:
    """Make the table of the learned policy's differences to the others."""
    figures = document["differences"]
    digits = fmt.figure_digits(figures.values())
    columns = (
        Column("against", "Against", str, numeric=False),
        Column("value", "More a customer", in_money(currency, digits, sign=True)),
        Column("low", "Low", in_money(currency, digits, sign=True)),
        Column("high", "High", in_money(currency, digits, sign=True)),
    )
    rows = tuple(
        (words.policy_label(name, charts), *_numbers(figure)) for name, figure in figures.items()
    )
    return Table("differences", "Chosen per customer, less each other policy", columns, rows)


def qini(action: str, outcome: str, curve: Mapping[str, Any], charts: Mapping[str, Any]) -> Table:
    """Make the table of a Qini curve, with the straight line of choosing by lot."""
    unit = curve["unit"]
    write = effect(unit, effect_digits(unit, [*curve["low"], *curve["high"]]))
    last = curve["gain"][-1]
    end = curve["share"][-1]
    columns = (
        Column("share", "Treated", fmt.share),
        Column("gain", "Gain", write),
        Column("low", "Low", write),
        Column("high", "High", write),
        Column("by_lot", "By lot", write),
    )
    points = zip(curve["share"], curve["gain"], curve["low"], curve["high"], strict=True)
    rows = tuple((*point, last * point[0] / end) for point in points)
    title = f"Qini curve: {action_label(action, charts)}, {outcome}"
    return Table(f"qini-{action}-{outcome}", title, columns, rows)


def by_decile(
    action: str, outcome: str, deciles: Sequence[Mapping[str, Any]], charts: Mapping[str, Any]
) -> Table:
    """Make the table of uplift by decile, predicted against observed."""
    unit = unit_of(action, outcome, charts)
    values = [row[key] for row in deciles for key in ("low", "high")]
    write = effect(unit, effect_digits(unit, values))
    columns = (
        Column("decile", "Decile", str),
        Column("n", "Customers", fmt.number),
        Column("predicted", "Predicted", write),
        Column("observed", "Observed", write),
        Column("low", "Low", write),
        Column("high", "High", write),
    )
    keys = [column.key for column in columns]
    rows = tuple(tuple(row[key] for key in keys) for row in deciles)
    title = f"Uplift by decile: {action_label(action, charts)}, {outcome}"
    return Table(f"deciles-{action}-{outcome}", title, columns, rows)


def profit(curve: Mapping[str, Any], currency: str) -> Table:
    """Make the table of profit against the share that is treated."""
    digits = fmt.decimals([*curve["low"], *curve["high"]])
    write = in_money(currency, digits)
    columns = (
        Column("share", "Treated", fmt.share),
        Column("value", "A customer", write),
        Column("low", "Low", write),
        Column("high", "High", write),
    )
    rows = tuple(zip(curve["share"], curve["value"], curve["low"], curve["high"], strict=True))
    return Table("profit-curve", "Profit against share treated", columns, rows)


def profit_marks(curve: Mapping[str, Any], charts: Mapping[str, Any], currency: str) -> Table:
    """Make the table of the policies that are marked on the profit curve."""
    columns = (
        Column("policy", "Policy", str, numeric=False),
        Column("share", "Treated", fmt.share),
        Column("value", "A customer", in_money(currency, fmt.decimals(curve["value"]))),
    )
    rows = tuple(
        (words.policy_label(name, charts), place[0], place[1])
        for name, place in curve.get("marks", {}).items()
    )
    return Table("profit-marks", "Where the policies stand", columns, rows)


def action_label(action: str, charts: Mapping[str, Any]) -> str:
    """Name an action for people."""
    return str(charts.get("labels", {}).get(action, action.replace("_", " ")))


def unit_of(action: str, outcome: str, charts: Mapping[str, Any]) -> str:
    """Read an outcome's unit off its Qini curve: ``share``, or a currency."""
    curve = charts.get("qini", {}).get(action, {}).get(outcome, {})
    return str(curve.get("unit", "share"))


def _numbers(figure: Mapping[str, Any] | None) -> tuple[float | None, ...]:
    if figure is None or fmt.is_unknown(figure):
        return (None, None, None)
    return (figure["value"], figure["low"], figure["high"])

"""What only a geo test or a switchback has, as its page shows it: pictures, answers and tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from liftwerk.experiments.geo.results import CellReading, GeoReading
from liftwerk.experiments.switchback.read import ArmReading
from liftwerk.experiments.switchback.read import Reading as SwitchbackReading
from liftwerk.server import format as fmt
from liftwerk.server import geo_figures, turn_figures
from liftwerk.server.figures import Column, Table
from liftwerk.stats import Estimate, Unknown

Json: TypeAlias = dict[str, Any]
Figure: TypeAlias = Estimate | Unknown

ANSWERS = "answers"


def parts(reading: Mapping[str, Any], by_metric: Mapping[str, Any]) -> list[Json]:
    """Lay out each metric of a reading: of a geo test each cell, of a switchback its turns.

    Parameters
    ----------
    reading : mapping
        A `liftwerk.experiments.reading.Reading`, as plain values.
    by_metric : mapping of str to GeoReading or switchback Reading

    Returns
    -------
    list of dict
        ``metric``, ``title``, ``pictures`` (wide and narrow), ``answers`` (name, amount, ends) and
        ``tables``.
    """
    labels = {arm["arm"]: arm["label"] for arm in reading["arms"]}
    compared = {one["metric"]: one for one in reading["comparisons"]}
    made = []
    for metric, found in by_metric.items():
        if isinstance(found, GeoReading):
            made += [
                _cell(metric, cell, labels[cell.cell], compared[metric]["unit"])
                for cell in found.cells
            ]
        else:
            one = compared[metric]
            whose = fmt.whose_difference(one["kind"], reading["unit"])
            made.append(_turns(metric, found, labels, one["unit"], whose))
    return made


def tables(reading: Mapping[str, Any], by_metric: Mapping[str, Any]) -> dict[str, Table]:
    """Make every table of what only its design has, by name."""
    laid_out = parts(reading, by_metric)
    made = {table.name: table for part in laid_out for table in part["tables"]}
    return {ANSWERS: _answers(laid_out), **made}


def _cell(metric: str, cell: CellReading, label: str, unit: str) -> Json:
    figures: list[tuple[str, Figure | None, str]] = [
        ("a market and day", cell.effect, unit),
        ("in all markets and days", cell.incremental, unit),
        ("as a part of what would have been", cell.lift, "part"),
        ("for each unit of money spent", cell.roas, ""),
        ("a market and day, second opinion", cell.second, unit),
    ]
    named = f"{metric}-{cell.cell}"
    days = replace(geo_figures.table(cell), name=f"days-{named}", title="Day by day")
    donors = replace(geo_figures.donors(cell), name=f"donors-{named}", title=_DONORS)
    return {
        "metric": metric,
        "title": f"{metric}, {label}, day by day",
        "about": _markets(cell),
        "pictures": [geo_figures.picture(cell, width) for width in _WIDTHS],
        "answers": _written(figures),
        "p_value": cell.p_value,
        "rows": [(metric, cell.cell, name, figure) for name, figure, _ in figures],
        "tables": [days, donors],
        "note": "",
    }


def _turns(
    metric: str, found: SwitchbackReading, labels: Mapping[str, str], unit: str, whose: str
) -> Json:
    figures: list[tuple[str, Figure | None, str]] = []
    rows: list[tuple[str, str, str, Figure | None]] = []
    for arm in found.arms:
        for name, figure in _of_arm(arm, whose):
            called = name
            if len(found.arms) > 1:
                called = f"{labels[arm.arm]}: {name}"
            figures.append((called, figure, unit))
            rows.append((metric, arm.arm, name, figure))
    named = replace(turn_figures.table(found, labels), name=f"turns-{metric}")
    carried = [turn_figures.carried(arm) for arm in found.arms]
    left = len(found.turns) - len(turn_figures.shown(found))
    note = ""
    if left:
        note = f"{fmt.number(left)} earlier blocks are in the table."
    return {
        "metric": metric,
        "title": f"{metric}, block by block",
        "about": f"{fmt.number(len(found.turns))} blocks, {fmt.number(found.periods)} periods",
        "pictures": [turn_figures.picture(found, labels, width) for width in _WIDTHS],
        "answers": _written(figures),
        "p_value": found.arms[0].effect.p_value if len(found.arms) == 1 else None,
        "rows": rows,
        "tables": [
            named,
            *(
                replace(
                    table,
                    name=f"carried-{metric}-{arm.arm}",
                    title=f"{table.title}, where it was {labels[arm.arm]}",
                )
                for table, arm in zip(carried, found.arms, strict=True)
                if table.rows
            ),
        ],
        "note": note,
    }


_DONORS = "The other markets that it is made of"
_WIDTHS = (geo_figures.WIDE, geo_figures.NARROW)


def _of_arm(arm: ArmReading, whose: str) -> list[tuple[str, Figure]]:
    named = whose or "added"
    return [
        (named, arm.effect.estimate),
        (f"{named}, second opinion", arm.second_opinion),
    ]


def _markets(cell: CellReading) -> str:
    named = ", ".join(cell.markets)
    beside = f"{len(cell.weights)} other markets say what would have been there"
    return f"{named}; {beside}"


def _written(figures: list[tuple[str, Figure | None, str]]) -> list[Json]:
    """Write figures for people; what is not known because no cost is, is left out."""
    made = []
    for name, figure, unit in figures:
        if figure is None:
            continue
        if isinstance(figure, Unknown):
            why = f"because {figure.reason}; it would take {figure.needs}"
            made.append({"name": name, "amount": None, "why": why})
            continue
        ends = (figure.value, figure.low, figure.high)
        if unit == "part":
            value, low, high = (f"{fmt.number(100 * end, 1, sign=True)}%" for end in ends)
        else:
            digits = fmt.decimals(ends)
            value = fmt.quantity(ends[0], unit, digits)
            low, high = (fmt.number(end, digits, sign=True) for end in ends[1:])
        made.append({"name": name, "amount": value, "ends": f"between {low} and {high}"})
    return made


def _answers(laid_out: list[Json]) -> Table:
    """Make the table of all figures."""
    columns = (
        Column("metric", "Metric", str, numeric=False),
        Column("arm", "Arm", str, numeric=False),
        Column("figure", "Added", str, numeric=False),
        *(Column(key, key.capitalize(), _bare) for key in ("value", "low", "high")),
        Column("method", "Method", str, numeric=False),
    )
    rows: list[tuple[Any, ...]] = []
    for part in laid_out:
        for metric, arm, name, figure in part["rows"]:
            if isinstance(figure, Estimate):
                ends = (figure.value, figure.low, figure.high)
                rows.append((metric, arm, name, *ends, figure.method))
            elif isinstance(figure, Unknown):
                rows.append((metric, arm, name, None, None, None, "unknown"))
    return Table(ANSWERS, "What was added, in all its figures", columns, tuple(rows))


def _bare(value: float) -> str:
    return fmt.number(value, fmt.decimals([value]))

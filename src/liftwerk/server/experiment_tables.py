"""Every figure of a reading, and of the holdout, as a table: shown on the page, given as CSV."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from liftwerk.server import format as fmt
from liftwerk.server.figures import Column, Table

Json = Mapping[str, Any]


def tables(reading: Json) -> dict[str, Table]:
    """Make all tables of a reading, by name.

    Parameters
    ----------
    reading : mapping
        A `liftwerk.experiments.reading.Reading`, as plain values.
    """
    made = [
        arms(reading),
        comparisons("metrics", "All units, as they were assigned", reading["comparisons"]),
        comparisons("exposed", "Only units that met their arm", reading["exposed"]),
        segments(reading),
        *looks(reading),
    ]
    return {table.name: table for table in made}


def arms(reading: Json) -> Table:
    """Make the table of units by arm."""
    columns = (
        Column("arm", "Arm", str, numeric=False),
        Column("share", "Declared part", fmt.share),
        Column("units", "Assigned", fmt.number),
        Column("matured", "Matured", fmt.number),
        Column("exposed", "Met it", fmt.number),
    )
    keys = [column.key for column in columns]
    rows = tuple(tuple(row[key] for key in keys) for row in reading["arms"])
    return Table("arms", "Units by arm", columns, rows)


def comparisons(name: str, title: str, found: Iterable[Json]) -> Table:
    """Make the table of metrics by arm."""
    columns = (
        Column("metric", "Metric", str, numeric=False),
        Column("arm", "Arm", str, numeric=False),
        *_COMPARED,
    )
    rows = tuple((one["metric"], one["arm"], *_compared(one)) for one in found)
    return Table(name, title, columns, rows)


def segments(reading: Json) -> Table:
    """Make the table of the breakdown."""
    columns = (
        Column("feature", "Feature", str, numeric=False),
        Column("value", "Value", str, numeric=False),
        Column("units", "Units", fmt.number),
        Column("metric", "Metric", str, numeric=False),
        Column("arm", "Arm", str, numeric=False),
        *_COMPARED,
    )
    rows = tuple(
        (
            part["feature"],
            part["value"],
            part["units"],
            one["metric"],
            one["arm"],
            *_compared(one),
        )
        for part in reading["segments"]
        for one in part["comparisons"]
    )
    return Table("segments", "By segment", columns, rows)


def looks(reading: Json) -> list[Table]:
    """Make a table of what each day showed, for each metric and arm."""
    made = []
    for one in reading["comparisons"]:
        write = effect(one["unit"])
        columns = (
            Column("day", "Day", str, numeric=False),
            Column("units", "Units", fmt.number),
            Column("value", "Difference", write),
            Column("low", "Low", write),
            Column("high", "High", write),
        )
        rows = tuple(
            (point["day"], point["units"], *numbers(point["figure"]))
            for point in points(reading, one["metric"], one["arm"])
        )
        if rows:
            title = f"{one['metric']} of {one['arm']}, day by day"
            made.append(Table(f"looks-{one['metric']}-{one['arm']}", title, columns, rows))
    return made


def kept(effects: Iterable[Json]) -> Table:
    """Make the table of what the effect register holds of an experiment."""
    columns = (
        Column("subject", "Of", str, numeric=False),
        Column("metric", "Metric", str, numeric=False),
        Column("value", "Adds", _bare),
        Column("low", "Low", _bare),
        Column("high", "High", _bare),
        Column("unit", "Unit", str, numeric=False),
        Column("start", "From", fmt.moment, numeric=False),
        Column("end", "Until", fmt.moment, numeric=False),
        Column("age_seconds", "Age", fmt.delay),
        Column("method", "Method", str, numeric=False),
    )
    rows = tuple(
        (
            one["subject"],
            one["metric"],
            *numbers(one["estimate"]),
            *(one[key] for key in ("unit", "start", "end", "age_seconds", "method")),
        )
        for one in effects
    )
    return Table("effects", "Kept in the effect register", columns, rows)


def points(reading: Json, metric: str, arm: str) -> list[dict[str, Any]]:
    """Return what each look showed of one metric and arm, oldest first."""
    return [
        {"day": look["day"], "units": look["units"], "figure": seen["absolute"]}
        for look in reading["looks"]
        for seen in look["seen"]
        if (seen["metric"], seen["arm"]) == (metric, arm)
    ]


def weeks(found: Json, subject: str, parts: Iterable[Json]) -> Table:
    """Make the table of a holdout's weeks: of the whole programme, or of one policy.

    Parameters
    ----------
    found : mapping
        Says the ``currency``.
    subject : str
        ``programme``, or ``policy-NAME``.
    parts : iterable of mapping
        The weeks, oldest first.
    """
    write = effect(found["currency"])
    columns = (
        Column("start", "Week from", str, numeric=False),
        Column("end", "to", str, numeric=False),
        Column("treated", "In the programme", fmt.number),
        Column("held_out", "Held out", fmt.number),
        Column("value", "Increment", write),
        Column("low", "Low", write),
        Column("high", "High", write),
        Column("last_click", "Last click claims", write),
    )
    rows = tuple(
        (
            week["start"],
            week["end"],
            week["treated"],
            week["held_out"],
            *numbers(week["increment"]),
            week["last_click"],
        )
        for week in parts
    )
    return Table(f"weeks-{subject}", f"Weekly increment: {subject}", columns, rows)


def effect(unit: str) -> Callable[[Any], str]:
    """Return a writer of effects in a unit."""
    return lambda value: fmt.quantity(value, unit)


def numbers(figure: Json | None) -> tuple[float | None, float | None, float | None]:
    """Take value, low and high of a figure; all None where it is unknown."""
    if figure is None or fmt.is_unknown(figure):
        return (None, None, None)
    return (figure["value"], figure["low"], figure["high"])


def _bare(value: Any) -> str:
    return fmt.number(value, fmt.decimals([value]))


def _probability(value: float) -> str:
    """Write a p-value.

    Examples
    --------
    >>> _probability(0.0312), _probability(0.00001)
    ('0.031', '<0.001')
    """
    if value < 0.001:
        return "<0.001"
    return fmt.number(value, 3)


_COMPARED = (
    Column("unit", "Unit", str, numeric=False),
    Column("control", "Control", _bare),
    Column("treated", "Treated", _bare),
    Column("value", "Difference", _bare),
    Column("low", "Low", _bare),
    Column("high", "High", _bare),
    Column("relative", "Relative", fmt.share),
    Column("relative_low", "Relative low", fmt.share),
    Column("relative_high", "Relative high", fmt.share),
    Column("p_value", "p", _probability),
    Column("adjusted", "p, adjusted", _probability),
    Column("answer", "Answer", str, numeric=False),
)


def _compared(one: Json) -> tuple[Any, ...]:
    return (
        one["unit"],
        one["control"],
        one["treated"],
        *numbers(one["absolute"]),
        *numbers(one["relative"]),
        one["p_value"],
        one["adjusted"],
        one["answer"],
    )


def probability(value: float | None) -> str:
    """Write a p-value, or a dash.

    Examples
    --------
    >>> probability(None), probability(0.5)
    ('–', '0.500')
    """
    if value is None:
        return "–"
    return _probability(value)

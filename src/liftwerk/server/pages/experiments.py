"""Experiments: the list, one of them, and the global holdout week by week."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from liftwerk.errors import UnknownName, did_you_mean
from liftwerk.experiments.verdict import SPOILS
from liftwerk.server import experiment_tables, intervals, once
from liftwerk.server import format as fmt
from liftwerk.server.figures import Table
from liftwerk.server.reading import Reader
from liftwerk.server.render import page
from liftwerk.server.sequence import drawing

Json = dict[str, Any]

DESIGNS = {
    "ab": "A/B test",
    "holdout": "Holdout",
    "switchback": "Switchback",
    "geo": "Geo lift",
}
"""What the designs are called."""

_UNITS = (
    "All units as they were assigned, whether they met their arm or not; p and answer are "
    "corrected for the number of questions (Holm)."
)
_QUESTIONS = (
    "Each interval is of its own question; p and answer are corrected for the number of questions "
    "(Holm)."
)

ABOUT = {
    "ab": _UNITS,
    "holdout": _UNITS,
    "switchback": f"Settled periods with the arm beside those with control. {_QUESTIONS}",
    "geo": f"What was seen, beside what the other markets say would have been. {_QUESTIONS}",
}
"""Design -> what is compared."""


@get("/experiments", include_in_schema=False)
async def experiments_page(reader: NamedDependency[Reader]) -> Response[str]:
    """List the declared experiments and where each stands."""
    found = await reader.ask(lambda source: source.experiments())
    return page("experiments.html", here="/experiments", rows=found, designs=DESIGNS)


@get("/experiments/{name:str}", include_in_schema=False)
async def experiment_page(reader: NamedDependency[Reader], name: FromPath[str]) -> Response[str]:
    """Show one experiment: the verdict first, then what it rests on."""
    found = await reader.ask(lambda source: source.experiment(name))
    reading = found["reading"]
    shown: Json = {"parts": []}
    if reading is not None:
        shown |= view(reading)
    if found["by_metric"] is not None:
        shown["parts"] = once.parts(reading, found["by_metric"])
        shown["tables"] |= once.tables(reading, found["by_metric"])
    return page(
        "experiment.html",
        here="/experiments",
        found=found,
        reading=reading,
        design=DESIGNS[found["design"]],
        kept=experiment_tables.kept(found["effects"]),
        ABOUT=ABOUT,
        probability=experiment_tables.probability,
        **shown,
    )


@get("/holdout", include_in_schema=False)
async def holdout_page(reader: NamedDependency[Reader]) -> Response[str]:
    """Show what the whole programme adds, week by week, and what last click claims."""
    found = await reader.ask(lambda source: source.holdout())
    parts = [_subject(one, found) for one in found.get("subjects", [])]
    return page("holdout.html", here="/experiments", found=found, parts=parts)


@get("/v1/experiments/{name:str}/{figure:str}", include_in_schema=False, media_type="text/csv")
async def experiment_figure(
    reader: NamedDependency[Reader], name: FromPath[str], figure: FromPath[str]
) -> Response[str]:
    """Give the rows of one figure of an experiment's reading."""
    found = await reader.ask(lambda source: source.experiment(name))
    made: dict[str, Table] = {}
    if found["reading"] is not None:
        made = experiment_tables.tables(found["reading"])
    if found["by_metric"] is not None:
        made |= once.tables(found["reading"], found["by_metric"])
    if found["effects"]:
        made["effects"] = experiment_tables.kept(found["effects"])
    return _csv(made, figure, name)


@get("/v1/holdout/{figure:str}", include_in_schema=False, media_type="text/csv")
async def holdout_figure(reader: NamedDependency[Reader], figure: FromPath[str]) -> Response[str]:
    """Give the weeks of the programme, or of a policy."""
    found = await reader.ask(lambda source: source.holdout())
    made = [_weeks(one, found) for one in found.get("subjects", [])]
    return _csv({table.name: table for table in made}, figure, "holdout")


def view(reading: Mapping[str, Any]) -> Json:
    """Lay a reading out for its template.

    Parameters
    ----------
    reading : mapping
        A `liftwerk.experiments.reading.Reading`, as plain values.
    """
    labels = {arm["arm"]: arm["label"] for arm in reading["arms"]}
    made = experiment_tables.tables(reading)
    return {
        "labels": labels,
        "metrics": _by_metric(reading["comparisons"], labels, reading["unit"]),
        "exposed": _by_metric(reading["exposed"], labels, reading["unit"]),
        "segments": _by_feature(reading["segments"], labels, reading["unit"]),
        "sequences": _sequences(reading, labels, made),
        "tables": made,
        "checks": [_check(check) for check in reading["checks"]],
    }


def _check(check: Mapping[str, Any]) -> Json:
    """Tell an alarm that does not spoil the answer as a warning."""
    shown = check["state"]
    if shown == "alarm" and check["name"] not in SPOILS:
        shown = "warning"
    return {**check, "shown": shown}


def _by_metric(
    found: Iterable[Mapping[str, Any]], labels: Mapping[str, str], unit: str
) -> list[Json]:
    """Group comparisons by their metric; each group has an axis of its own."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for one in found:
        groups.setdefault(one["metric"], []).append(one)
    made = []
    for metric, ones in groups.items():
        axis = _axis(ones)
        first = ones[0]
        rows = [_compared(one, axis, labels[one["arm"]]) for one in ones]
        told = {"metric": metric, "role": first["role"], **_whose(first, unit)}
        control = _mean(first["control"], first["unit"])
        made.append({**told, "control": control, "axis": axis, "zero": axis.x(0.0), "rows": rows})
    return made


def _whose(one: Mapping[str, Any], unit: str) -> Json:
    """Say whose an arm's figure is, and whose a difference."""
    return {
        "whose": fmt.whose(one["kind"], unit),
        "whose_difference": fmt.whose_difference(one["kind"], unit),
    }


def _by_feature(
    found: Iterable[Mapping[str, Any]], labels: Mapping[str, str], unit: str
) -> list[Json]:
    groups: dict[tuple[str, str], list[tuple[Mapping[str, Any], Mapping[str, Any]]]] = {}
    for part in found:
        for one in part["comparisons"]:
            groups.setdefault((part["feature"], one["metric"]), []).append((part, one))
    made = []
    for (feature, metric), pairs in groups.items():
        axis = _axis([one for _, one in pairs])
        rows = [
            {**_compared(one, axis, labels[one["arm"]]), "value": part["value"], "n": part["units"]}
            for part, one in pairs
        ]
        told = {"feature": feature, "metric": metric, **_whose(pairs[0][1], unit)}
        made.append({**told, "axis": axis, "zero": axis.x(0.0), "rows": rows})
    return made


def _axis(ones: Iterable[Mapping[str, Any]]) -> intervals.Axis:
    found = [*ones]
    figures = [_scaled(one["absolute"], one["unit"]) for one in found]
    return intervals.fit(figures, [0.0], sign=True)


def _scaled(figure: Mapping[str, Any], unit: str) -> Mapping[str, Any]:
    """Read shares in percentage points, as they are written."""
    if unit != "share" or fmt.is_unknown(figure):
        return figure
    return {key: 100 * figure[key] for key in ("value", "low", "high")}


def _compared(one: Mapping[str, Any], axis: intervals.Axis, label: str) -> Json:
    shown: Json = {**one, "label": label, "bar": axis.bar(_scaled(one["absolute"], one["unit"]))}
    shown["unknown"], shown["part"] = None, None
    shown["mean"] = _mean(one["treated"], one["unit"])
    shown["beside"] = _mean(one["control"], one["unit"])
    if fmt.is_unknown(one["absolute"]):
        shown["unknown"] = fmt.because(one["absolute"])
        return shown
    shown["amount"], shown["ends"] = _written(one["absolute"], one["unit"])
    if not fmt.is_unknown(one["relative"]):
        figure = one["relative"]
        shown["part"] = f"{fmt.number(100 * figure['value'], 1, sign=True)}%"
    return shown


def _written(figure: Mapping[str, Any], unit: str) -> tuple[str, str]:
    digits = fmt.figure_digits([figure])
    if unit == "share":
        digits = 2
    amount = fmt.quantity(figure["value"], unit, digits)
    return amount, fmt.span(figure["low"], figure["high"], unit, digits)


def _mean(value: float | None, unit: str) -> str:
    """Write an arm's own mean."""
    if value is None:
        return "–"
    if unit == "share":
        return fmt.share(value, 2)
    return fmt.quantity(value, unit, sign=False)


def _sequences(
    reading: Mapping[str, Any], labels: Mapping[str, str], made: Mapping[str, Table]
) -> list[Json]:
    """Draw each judging metric's timeline, with its table."""
    found = []
    for one in reading["comparisons"]:
        table = made.get(f"looks-{one['metric']}-{one['arm']}")
        if one["role"] != "primary" or table is None:
            continue
        title = f"{one['metric']}, {labels[one['arm']]} against control"
        points = experiment_tables.points(reading, one["metric"], one["arm"])
        drawn = drawing(points, one["unit"], title)
        why = fmt.because(points[-1]["figure"])
        unit = "percentage points" if one["unit"] == "share" else one["unit"]
        told = {"title": title, "unit": unit, "drawn": drawn, "table": table, "unknown": why}
        found.append({**told, "answer": one["answer"]})
    return found


def _subject(one: Mapping[str, Any], found: Mapping[str, Any]) -> Json:
    """Lay out the weeks of the programme, or of one policy, on one axis."""
    axis = intervals.fit([week["increment"] for week in one["weeks"]], [0.0], sign=True)
    weeks = []
    for week in one["weeks"]:
        shown: Json = {**week, "bar": axis.bar(week["increment"]), "unknown": None}
        shown["claim"] = fmt.money(week["last_click"], found["currency"], 0)
        if fmt.is_unknown(week["increment"]):
            shown["unknown"] = fmt.because(week["increment"])
        else:
            shown["amount"], shown["ends"] = _money(week["increment"], found["currency"])
        weeks.append(shown)
    told = {"axis": axis, "zero": axis.x(0.0), "table": _weeks(one, found), "total": None}
    if not fmt.is_unknown(one["total"]):
        amount, ends = _money(one["total"], found["currency"])
        told["total"] = {"amount": amount, "ends": ends}
    told["because"] = fmt.because(one["total"])
    told["claims"] = fmt.money(one["last_click"], found["currency"], 0)
    points = [{"day": week["end"], "figure": week["so_far"]} for week in one["weeks"]]
    told["drawn"] = drawing(points, found["currency"], f"{one['label']}, added so far")
    return {**one, **told, "weeks": list(reversed(weeks))}


def _money(figure: Mapping[str, Any], currency: str) -> tuple[str, str]:
    return (
        fmt.money(figure["value"], currency, 0, sign=True),
        fmt.span(figure["low"], figure["high"], currency, 0),
    )


def _weeks(one: Mapping[str, Any], found: Mapping[str, Any]) -> Table:
    return experiment_tables.weeks(found, one["subject"].replace(":", "-"), one["weeks"])


def _csv(made: Mapping[str, Table], figure: str, where: str) -> Response[str]:
    wanted = figure.removesuffix(".csv")
    if wanted not in made:
        raise UnknownName(f"no figure {wanted!r}", where, did_you_mean(wanted, made))
    return Response(
        content=made[wanted].csv(),
        media_type="text/csv",
        headers={"content-disposition": f'attachment; filename="{where}-{wanted}.csv"'},
    )

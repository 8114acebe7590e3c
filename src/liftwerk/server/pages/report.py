"""The report page: the answer first, then what it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar import Response, get
from litestar.di import NamedDependency

from liftwerk.server import drawings, figures, intervals, words
from liftwerk.server import format as fmt
from liftwerk.server.reading import Reader
from liftwerk.server.render import page

Json = dict[str, Any]


@get("/", include_in_schema=False)
async def report_page(reader: NamedDependency[Reader]) -> Response[str]:
    """Show the report, or how to get one."""
    report = await reader.ask(lambda source: source.report())
    if report is None:
        return page("no_report.html", here="/")
    return page("report.html", here="/", **view(report["document"], report["charts"]))


def view(document: Mapping[str, Any], charts: Mapping[str, Any]) -> Json:
    """Lay the report out for its template.

    Parameters
    ----------
    document, charts : mapping
        A `liftwerk.server.source.Report`'s two parts.
    """
    tables = figures.tables(document, charts)
    laid = responses(document, charts, tables)
    profit = drawn(drawings.profit(charts), charts.get("profit_curve"), tables)
    plots = [profit, *(row[key] for row in laid for key in ("curve", "deciles"))]
    return {
        "document": document,
        "charts": charts,
        "currency": charts["project"]["currency"],
        "headline": words.headline(document, charts),
        "comparisons": comparisons(document, charts),
        "policies": policies(document, charts),
        "responses": laid,
        "profit": profit,
        "drawings": [plot["drawing"] for plot in plots if plot["drawing"] is not None],
        "gate": gate(document, charts),
        "tables": tables,
    }


def comparisons(document: Mapping[str, Any], charts: Mapping[str, Any]) -> Json:
    """Lay out the two comparisons of the headline on one axis."""
    currency = charts["project"]["currency"]
    head = document.get("headline", {})
    detectable = head.get("detectable")
    against = head.get("against") or ""
    rows = [
        ("the best simple rule", against, words.headline_figure(head)),
        ("what was done", "logged", document["differences"].get("logged")),
    ]
    include = [0.0]
    if isinstance(detectable, float):
        include.extend([-detectable, detectable])
    axis = intervals.fit([row[2] for row in rows], include, sign=True)
    zone = None
    if isinstance(detectable, float):
        zone = axis.span(-detectable, 0.0, detectable)
    laid = []
    for title, name, figure in rows:
        rule = ""
        if name in document["policies"]:
            treated = fmt.share(document["policies"][name]["treated_share"])
            rule = f"{treated} treated"
            if name != "logged":
                rule = f"{words.policy_label(name, charts)}, {rule}"
        laid.append(_comparison(title, rule, figure, axis, currency))
    known = any(row["bar"].known for row in laid)
    return {"axis": axis, "zero": axis.x(0.0), "zone": zone, "rows": laid, "known": known}


def _comparison(
    title: str, rule: str, figure: Mapping[str, Any] | None, axis: intervals.Axis, currency: str
) -> Json:
    row: Json = {
        "title": title,
        "rule": rule,
        "verdict": words.verdict(figure),
        "bar": axis.bar(figure),
        "unknown": fmt.because(figure),
    }
    if figure is not None and not fmt.is_unknown(figure):
        digits = fmt.figure_digits([figure])
        row["amount"] = fmt.money(figure["value"], currency, digits, sign=True)
        row["between"] = fmt.between(figure, currency, sign=True)
        row["many"] = fmt.money(figure["value"] * fmt.MANY, currency, 0, sign=True)
        row["many_between"] = fmt.between(figure, currency, sign=True, times=fmt.MANY)
    return row


def policies(document: Mapping[str, Any], charts: Mapping[str, Any]) -> Json:
    """Lay out the table of policies on one axis: the learned one first, then by value."""
    entries = document["policies"]
    currency = charts["project"]["currency"]
    known = [entry.get(key) for entry in entries.values() for key, _ in figures.ESTIMATORS]
    axis = intervals.fit(known)
    digits = fmt.figure_digits(entry.get("dr") for entry in entries.values())
    rows = []
    for name in sorted(entries, key=lambda name: _rank(name, entries[name])):
        entry = entries[name]
        difference = document.get("differences", {}).get(name)
        rows.append(
            {
                "name": name,
                "label": words.policy_label(name, charts),
                "learned": name == "learned",
                "treated": fmt.share(entry["treated_share"]),
                "main": _value(entry.get("dr"), axis, currency, digits),
                "difference": _difference(name, difference, currency),
                "others": [
                    {"title": title, **_value(entry.get(key), axis, currency, digits)}
                    for key, title in figures.ESTIMATORS[1:]
                ],
            }
        )
    return {"axis": axis, "rows": rows}


def _rank(name: str, entry: Mapping[str, Any]) -> tuple[bool, float]:
    figure = entry.get("dr")
    if fmt.is_unknown(figure) or figure is None:
        return name != "learned", 0.0
    return name != "learned", -figure["value"]


def _value(
    figure: Mapping[str, Any] | None, axis: intervals.Axis, currency: str, digits: int
) -> Json:
    bar = axis.bar(figure)
    if figure is None or fmt.is_unknown(figure):
        return {"bar": bar, "unknown": fmt.because(figure)}
    return {
        "bar": bar,
        "value": fmt.money(figure["value"], currency, digits),
        "low": fmt.number(figure["low"], digits),
        "high": fmt.number(figure["high"], digits),
    }


def _difference(name: str, figure: Mapping[str, Any] | None, currency: str) -> Json | None:
    if name == "learned":
        return None
    row: Json = {"verdict": words.verdict(figure), "unknown": fmt.because(figure)}
    if figure is not None and not fmt.is_unknown(figure):
        digits = fmt.figure_digits([figure])
        row["value"] = fmt.money(figure["value"], currency, digits, sign=True)
        row["between"] = fmt.between(figure, currency, sign=True)
    return row


def responses(
    document: Mapping[str, Any], charts: Mapping[str, Any], tables: Mapping[str, figures.Table]
) -> list[Json]:
    """Lay out what each action does to each outcome: Qini, deciles, whether effects differ."""
    laid = []
    for outcome in _outcomes(document):
        for action, outcomes in document["uplift"].items():
            if outcome not in outcomes:
                continue
            answer = outcomes[outcome]
            said, why = words.heterogeneity(answer.get("heterogeneity"))
            curve = charts.get("qini", {}).get(action, {}).get(outcome)
            deciles = charts.get("deciles", {}).get(action, {}).get(outcome)
            qini_drawing = None
            if curve is not None:
                qini_drawing = drawings.qini(action, outcome, charts)
            decile_drawing = None
            if deciles is not None:
                decile_drawing = drawings.by_decile(action, outcome, charts)
            laid.append(
                {
                    "action": figures.action_label(action, charts),
                    "outcome": outcome,
                    "unit": unit_words(figures.unit_of(action, outcome, charts)),
                    "qini": qini_words(answer.get("qini"), action, outcome, charts),
                    "qini_verdict": words.verdict(answer.get("qini")),
                    "differs": said,
                    "why": why,
                    "curve": drawn(qini_drawing, curve, tables),
                    "deciles": drawn(decile_drawing, deciles, tables),
                }
            )
    return laid


def _outcomes(document: Mapping[str, Any]) -> list[str]:
    names: dict[str, None] = {}
    for outcomes in document.get("uplift", {}).values():
        names.update(dict.fromkeys(outcomes))
    return list(names)


def unit_words(unit: str) -> str:
    """Name an effect's unit on an axis.

    Examples
    --------
    >>> unit_words("share"), unit_words("USD")
    ('percentage points', 'USD a customer')
    """
    if unit == "share":
        return "percentage points"
    return f"{unit} a customer"


def qini_words(
    figure: Mapping[str, Any] | None, action: str, outcome: str, charts: Mapping[str, Any]
) -> str:
    """Say a Qini value with its interval."""
    if figure is None or fmt.is_unknown(figure):
        return fmt.because(figure)
    unit = figures.unit_of(action, outcome, charts)
    digits = figures.effect_digits(unit, [figure["low"], figure["high"]])
    value = fmt.quantity(figure["value"], unit, digits)
    return f"{value}, {fmt.span(figure['low'], figure['high'], unit, digits)}"


def drawn(drawing: Json | None, source: Any, tables: Mapping[str, figures.Table]) -> Json:
    """Pair a drawing with its table, or say why there is none."""
    if drawing is None:
        return {"drawing": None, "unknown": drawings.because_of(source)}
    return {"drawing": drawing, "table": tables[drawing["id"]]}


def gate(document: Mapping[str, Any], charts: Mapping[str, Any]) -> Json:
    """Lay out the gate's verdict with what it asks and what the evaluation answers."""
    said = charts.get("gate", {})
    figure = said.get("difference", document["differences"].get("logged"))
    asks, answers = words.gate(said, figure, charts["project"]["currency"])
    return {"verdict": said.get("verdict"), "asks": asks, "answers": answers}

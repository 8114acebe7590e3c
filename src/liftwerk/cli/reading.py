"""How a reading looks in a terminal: the verdict first, then figures, then whether to trust it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from liftwerk.cli import show
from liftwerk.cli.app import out
from liftwerk.server import format as fmt
from liftwerk.server import words
from liftwerk.server.experiment_tables import probability

Json = Mapping[str, Any]


def reading(found: Json) -> None:
    """Print a reading.

    Parameters
    ----------
    found : mapping
        A `liftwerk.experiments.reading.Reading`, as plain values.
    """
    verdict(found)
    labels = {arm["arm"]: arm["label"] for arm in found["arms"]}
    title = f"Differences to control, by {found['unit']} ({_how(found)})"
    _comparisons(title, found["comparisons"], labels)
    if found["exposed"]:
        out.print()
        _comparisons("Only those who met their arm", found["exposed"], labels)
    if found["segments"]:
        out.print()
        _segments(found["segments"], labels)
    out.print()
    cells = [
        [
            arm["label"],
            fmt.share(arm["share"]),
            fmt.number(arm["units"]),
            fmt.number(arm["matured"]),
            fmt.number(arm["exposed"]),
        ]
        for arm in found["arms"]
    ]
    show.table("Units", ["arm", "part#", "assigned#", "matured#", "met it#"], cells)
    out.print()
    checks(found)
    for note in found["notes"]:
        out.print(note, markup=False)


def verdict(found: Json) -> None:
    """Print what is to be done."""
    advised = found["verdict"]
    said = Text()
    said.append(show.verdict(advised["advice"]))
    said.append(f"  {advised['words']}", style="bold")
    out.print(said)
    out.print(advised["change"], markup=False)
    out.print()


def checks(found: Json) -> None:
    """Print whether the figures can be trusted."""
    rows = [[show.verdict(one["state"]), one["name"], one["words"]] for one in found["checks"]]
    show.table("Can it be trusted?", ["", "check", ""], rows)


def weeks(found: Json) -> None:
    """Print what a holdout shows, the newest week first.

    Parameters
    ----------
    found : mapping
        From `liftwerk.project.holdout.document`.
    """
    currency = found["currency"]
    out.print(found["age_words"], style="bold")
    for subject in found["subjects"]:
        out.print()
        total = f"unknown, {fmt.because(subject['total'])}"
        if not fmt.is_unknown(subject["total"]):
            total = f"{_money(subject['total'], currency)} at every look together"
        claims = fmt.money(subject["last_click"], currency, 0)
        out.print(f"{subject['label']}: added so far {total}; last click claims {claims}")
        rows = [
            [
                week["start"],
                fmt.number(week["treated"]),
                fmt.number(week["held_out"]),
                show.verdict(words.verdict(week["increment"])),
                _money(week["increment"], currency),
                fmt.money(week["last_click"], currency, 0),
            ]
            for week in reversed(subject["weeks"])
        ]
        columns = ["week from", "treated#", "held out#", "", "added", "last click claims#"]
        show.table(f"{found['metric']} of all treated together", columns, rows)


def _money(figure: Json, currency: str) -> str:
    if fmt.is_unknown(figure):
        return fmt.because(figure)
    amount = fmt.money(figure["value"], currency, 0, sign=True)
    return f"{amount}, {fmt.span(figure['low'], figure['high'], currency, 0)}"


def _how(found: Json) -> str:
    level = fmt.share(found["level"], 0)
    if found["method"] == "anytime":
        return f"{level} at every look together"
    return f"{level}, to be read once"


def _comparisons(title: str, found: Sequence[Json], labels: Mapping[str, str]) -> None:
    rows = [[one["metric"], *_cells(one, labels)] for one in found]
    columns = ["metric", "arm", "control#", "difference#", "interval", "relative#", "p#", ""]
    show.table(title, columns, rows)


def _segments(found: Sequence[Json], labels: Mapping[str, str]) -> None:
    rows = [
        [f"{part['feature']} {part['value']}", one["metric"], *_cells(one, labels)]
        for part in found
        for one in part["comparisons"]
    ]
    columns = ["segment", "metric", "arm", "control#", "difference#", "interval", "relative#"]
    show.table("By segment (corrected over all of them)", [*columns, "p#", ""], rows)


def _cells(one: Json, labels: Mapping[str, str]) -> list[str | Text]:
    arm, answer = labels[one["arm"]], show.verdict(one["answer"])
    if fmt.is_unknown(one["absolute"]):
        return [arm, "–", "unknown", fmt.because(one["absolute"]), "–", "–", answer]
    figure, unit = one["absolute"], one["unit"]
    digits = 2 if unit == "share" else fmt.figure_digits([figure])
    part = "–"
    if not fmt.is_unknown(one["relative"]):
        part = f"{fmt.number(100 * one['relative']['value'], 1, sign=True)}%"
    control = fmt.quantity(one["control"], unit, sign=False)
    if unit == "share":
        control = fmt.share(one["control"], 2)
    return [
        arm,
        control,
        fmt.quantity(figure["value"], unit, digits),
        fmt.span(figure["low"], figure["high"], unit, digits),
        part,
        probability(one["adjusted"]),
        answer,
    ]

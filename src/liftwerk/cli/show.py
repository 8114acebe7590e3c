"""How answers look in a terminal: the same words, formats and colours as the pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from liftwerk.cli.app import out
from liftwerk.server import format as fmt
from liftwerk.server import words

COLOURS = {
    "better": "green",
    "passed": "green",
    "yes": "green",
    "worse": "red",
    "failed": "red",
    "sending": "green",
    "silent": "red",
    "not checked": "yellow",
    "unclear": "yellow",
    "unknown": "yellow",
    "no": "default",
    "ok": "green",
    "alarm": "red",
    "ship": "green",
    "stop": "red",
    "keep running": "yellow",
    "do not trust": "red",
}


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under a title; a column whose name ends in ``#`` is aligned to the right."""
    grid = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for name in columns:
        justify = "left"
        if name.endswith("#"):
            justify = "right"
        grid.add_column(name.rstrip("#"), justify=justify, overflow="fold")  # type: ignore[arg-type]
    for row in rows:
        grid.add_row(*[cell if isinstance(cell, Text) else str(cell) for cell in row])
    out.print(grid)


def verdict(word: str) -> Text:
    """Colour a verdict; the word itself always says it."""
    return Text(word, style=COLOURS.get(word, "default"))


def pairs(title: str, facts: Mapping[str, object]) -> None:
    """Print names and values, one a line."""
    out.print(Text(title, style="bold"))
    width = max((len(name) for name in facts), default=0)
    for name, value in facts.items():
        line = Text("  " + name.ljust(width) + "  ")
        line.append(value if isinstance(value, Text) else str(value))
        out.print(line)


def report(document: Mapping[str, Any], charts: Mapping[str, Any]) -> None:
    """Print a run's report: the answer first, then what it rests on."""
    currency = charts["project"]["currency"]
    out.print()
    said = words.headline(document, charts)
    out.print(said.detect)
    answer = Text()
    answer.append(said.verdict, style=f"bold {COLOURS[said.verdict]}")
    answer.append(f"  {said.answer}", style="bold")
    out.print(answer)
    out.print(said.sure)
    out.print()
    _policies(document, currency)
    out.print()
    _differences(document, currency)
    out.print()
    _uplift(document, charts)
    out.print()
    gate = charts["gate"]
    gate_line = Text("Gate: ", style="bold")
    gate_line.append(verdict(gate["verdict"]))
    gate_line.append(f" ({gate['sentence']})", style="default")
    out.print(gate_line)
    counts = (
        f"{fmt.number(document['customers'])} customers, {fmt.number(document['events'])} events, "
        f"{fmt.number(document['quarantined'])} rows in quarantine"
    )
    out.print(f"Data: {counts}")
    if "proof" in charts:  # reports of older versions have none
        proof = Text("Features: ")
        proof.append(charts["proof"]["sentence"], style="" if charts["proof"]["holds"] else "red")
        out.print(proof)
    out.print(f"Release: {document['release']}   Hash: {document['reproducible_hash'][:16]}…")


def _interval(figure: Mapping[str, Any], digits: int) -> tuple[str, str]:
    if fmt.is_unknown(figure):
        return "unknown", fmt.unknown_words(figure)
    value = fmt.number(figure["value"], digits)
    low = fmt.number(figure["low"], digits)
    high = fmt.number(figure["high"], digits)
    return value, f"{low} to {high}"


def _policies(document: Mapping[str, Any], currency: str) -> None:
    figures = document["policies"]
    digits = fmt.figure_digits([figure["dr"] for figure in figures.values()])
    rows = []
    for name, figure in figures.items():
        value, interval = _interval(figure["dr"], digits)
        others = [_interval(figure[kind], digits)[0] for kind in ("ips", "snips", "dm")]
        rows.append([name, value, interval, *others, fmt.share(figure["treated_share"])])
    title = f"Margin in {currency} per customer (95% interval; DR = doubly robust)"
    table(title, ["policy", "DR#", "95%", "IPS#", "SNIPS#", "DM#", "treated#"], rows)


def _differences(document: Mapping[str, Any], currency: str) -> None:
    figures = document["differences"]
    digits = fmt.figure_digits(figures.values())
    rows = [[f"learned − {name}", *_interval(figure, digits)] for name, figure in figures.items()]
    title = f"Differences in {currency} per customer (simultaneous 95% intervals)"
    table(title, ["difference", "value#", "95%"], rows)


def _uplift(document: Mapping[str, Any], charts: Mapping[str, Any]) -> None:
    rows = []
    for action, outcomes in document["uplift"].items():
        for outcome, answer in outcomes.items():
            qini = answer["qini"]
            value, interval = _interval(qini, fmt.figure_digits([qini]))
            label = charts["labels"].get(action, action)
            rows.append([label, outcome, value, interval, verdict(_answer(answer))])
    title = "Who reacts: Qini (gain per treated customer over random targeting)"
    table(title, ["action", "outcome", "Qini#", "95%", "differs between customers?"], rows)


def _answer(answer: Mapping[str, Any]) -> str:
    found = answer["heterogeneity"]
    if isinstance(found, Mapping):
        return "unknown"
    return str(found)


def stages(rows: Iterable[Mapping[str, Any]]) -> None:
    """Print the steps of a run with their time."""
    cells = []
    for row in rows:
        done = "skipped" if row["skipped"] else "done"
        cells.append([row["name"], done, fmt.seconds(row["seconds"]), row.get("reason", "")])
    table("Steps", ["step", "", "time#", ""], cells)

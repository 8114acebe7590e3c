"""The last run's report, as Python and notebooks see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from liftwerk.decisions.show import report_html, report_svg
from liftwerk.loop import STEPS
from liftwerk.operations.run import StepResult
from liftwerk.store.stores import Stores


@dataclass(frozen=True)
class Drawing:
    """A picture that notebooks show by themselves.

    Parameters
    ----------
    svg : str
    """

    svg: str

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: Path | str) -> None:
        """Write it to a .svg file."""
        Path(path).write_text(self.svg, encoding="utf-8")


@dataclass(frozen=True)
class Report:
    """What a run found.

    Parameters
    ----------
    document : dict
        The figures, as ``--json`` prints them.
    charts : dict
        What the page draws beside them.
    """

    document: dict[str, Any]
    charts: dict[str, Any]

    def _repr_html_(self) -> str:
        return report_html(self.document, self.charts["project"]["currency"])

    def plot(self) -> Drawing:
        """Draw the policies' values with their intervals."""
        return Drawing(report_svg(self.document, self.charts["project"]["currency"]))


def report_of(stores: Stores, results: Sequence[StepResult]) -> Report:
    """Load the report of a run that has just ended, with its stages and seconds."""
    found = _load(stores, results[-1].outputs)
    stages = [{"name": one.name, "seconds": one.seconds, "skipped": one.skipped} for one in results]
    seconds = sum(one.seconds for one in results)
    return Report({**found.document, "seconds": seconds, "stages": stages}, found.charts)


def last_report(stores: Stores) -> Report | None:
    """Load the newest report with the seconds its steps took; None before the first run."""
    rows = stores.ledger.steps()
    reports = [row for row in rows if row.name == "report"]
    if not reports or not stores.artefacts.exists(reports[-1].outputs["artefacts"]["report"]):
        return None
    newest = {row.name: row for row in rows}
    stages: list[dict[str, Any]] = [
        {"name": name, "seconds": newest[name].seconds, "skipped": False}
        for name in STEPS
        if name in newest
    ]
    found = _load(stores, reports[-1].outputs)
    seconds = sum(stage["seconds"] for stage in stages)
    return Report({**found.document, "seconds": seconds, "stages": stages}, found.charts)


def _load(stores: Stores, outputs: dict[str, Any]) -> Report:
    found = msgspec.json.decode(stores.artefacts.get(outputs["artefacts"]["report"]))
    return Report(found["document"], found["charts"])

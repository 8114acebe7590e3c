"""Geo tests through the door: read from the project's events, and concluded once they are over."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta

from liftwerk.clock import Clock
from liftwerk.definitions import Project
from liftwerk.experiments.conclude import conclude
from liftwerk.experiments.effects import Effect
from liftwerk.experiments.geo.measured import read_measured
from liftwerk.experiments.geo.results import GeoReading
from liftwerk.experiments.read import unit_of
from liftwerk.experiments.state import state_of
from liftwerk.stats.estimate import Estimate, Unknown
from liftwerk.store.stores import Stores


def read_geo(
    project: Project, stores: Stores, clock: Clock, actor: str, name: str
) -> dict[str, GeoReading]:
    """Read a geo test; of one that was stopped, what it shows is its conclusion from now on.

    Parameters
    ----------
    project : Project
    stores : Stores
    clock : Clock
    actor : str
    name : str

    Returns
    -------
    dict of str to GeoReading
        By metric.
    """
    found = read_measured(project, stores, name, now=clock.now())
    state = state_of(stores.ledger, name)
    if state.stage == "stopped":
        judged = {metric: found[metric] for metric in state.definition.metrics}
        effects = conclusions(project, name, judged, clock.now())
        verdict = {"p_values": _p_values(judged)}
        conclude(stores, clock, actor, name, effects, verdict)
    return found


def conclusions(
    project: Project, name: str, found: Mapping[str, GeoReading], now: datetime
) -> list[Effect]:
    """Write what a reading shows as the effect register keeps it: what was added in all."""
    made = []
    for metric, reading in found.items():
        for cell in reading.cells:
            subject = f"experiment:{name}"
            if len(reading.cells) > 1:
                subject = f"{subject}/{cell.cell}"
            last = datetime.combine(reading.end, time(), UTC)
            made.append(
                Effect(
                    subject=subject,
                    metric=metric,
                    start=datetime.combine(reading.start, time(), UTC),
                    end=last + timedelta(days=1),
                    estimate=cell.incremental,
                    unit=unit_of(project, metric),
                    method=_method(cell.incremental),
                    source=f"experiment:{name}",
                    at=now,
                )
            )
    return made


def _method(figure: Estimate | Unknown) -> str:
    if isinstance(figure, Unknown):
        return ""
    return figure.method


def _p_values(found: Mapping[str, GeoReading]) -> dict[str, dict[str, float | None]]:
    return {
        metric: {cell.cell: cell.p_value for cell in reading.cells}
        for metric, reading in found.items()
    }

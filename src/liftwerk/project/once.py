"""Geo tests and switchbacks through the door: read, and concluded once they are over."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import structs

from liftwerk.clock import Clock
from liftwerk.definitions import Project
from liftwerk.experiments.conclude import conclude
from liftwerk.experiments.definition import EXPERIMENTS
from liftwerk.experiments.effects import Effect
from liftwerk.experiments.geo.measured import read_geo
from liftwerk.experiments.geo.results import GeoReading
from liftwerk.experiments.once import Once
from liftwerk.experiments.reading import of_role, plain
from liftwerk.experiments.state import State, state_of
from liftwerk.experiments.switchback.measured import read_turns
from liftwerk.project.conclusions import conclusions, method_of
from liftwerk.stats.estimate import Unknown
from liftwerk.store.stores import Stores

READ_ONCE: Mapping[str, Callable[..., Once]] = {"geo": read_geo, "switchback": read_turns}
"""Design -> what reads it, where no arms are given to units."""


def read_once(project: Project, stores: Stores, clock: Clock, name: str) -> Once:
    """Read a geo test or a switchback, and keep nothing of it.

    Parameters
    ----------
    project : Project
    stores : Stores
    clock : Clock
    name : str

    Returns
    -------
    Once
    """
    design = project.lookup(EXPERIMENTS, name).design
    return READ_ONCE[design](project, stores, name, now=clock.now())


def keep_once(project: Project, stores: Stores, clock: Clock, actor: str, name: str) -> Once:
    """Read one; of one that was stopped, what it shows is its conclusion from now on.

    Parameters
    ----------
    project : Project
    stores : Stores
    clock : Clock
    actor : str
    name : str

    Returns
    -------
    Once
    """
    found = read_once(project, stores, clock, name)
    state = state_of(stores.ledger, name)
    if state.stage == "stopped":
        effects = effects_of(found, state, clock)
        conclude(stores, clock, actor, name, effects, plain(found.reading.verdict))
    return found


def effects_of(found: Once, state: State, clock: Clock) -> list[Effect]:
    """Write what a reading shows as the effect register keeps it.

    Parameters
    ----------
    found : Once
    state : State
    clock : Clock

    Returns
    -------
    list of Effect
        Of a geo test what was added in all markets over all days; of a switchback what the arm adds
        to a period.
    """
    made = []
    kept = conclusions(found.reading, state, clock)
    judged = of_role(found.reading.comparisons, "primary")
    for effect, one in zip(kept, judged, strict=True):
        told = structs.replace(effect, end=found.end)
        reading = found.by_metric[one.metric]
        if isinstance(reading, GeoReading) and not isinstance(effect.estimate, Unknown):
            (figure,) = [cell.incremental for cell in reading.cells if cell.cell == one.arm]
            told = structs.replace(told, estimate=figure, method=method_of(figure))
        if isinstance(reading, GeoReading):
            told = structs.replace(told, unit=one.unit)
        made.append(told)
    return made

"""Check a project: its definitions, what it has published, and what its holdout can detect."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path as FilePath
from typing import TYPE_CHECKING

from msgspec import Struct

from liftwerk.clock import Clock, SystemClock
from liftwerk.definitions import Project, load
from liftwerk.definitions.lines import Path
from liftwerk.definitions.load import problems as definition_problems
from liftwerk.definitions.problem import Problem
from liftwerk.errors import LiftwerkError
from liftwerk.events.versions import broken
from liftwerk.experiments.changed import changed_keys
from liftwerk.experiments.definition import EXPERIMENTS
from liftwerk.experiments.state import states
from liftwerk.governance.deprecated import deprecated_uses
from liftwerk.lazy import LazyModule
from liftwerk.metrics.definition import GOAL
from liftwerk.sections import SECTIONS
from liftwerk.store.home import Home
from liftwerk.store.ledger import LEDGERS, Ledger
from liftwerk.store.urls import open_url

if TYPE_CHECKING:
    from liftwerk.project import detect
else:  # it reads events: nothing of that is loaded where there are none
    detect = LazyModule("liftwerk.project.detect")


class Checked(Struct, frozen=True):
    """What came of a check.

    Attributes
    ----------
    problems : list of Problem
        All that is wrong.
    warnings : list of Problem
        What will be: uses of features that are deprecated, and whose day has not come.
    says : list of str
        What the holdout of ``[goal]`` can detect and when, or why that is not known.
    """

    problems: list[Problem]
    warnings: list[Problem]
    says: list[str]


def check_project(path: FilePath, clock: Clock | None = None) -> Checked:
    """Find everything that is wrong with a project.

    Parameters
    ----------
    path : pathlib.Path
        The project's folder or its liftwerk.toml.
    clock : Clock, optional
        The system's, unless given.

    Returns
    -------
    Checked
        Of the definitions; when these are sound, of what they change about published versions and
        about experiments that run, of what is deprecated, and of the holdout.
    """
    found = definition_problems(path, SECTIONS)
    if found:
        return Checked(found, [], [])
    project = load(path, SECTIONS)
    told = clock or SystemClock()
    today = told.now().astimezone(project.timezone).date()
    uses = deprecated_uses(project, today)
    over = [one.problem for one in uses if one.over]
    coming = [one.problem for one in uses if not one.over]
    problems = [*_changed(project), *over]
    says = []
    if not problems and _keeps_a_holdout(project):
        says.append(_detects(project, told))
    return Checked(problems, coming, says)


def _changed(project: Project) -> list[Problem]:
    if not project.home.exists():
        return []
    # The ledger alone: nothing heavy is loaded to read a few rows.
    ledger: Ledger = open_url("ledger", LEDGERS, Home.open(project.home).urls["ledger"])
    with closing(ledger):
        return [*broken(project, ledger), *_moved(project, ledger)]


def _moved(project: Project, ledger: Ledger) -> Iterator[Problem]:
    """Find experiments that run and are declared otherwise than they were registered."""
    for name, state in states(ledger).items():
        if state.stage != "running":
            continue
        keys = changed_keys(project, state)
        if not keys:
            continue
        what = f"experiment {name} was changed after its start ({', '.join(keys)})"
        path: Path = (EXPERIMENTS.name, name)
        if name not in project.get(EXPERIMENTS):
            path = (EXPERIMENTS.name,)
        yield project.problem(path, "put it back, or stop it and start a new one", what=what)


def _keeps_a_holdout(project: Project) -> bool:
    goal = project.find(GOAL)
    return goal is not None and goal.holdout.exact > 0 and project.home.exists()


def _detects(project: Project, clock: Clock) -> str:
    try:
        return detect.detects(project, clock)
    except LiftwerkError as error:
        # A check is of definitions: that nothing can be said of the holdout is no fault of theirs.
        why = ": ".join(part for part in (error.what, error.hint) if part)
        return f"what the holdout can detect is not known: {why}"

"""Check a project: its definitions, and what it has published already."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from msgspec import Struct

from liftwerk.clock import Clock, SystemClock
from liftwerk.definitions import Project, load
from liftwerk.definitions.load import problems as definition_problems
from liftwerk.definitions.problem import Problem
from liftwerk.events.versions import broken
from liftwerk.governance.deprecated import deprecated_uses
from liftwerk.sections import SECTIONS
from liftwerk.store.home import Home
from liftwerk.store.ledger import LEDGERS, Ledger
from liftwerk.store.urls import open_url


class Checked(Struct, frozen=True):
    """What came of a check.

    Attributes
    ----------
    problems : list of Problem
        All that is wrong.
    warnings : list of Problem
        What will be: uses of features that are deprecated, and whose day has not come.
    """

    problems: list[Problem]
    warnings: list[Problem]


def check_project(path: Path, clock: Clock | None = None) -> Checked:
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
        Of the definitions; when these are sound, of what they change about published versions, and
        of what is deprecated.
    """
    found = definition_problems(path, SECTIONS)
    if found:
        return Checked(found, [])
    project = load(path, SECTIONS)
    today = (clock or SystemClock()).now().astimezone(project.timezone).date()
    uses = deprecated_uses(project, today)
    over = [one.problem for one in uses if one.over]
    coming = [one.problem for one in uses if not one.over]
    return Checked([*_changed(project), *over], coming)


def _changed(project: Project) -> list[Problem]:
    if not project.home.exists():
        return []
    # The ledger alone: nothing heavy is loaded to read a few rows.
    ledger: Ledger = open_url("ledger", LEDGERS, Home.open(project.home).urls["ledger"])
    with closing(ledger):
        return list(broken(project, ledger))

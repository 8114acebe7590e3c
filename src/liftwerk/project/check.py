"""Check a project: its definitions, and what it has published already."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from liftwerk.definitions import load
from liftwerk.definitions.load import problems as definition_problems
from liftwerk.definitions.problem import Problem
from liftwerk.events.versions import broken
from liftwerk.sections import SECTIONS
from liftwerk.store.home import Home
from liftwerk.store.ledger import LEDGERS, Ledger
from liftwerk.store.urls import open_url


def problems(path: Path) -> list[Problem]:
    """Return everything that is wrong with a project; an empty list when it is sound.

    Parameters
    ----------
    path : pathlib.Path
        The project's folder or its liftwerk.toml.

    Returns
    -------
    list of Problem
        Of the definitions; when these are sound, of what they change about published versions.
    """
    found = definition_problems(path, SECTIONS)
    if found:
        return found
    project = load(path, SECTIONS)
    if not project.home.exists():
        return []
    # The ledger alone: nothing heavy is loaded to read a few rows.
    ledger: Ledger = open_url("ledger", LEDGERS, Home.open(project.home).urls["ledger"])
    with closing(ledger):
        return list(broken(project, ledger))

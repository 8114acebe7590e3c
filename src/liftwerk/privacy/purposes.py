"""Which purposes a project has, declared and built in."""

from __future__ import annotations

from liftwerk.definitions.files import NAME
from liftwerk.definitions.project import Project
from liftwerk.errors import UnknownName, did_you_mean
from liftwerk.privacy.definition import HOUSEKEEPING, PURPOSES, Purpose


def known_purposes(project: Project) -> dict[str, Purpose]:
    """Return every purpose by name: the declared ones first, then housekeeping."""
    declared = project.get(PURPOSES)
    return {**declared, **HOUSEKEEPING}


def find_purpose(project: Project, name: str) -> Purpose:
    """Return one purpose.

    Parameters
    ----------
    project : Project
        The project.
    name : str
        A declared purpose, or one of `HOUSEKEEPING`.

    Returns
    -------
    Purpose
        Its basis and what a withdrawal reaches.

    Raises
    ------
    UnknownName
        If there is no such purpose; the nearest is suggested. A scan without a purpose that
        somebody declared does not happen.
    """
    known = known_purposes(project)
    if name not in known:
        raise UnknownName(f"unknown purpose {name!r}", NAME, did_you_mean(name, known))
    return known[name]

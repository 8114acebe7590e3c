"""Projects to start from, and laying one into a folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from liftwerk.definitions.files import NAME
from liftwerk.errors import EnvironmentFault, ProjectError, UnknownName, did_you_mean

FOLDER = Path(__file__).with_name("templates")

TEMPLATES = ("minimal", "tracking", "hillstrom")
"""Every template: a folder beside this file."""

# What a run leaves behind in an example is nobody else's business.
_LEFT_BEHIND = shutil.ignore_patterns(".liftwerk", "__pycache__", ".*")


def write(template: str, target: Path) -> None:
    """Copy a template into a folder, which is made if need be.

    Parameters
    ----------
    template : str
        One of `TEMPLATES`.
    target : pathlib.Path
        The project's folder to be.

    Raises
    ------
    UnknownName
        If there is no such template.
    ProjectError
        If the folder holds a project already, or is no folder.
    EnvironmentFault
        If it cannot be written.
    """
    if template not in TEMPLATES:
        raise UnknownName(f"no template {template!r}", "init", did_you_mean(template, TEMPLATES))
    if (target / NAME).exists():
        raise ProjectError(f"there is a {NAME} already", str(target), "choose another folder")
    if target.exists() and not target.is_dir():
        raise ProjectError("not a folder", str(target), "choose another name")
    source = FOLDER / template
    try:
        shutil.copytree(source, target, dirs_exist_ok=True, ignore=_LEFT_BEHIND)
    except (OSError, shutil.Error) as error:
        reason = "some files could not be copied"
        if error.strerror is not None:
            reason = error.strerror.lower()
        hint = "choose a folder you may write to"
        raise EnvironmentFault(f"cannot write the project ({reason})", str(target), hint) from error

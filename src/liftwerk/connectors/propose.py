"""A project proposed from the result file of one's own randomised trial."""

from __future__ import annotations

import shutil
from pathlib import Path

from msgspec import Struct

from liftwerk.connectors.trial import words
from liftwerk.connectors.trial.look import TABLE, Look, look
from liftwerk.connectors.trial.text import written
from liftwerk.connectors.trial.understand import Trial, understand
from liftwerk.definitions.files import NAME
from liftwerk.errors import EnvironmentFault, ProjectError
from liftwerk.events.engine import quoted, text

DATA = "data"
"""The project's folder for files."""


class Proposal(Struct, frozen=True):
    """A project that was proposed and laid into a folder.

    Attributes
    ----------
    folder : pathlib.Path
        Where it is.
    data : str
        The trial's data, relative to the folder.
    changes : tuple of str
        What had to be changed in the copy of the data.
    questions : tuple of str
        What a file cannot say; marked "PLEASE CHECK" in the project file.
    """

    folder: Path
    data: str
    changes: tuple[str, ...]
    questions: tuple[str, ...]


def propose(file: Path, target: Path) -> Proposal:
    """Propose a project for a trial's result file, a row a customer, with any column names.

    Finds the customer's key, the arm and which one is control, the probabilities, the outcomes and
    what was known before; whatever looks as if it was filled after the action is kept away from
    the model. The project runs as it stands.

    Parameters
    ----------
    file : pathlib.Path
        CSV, Parquet or NDJSON.
    target : pathlib.Path
        The folder to make; it may not hold a project yet.

    Returns
    -------
    Proposal

    Raises
    ------
    InputError
        If the file cannot be read, or has no key, arm, outcome or history; nothing was written.
    ProjectError
        If the folder holds a project, or is none.
    EnvironmentFault
        If the folder cannot be written.
    """
    if (target / NAME).exists():
        raise ProjectError(f"there is a {NAME} already", str(target), "choose another folder")
    if target.exists() and not target.is_dir():
        raise ProjectError("not a folder", str(target), "choose another name")
    with look(file) as seen:
        trial = understand(seen)
        data = _place(file, target, trial)
        name = words.slug(target.resolve().name, "trial")
        page = written(trial, seen, name, data)
        try:
            _lay(seen, trial, target / data)
            (target / NAME).write_text(page.text, encoding="utf-8")
        except OSError as error:
            what = f"cannot write the project ({str(error.strerror).lower()})"
            raise EnvironmentFault(what, str(target), "choose a folder you may write to") from error
    return Proposal(target, data, trial.changes, page.questions)


def _place(file: Path, target: Path, trial: Trial) -> str:
    """Say where the data stand: where they are, if that is in the folder, else in ``data/``."""
    if trial.needs_copy:
        return f"{DATA}/{file.name.partition('.')[0]}_prepared.csv"
    inside = file.resolve()
    if inside.is_relative_to(target.resolve()):
        return inside.relative_to(target.resolve()).as_posix()
    return f"{DATA}/{file.name}"


def _lay(seen: Look, trial: Trial, data: Path) -> None:
    """Put the data into the project: as they are, or the used columns with what was changed."""
    data.parent.mkdir(parents=True, exist_ok=True)
    if not trial.needs_copy:
        if data.resolve() != seen.file.resolve():
            shutil.copyfile(seen.file, data)
        return
    columns = ", ".join(
        f"{trial.made.get(name, quoted(name))} AS {quoted(name)}" for name in trial.used
    )
    seen.connection.execute(
        f"COPY (SELECT {columns} FROM {TABLE}) TO {text(str(data))}"
        " (FORMAT csv, HEADER true, DELIMITER ',', QUOTE '\"', ESCAPE '\"')"
    )

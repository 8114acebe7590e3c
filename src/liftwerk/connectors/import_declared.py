"""Whatever is declared under ``[imports.NAME]`` comes in: each form by its own journey."""

from __future__ import annotations

from liftwerk.connectors.import_entity import import_entity
from liftwerk.connectors.import_file import import_file
from liftwerk.connectors.import_history import import_history
from liftwerk.connectors.job import Imported, ImportJob


def import_declared(job: ImportJob) -> Imported:
    """Import what is declared.

    An entity's rows go to its table. Many files, a folder and a platform's export go in piece by
    piece, and on where they stopped. One file of events goes in whole, or not at all.

    Parameters
    ----------
    job : ImportJob

    Returns
    -------
    Imported

    Raises
    ------
    UnknownName
        If no such import is declared.
    InputError
        If a file is missing, damaged or not as declared.
    TooManyBadRows
        If more rows are bad than the project allows.
    """
    if job.definition.entity is not None:
        return import_entity(job)
    is_folder = job.file is not None and job.file.is_dir()
    if job.definition.is_history or is_folder:
        return import_history(job)
    return import_file(job)

"""Whatever is declared under ``[imports.NAME]`` comes in: each form by its own journey."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from liftwerk.clock import Clock
from liftwerk.connectors.definition import IMPORTS
from liftwerk.connectors.import_entity import import_entity
from liftwerk.connectors.import_file import Imported, import_file
from liftwerk.connectors.import_history import import_history
from liftwerk.definitions.project import Project
from liftwerk.store.stores import Stores

Tell = Callable[[str], None]


def import_declared(
    project: Project,
    stores: Stores,
    name: str,
    clock: Clock,
    controls: Mapping[str, str],
    file: Path | None = None,
    tell: Tell = lambda doing: None,
    dry_run: bool = False,
) -> Imported:
    """Import what is declared; parameters as of `liftwerk.connectors.import_file.import_file`.

    An entity's rows go to its table. Many files, a folder and a platform's export go in piece by
    piece, and on where they stopped. One file of events goes in whole, or not at all.
    """
    definition = project.lookup(IMPORTS, name)
    if definition.entity is not None:
        return import_entity(project, stores, name, clock, file, tell, dry_run)
    is_folder = file is not None and file.is_dir()
    if definition.is_history or is_folder:
        return import_history(project, stores, name, clock, controls, file, tell, dry_run)
    return import_file(project, stores, name, clock, controls, file, tell, dry_run)

"""What a declared import brings in, as a document for programs and people."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from liftwerk.clock import Clock
from liftwerk.connectors.import_declared import import_declared
from liftwerk.connectors.job import ImportJob
from liftwerk.definitions import Project
from liftwerk.events.compact import compact
from liftwerk.loop import controls
from liftwerk.store.home import SORTING_SECONDS
from liftwerk.store.stores import Stores


def take_in(
    project: Project,
    stores: Stores,
    name: str,
    clock: Clock,
    file: Path | None,
    tell: Callable[[str, str], None],
    dry_run: bool,
) -> dict[str, Any]:
    """Import what is declared and compact it under a new snapshot; or say what would come."""
    told = lambda doing: tell("import", doing)  # noqa: E731
    job = ImportJob(project, stores, name, clock, controls(project), file, told, dry_run)
    with stores.home.hold("import", wait=SORTING_SECONDS):
        done = import_declared(job)
        if not dry_run:
            tell("compact", "sort new events into tables")
            compact(project, stores, clock)
    entity = job.definition.entity
    new = "new events"
    if entity is not None:
        new = f"new rows of {entity}"
    counts = {"rows": done.rows, new: sum(done.events.values())}
    counts |= {"duplicates": done.duplicates, "quarantined": done.quarantined}
    return {
        "import": name,
        "dry_run": dry_run,
        "counts": counts,
        "events": done.events,
        "reasons": done.reasons,
        "examples": done.examples,
        "left_out": done.left_out,
    }

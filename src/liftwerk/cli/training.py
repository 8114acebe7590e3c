"""`features training-set` and `features rebuild`: what models learn from, and the proof of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from liftwerk.cli import progress, show
from liftwerk.cli.app import DEFAULTS, Common, emit, open_project, out
from liftwerk.cli.features import features
from liftwerk.lazy import LazyModule
from liftwerk.server import format as fmt

if TYPE_CHECKING:
    from liftwerk.features import training as sets
    from liftwerk.project import training
else:
    sets = LazyModule("liftwerk.features.training")
    training = LazyModule("liftwerk.project.training")

_SHOWN = 12


@features.command(name="training-set")
def training_set(
    rows: Path,
    /,
    *,
    features: str,
    purpose: str,
    out: Path,
    time: str = "time",
    customer: str | None = None,
    delimiter: str = ",",
    snapshot: str | None = None,
    common: Common = DEFAULTS,
) -> None:
    """Add features to rows with times: what was known of each row's customer then.

    Parameters
    ----------
    rows
        A .csv, .ndjson or .parquet file; columns that are not needed are kept, labels too.
    features
        The features, with commas between.
    purpose
        What they are for: events that may not be used for it are not in them.
    out
        The .parquet file to write.
    time
        The column of times; those without a zone are in the project's.
    customer
        The column of customers: VALUE, or NAMESPACE:VALUE. By default `customer`, or else all
        columns that are called like identifiers, the surest first.
    delimiter
        Between the columns of a .csv file.
    snapshot
        Make an old set again: the id of the snapshot that it was made from.
    """
    names = [name.strip() for name in features.split(",") if name.strip()]
    sets.demand_target(out)
    with open_project(common) as project, progress.steps() as tell:
        tell("features", f"read {rows.name}, and what was known of its rows")
        project.use()
        told = (project.definitions, project.stores, rows, names, purpose)
        made = training.take(*told, time, customer, snapshot, delimiter)
        tell("write", out.name)
        made.save(out)
    document = {"file": str(out), **facts_of(made)}
    emit(common, document, lambda: _render_set(str(out), made))


@features.command
def rebuild(
    file: Path,
    /,
    *,
    out: Path | None = None,
    common: Common = DEFAULTS,
) -> int:
    """Make a saved training set again, and say whether it is the same; exit 1 if not.

    Parameters
    ----------
    file
        The file that `features training-set` has written.
    out
        Write what is made now to this .parquet file.
    """
    if out is not None:
        sets.demand_target(out)
    with open_project(common) as project, progress.steps() as tell:
        tell("features", f"read {file.name}, and make it again")
        done = project.training_set_again(file)
        if out is not None:
            done.again.save(out)
    document = {
        "same": done.same,
        "differing": done.differing,
        "versions": {name: list(pair) for name, pair in done.versions.items()},
        "settings_changed": done.settings_changed,
        "erasures": done.erasures,
        "again": facts_of(done.again),
    }
    emit(common, document, lambda: _render_rebuilt(str(file), done))
    return int(not done.same)


def facts_of(made: sets.TrainingSet) -> dict[str, Any]:
    """Say all of a set but its rows."""
    return {
        "rows": made.table.num_rows,
        "sha256": made.sha256,
        "snapshot": made.origin.snapshot,
        "offset": made.origin.offset,
        "purpose": made.origin.purpose,
        "features": made.origin.features,
        "erased": made.erased,
        "expired": made.expired,
        "without_zone": made.without_zone,
        "waiting": made.waiting,
    }


def _render_set(title: str, made: sets.TrainingSet) -> None:
    show.pairs(
        title,
        {
            "rows": fmt.number(made.table.num_rows),
            "sha256": made.sha256,
            "snapshot": made.origin.snapshot,
            "offset": fmt.number(made.origin.offset),
            "purpose": made.origin.purpose,
            **{name: version[:_SHOWN] for name, version in made.origin.features.items()},
        },
    )
    for note in _notes(made):
        out.print(note, markup=False, soft_wrap=True)


def _notes(made: sets.TrainingSet) -> list[str]:
    """Say what is to be known of a set beside its rows."""
    notes = []
    if made.without_zone:
        many = fmt.number(made.without_zone)
        notes.append(f"{many} times name no zone, and were read in {made.origin.timezone}")
    if made.erased:
        notes.append(f"{fmt.number(made.erased)} rows are of erased customers: nothing is known")
    for event, gone in made.expired.items():
        notes.append(f"{fmt.number(gone)} rows of {event} are kept no longer: their time was over")
    if made.waiting:
        notes.append(
            f"{fmt.number(made.waiting)} events that came in since then are not in it;"
            " `liftwerk events compact` makes what waits readable"
        )
    return notes


def _render_rebuilt(title: str, done: sets.Rebuilt) -> None:
    compared = done.again.table.num_rows - done.again.erased
    answer = f"the same in all {fmt.number(compared)} rows"
    if not done.same:
        answer = f"{fmt.number(done.differing)} of {fmt.number(compared)} rows differ"
    show.pairs(title, {"answer": answer, "sha256 now": done.again.sha256})
    for name, (then, now) in done.versions.items():
        out.print(f"{name} is declared otherwise: {then[:_SHOWN]} then, {now[:_SHOWN]} now")
    if done.settings_changed:
        out.print("purposes, identifiers or [identity] are declared otherwise", markup=False)
    for note in _notes(done.again):
        out.print(note, markup=False, soft_wrap=True)
    if done.erasures and not done.same:
        out.print(
            f"{fmt.number(done.erasures)} erasures since: who shared events with somebody erased"
            " may have other values",
            soft_wrap=True,
        )

"""`import`, `sql` and `events`: what happened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from liftwerk.cli import progress, show, stopping
from liftwerk.cli.app import DEFAULTS, Common, app, emit, err, open_project, out
from liftwerk.lazy import LazyModule
from liftwerk.server import format as fmt

if TYPE_CHECKING:
    from liftwerk.project import compact as keeping
else:
    keeping = LazyModule("liftwerk.project.compact")


@app.command(name="import", group="Events")
def import_(
    file: Path | None = None,
    /,
    *,
    name: str | None = None,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    common: Common = DEFAULTS,
) -> None:
    """Import what is declared: events into tables, an entity's rows beside them.

    Parameters
    ----------
    file
        A file, or a folder of files, to read instead of the declared one.
    name
        The import, when the project declares several.
    dry_run
        Say what would come and what would be refused, with examples; keep nothing.
    """
    with open_project(common) as project, progress.steps() as tell:
        result = project.import_file(file, name, tell, dry_run)

    def render() -> None:
        counts = result["counts"]
        facts = {key: fmt.number(value) for key, value in counts.items()}
        title = f"Imported {result['import']}"
        if dry_run:
            title = f"Would be imported by {result['import']}"
        show.pairs(title, facts)
        for reason, many in result["left_out"].items():
            out.print(f"  left out: {fmt.number(many)} x {reason}", markup=False)
        for reason, many in result["reasons"].items():
            line = f"  quarantined: {fmt.number(many)} x {reason}"
            if dry_run:
                line += f" (first in {result['examples'][reason]})"
            out.print(line, markup=False, soft_wrap=True)

    emit(common, result, render)


@app.command(group="Events")
def sql(
    query: str,
    /,
    *,
    purpose: str,
    limit: Annotated[int, Parameter(help="Most rows to print.")] = 1000,
    common: Common = DEFAULTS,
) -> None:
    """Ask the event tables in SQL, read-only and for a declared purpose.

    Parameters
    ----------
    query
        One SELECT; each event is a table of its name.
    purpose
        What the answer is for: rows that may not be used for it are not there.
    """
    with open_project(common) as project:
        answer = project.sql(query, purpose=purpose)
    rows = answer.slice(0, limit).to_pylist()

    def render() -> None:
        cells = [[_cell(value) for value in row.values()] for row in rows]
        show.table("", answer.column_names, cells)
        if answer.num_rows > limit:
            out.print(f"… {fmt.number(answer.num_rows - limit)} more rows; see --limit")

    document = {"columns": answer.column_names, "rows": [_plain(row) for row in rows]}
    emit(common, document, render)


def _cell(value: object) -> str:
    if value is None:
        return "–"
    return str(_value(value))


def _plain(row: dict[str, object]) -> dict[str, object]:
    return {name: _value(value) for name, value in row.items()}


def _value(value: object) -> object:
    if isinstance(value, bytes):
        return value.hex()
    return value


events = App(
    name="events",
    help="What was collected: sort it into tables, and mend what was refused.",
    help_format="plaintext",
    group="Events",
)
app.command(events)


@events.command
def compact(
    *,
    every: str | None = None,
    until_eof: Annotated[bool, Parameter(negative="")] = False,
    common: Common = DEFAULTS,
) -> None:
    """Sort what was collected into tables, each event once, under a new snapshot.

    Parameters
    ----------
    every
        Go on until stopped, with this much time between: such as 5s.
    until_eof
        With --every: end when standard input ends, as it does when whoever started this is gone.
    """

    def render(done: dict[str, Any]) -> None:
        facts: dict[str, object] = {
            f"new {name}": fmt.number(many) for name, many in done["events"].items()
        }
        for key in ("duplicates", "erased"):
            facts[key] = fmt.number(done[key])
        if done.get("customers"):
            facts["customers erased"] = fmt.number(done["customers"])
        if done.get("expired"):
            facts["older than they may be"] = fmt.number(done["expired"])
        show.pairs("Compacted", facts)
        for reason, many in done["quarantined"].items():
            out.print(f"  quarantined: {fmt.number(many)} x {reason}", markup=False)

    with open_project(common) as project:
        if every is None:
            done = project.compact()
            emit(common, done, lambda: render(done))
            return
        ending = stopping.until_told()
        if until_eof:
            stopping.at_eof(ending)
        seconds = stopping.seconds(every, "events compact")
        keeping.keep_on(project.keep_up, seconds, ending, render)


@events.command
def quarantine(
    *,
    reason: str | None = None,
    limit: int = 3,
    show_: Annotated[bool, Parameter(name="--show", negative="")] = False,
    common: Common = DEFAULTS,
) -> None:
    """Show what was refused, grouped by reason, with examples.

    Parameters
    ----------
    reason
        Only reasons with this text in them.
    limit
        Most examples of each reason.
    show_
        Print the examples' whole bodies, which may be personal.
    """
    with open_project(common) as project:
        groups = project.quarantine(reason, limit, show_)
    if show_:
        err.print("careful: bodies as they were sent; they may hold personal data")

    def render() -> None:
        if not groups:
            out.print("nothing is in quarantine")
        for group in groups:
            _group(group)

    emit(common, groups, render)


def _group(group: dict[str, Any]) -> None:
    sources = ", ".join(f"{name} {fmt.number(many)}" for name, many in group["sources"].items())
    out.print(f"{fmt.number(group['count'])} x {group['reason']}", markup=False, style="bold")
    out.print(
        f"  from {sources}; {fmt.moment(group['first'])} to {fmt.moment(group['last'])}",
        markup=False,
    )
    for example in group["examples"]:
        named = [f"#{example['number']}", example["detail"]]
        if example["id"] is not None:
            named.append(f"id {example['id']}")
        fields = list(example["fields"])
        if example["undeclared"]:
            fields.append(f"{example['undeclared']} undeclared")
        line = "  ".join([*named, ", ".join(fields)]).rstrip()
        out.print(f"  {line}", markup=False, soft_wrap=True)
        if example["body"] is not None:
            out.print(f"    {example['body']}", markup=False, soft_wrap=True)


@events.command
def duplicates(
    name: str | None = None,
    /,
    *,
    purpose: str = "deduplication",
    limit: int = 3,
    common: Common = DEFAULTS,
) -> None:
    """Show conversions that were told more than once: whose report counts in whose place.

    Parameters
    ----------
    name
        The event; by default each that declares what is unique in it.
    purpose
        Which report counts depends on who may read it; by default all are looked at.
    limit
        Most examples of each pair of sources.
    """
    with open_project(common) as project:
        found = project.duplicates(name, purpose, limit)

    def render() -> None:
        if not found:
            out.print("no conversion was told more than once")
        for one in found:
            title = f"{fmt.number(one['count'])} x {one['event']}"
            told = f"{title}: {one['counts']} counts, {one['superseded']} does not"
            if one["counts"] == one["superseded"]:
                told = f"{title}: {one['counts']} told them again"
            out.print(told, markup=False, style="bold")
            for pair in one["examples"]:
                line = f"  {pair['counts']} counts in the place of {pair['superseded']}"
                out.print(line, markup=False, soft_wrap=True)

    emit(common, found, render)


@events.command
def replay(
    *,
    reason: str | None = None,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    common: Common = DEFAULTS,
) -> None:
    """Judge what was refused again, by today's definitions; what passes becomes events.

    Parameters
    ----------
    reason
        Only what was refused for a reason with this text in it.
    dry_run
        Say what would pass, and change nothing.
    """
    with open_project(common) as project:
        done = project.replay_quarantine(reason, dry_run)

    def render() -> None:
        title = "Replayed"
        if dry_run:
            title = "Would be replayed"
        facts: dict[str, object] = {name: fmt.number(many) for name, many in done["events"].items()}
        facts["known already"] = fmt.number(done["known"])
        facts["erased since"] = fmt.number(done["erased"])
        show.pairs(title, facts)
        for why, many in done["stayed"].items():
            out.print(f"  still refused: {fmt.number(many)} x {why}", markup=False)

    emit(common, done, render)

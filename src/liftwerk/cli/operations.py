"""`run`, `demo`, `status`, `doctor`: how the plant is run."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from liftwerk.cli import progress, show
from liftwerk.cli.app import DEFAULTS, Common, app, door, emit, err, open_project, out, source_of
from liftwerk.cli.definitions import copy_example
from liftwerk.cli.server import serve_pages
from liftwerk.lazy import LazyModule
from liftwerk.server import format as fmt

if TYPE_CHECKING:
    from rich import prompt

    from liftwerk.project import examine as examination
else:
    prompt = LazyModule("rich.prompt")
    examination = LazyModule("liftwerk.project.examine")


@app.command(group="Project")
def run(
    pipeline: str = "loop",
    /,
    *,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    from_: Annotated[str | None, Parameter(name="--from")] = None,
    force: Annotated[bool, Parameter(negative="")] = False,
    fresh: Annotated[bool, Parameter(negative="")] = False,
    common: Common = DEFAULTS,
) -> None:
    """Run the loop: import, features, models, policy, evaluation, release, report.

    Parameters
    ----------
    pipeline
        The pipeline; there is one, the loop.
    dry_run
        Say which steps would run, and why; change nothing.
    from_
        Run this step and all after it again, changed or not.
    force
        Run every step again.
    fresh
        Forget everything derived from the log first, then run every step.
    """
    with open_project(common) as project:
        project.expect_pipeline(pipeline)
        if dry_run:
            plan = project.plan(from_, force or fresh)
            emit(common, plan, lambda: _plan(plan))
            return
        with progress.steps() as tell:
            report = project.run(tell, from_step=from_, force=force, fresh=fresh)

    def render() -> None:
        show.report(report.document, report.charts)
        show.stages(report.document["stages"])
        out.print(f"{fmt.seconds(report.document['seconds'])}; see it: liftwerk serve")

    emit(common, report.document, render)


def _plan(plan: list[dict[str, Any]]) -> None:
    words = {True: "would run", False: "would skip"}
    rows = [[row["step"], words[row["runs"]], row["reason"]] for row in plan]
    show.table("Plan", ["step", "", ""], rows)


@app.command(group="Project")
def demo(
    *,
    dir_: Annotated[Path | None, Parameter(name="--dir")] = None,
    serve: bool | None = None,
    common: Common = DEFAULTS,
) -> None:
    """Run the Hillstrom e-mail trial from raw rows to a policy, and offer to show the page.

    Parameters
    ----------
    dir_
        Where to put the example project; by default a new temporary folder.
    serve
        Serve the page afterwards without asking, or don't.
    """
    target = dir_ or Path(tempfile.mkdtemp(prefix="liftwerk-demo-")) / "hillstrom"
    if not (target / "liftwerk.toml").exists():
        copy_example(target)
    err.print(f"project: {target}", markup=False)
    with door.open(target) as project, progress.steps() as tell:
        report = project.run(tell)

    def render() -> None:
        show.report(report.document, report.charts)
        out.print(f"{fmt.seconds(report.document['seconds'])} in all. The project is {target}")

    emit(common, report.document, render)
    if common.json or not _wants_page(serve):
        return
    serve_pages(Common(target, False, common.debug), "127.0.0.1", 0)


def _wants_page(serve: bool | None) -> bool:
    if serve is not None:
        return serve
    if not err.is_terminal or not out.is_terminal:
        return False
    return prompt.Confirm.ask("Show the page?", console=err, default=True)


@app.command(group="Project")
def status(*, common: Common = DEFAULTS) -> None:
    """Say how the project stands."""
    with open_project(common) as project:
        facts = source_of(project).status()

    def render() -> None:
        events = {name: fmt.number(many) for name, many in facts["events"].items()}
        show.pairs(
            f"{facts['project']} (liftwerk {facts['version']})",
            {
                "customers": fmt.number(facts["customers"]),
                "quarantined": fmt.number(sum(facts["quarantined"].values())),
                "champions": ", ".join(
                    f"{policy}: {release or 'none'}"
                    for policy, release in facts["champions"].items()
                ),
                "audit": facts["audit"].get("words", ""),
            },
        )
        if facts["lost_samples"]:
            many = fmt.number(facts["lost_samples"])
            out.print(f"{many} answers of feature views were to be noted, and could not be")
        if facts["undeclared"]:
            names = ", ".join(facts["undeclared"])
            said = f"values are kept of {names}, which nobody declares any more"
            out.print(f"{said}: liftwerk features prune", markup=False, soft_wrap=True)
        show.pairs("Events", events)
        show.stages(facts["stages"])

    emit(common, facts, render)


@app.command(group="Project")
def doctor(*, common: Common = DEFAULTS) -> int:
    """Examine the environment and the stores; exit 3 when something is broken."""
    findings = examination.examine(common.project)

    def render() -> None:
        for row in findings:
            word = {True: "fine", False: "BROKEN"}[row["fine"]]
            out.print(f"{word.ljust(7)} {row['name']}: {row['detail']}", markup=False)

    emit(common, findings, render)
    if all(row["fine"] for row in findings):
        return 0
    return 3

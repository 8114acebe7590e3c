"""`init`, `check`, `schema`: what is meant."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from liftwerk.cli.app import DEFAULTS, Common, app, emit, out
from liftwerk.lazy import LazyModule

if TYPE_CHECKING:
    from liftwerk import definitions, sections
    from liftwerk.connectors import propose as propose
    from liftwerk.connectors.destinations import delivery
    from liftwerk.definitions import templates
    from liftwerk.events import json_schema, types
    from liftwerk.project import check as checking
else:
    checking = LazyModule("liftwerk.project.check")
    delivery = LazyModule("liftwerk.connectors.destinations.delivery")
    json_schema = LazyModule("liftwerk.events.json_schema")
    types = LazyModule("liftwerk.events.types")
    definitions = LazyModule("liftwerk.definitions")
    sections = LazyModule("liftwerk.sections")
    templates = LazyModule("liftwerk.definitions.templates")
    propose = LazyModule("liftwerk.connectors.propose")

RUN = " && liftwerk run"
NEXT = {"hillstrom": RUN, "tracking": " && liftwerk keys create web && liftwerk serve"}
"""What one does with a new project once it is checked."""


@app.command(group="Project")
def init(
    template: str = "minimal",
    /,
    *,
    to: Path | None = None,
    from_: Annotated[Path | None, Parameter(name="--from")] = None,
    common: Common = DEFAULTS,
) -> None:
    """Start a project from a template, or from the result file of your own trial.

    Parameters
    ----------
    template
        minimal, tracking (events of a shop's pages and servers) or hillstrom (a whole loop).
    to
        The folder to make; by default it has the template's or the file's name.
    from_
        A CSV or Parquet file of a randomised trial, a row per customer: proposes a mapping,
        arms and probabilities, and says what to check.
    """
    if from_ is not None:
        target = to or Path(from_.name.partition(".")[0])
        proposal = propose.propose(from_, target)
        questions = list(proposal.questions)
        then = RUN
    else:
        target = to or Path(template)
        templates.write(template, target)
        questions = []
        then = NEXT.get(template, "")

    def render() -> None:
        out.print(f"made {target}/liftwerk.toml")
        for question in questions:
            out.print(f"  please check: {question}", markup=False)
        out.print(f"next: cd {target} && liftwerk check{then}")

    emit(common, {"project": str(target), "questions": questions}, render)


@app.command(group="Project")
def check(*, common: Common = DEFAULTS) -> int:
    """Check the project's definitions, all of them; exit 2 when something is wrong."""
    checked = checking.check_project(common.project)
    found = checked.problems

    def render() -> None:
        for problem in found:
            out.print(f"{problem}", markup=False, soft_wrap=True)
        for warning in checked.warnings:
            out.print(f"warning: {warning}", markup=False, soft_wrap=True)
        for line in checked.says:
            out.print(line, markup=False, soft_wrap=True)
        if found:
            out.print(f"{len(found)} to mend")
            return
        out.print("fine: every definition holds together")

    said = {
        "problems": [str(problem) for problem in found],
        "warnings": [str(warning) for warning in checked.warnings],
        "says": checked.says,
    }
    emit(common, said, render)
    if found:
        return 2
    return 0


schema = App(
    name="schema",
    help="Print the JSON Schema of liftwerk.toml, for editors; or what events look like.",
    help_format="plaintext",
    group="Project",
)
app.command(schema)


@schema.default
def project_file(*, common: Common = DEFAULTS) -> None:
    """Print the JSON Schema of liftwerk.toml, for editors."""
    _print(definitions.json_schema(sections.SECTIONS), common)


@schema.command
def event(name: str, /, *, version: int | None = None, common: Common = DEFAULTS) -> None:
    """Print the JSON Schema of an event as it is sent.

    Parameters
    ----------
    name
        The event.
    version
        An older version; by default the current one.
    """
    project = definitions.load(common.project, sections.SECTIONS)
    fields = delivery.delivery_fields(project)
    _print(json_schema.event_schema(project, name, version, fields), common)


@schema.command(name="types")
def types_(
    *, language: Literal["typescript", "python"] = "typescript", common: Common = DEFAULTS
) -> None:
    """Print types of every event that may be sent, for the code that sends them.

    Parameters
    ----------
    language
        TypeScript interfaces, or Python's typed dictionaries.
    """
    project = definitions.load(common.project, sections.SECTIONS)
    text = types.event_types(project, language, delivery.delivery_fields(project))
    document = {"language": language, "text": text}
    emit(common, document, lambda: print(text, end=""))


def _print(document: object, common: Common) -> None:
    printed = Common(common.project, True, common.debug)
    emit(printed, document, lambda: None)


def copy_example(target: Path) -> None:
    """Lay the Hillstrom example into a folder, without a home that someone left in it."""
    templates.write("hillstrom", target)
    shutil.rmtree(target / ".liftwerk", ignore_errors=True)

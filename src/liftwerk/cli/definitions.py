"""`init`, `check`, `schema`: what is meant."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from liftwerk.cli.app import DEFAULTS, Common, app, emit, out
from liftwerk.lazy import LazyModule

if TYPE_CHECKING:
    from liftwerk import definitions, sections
    from liftwerk.connectors import propose as propose
    from liftwerk.definitions import templates
else:
    definitions = LazyModule("liftwerk.definitions")
    sections = LazyModule("liftwerk.sections")
    templates = LazyModule("liftwerk.definitions.templates")
    propose = LazyModule("liftwerk.connectors.propose")


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
        minimal or hillstrom.
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
    else:
        target = to or Path(template)
        templates.write(template, target)
        questions = []

    def render() -> None:
        out.print(f"made {target}/liftwerk.toml")
        for question in questions:
            out.print(f"  please check: {question}", markup=False)
        out.print(f"next: cd {target} && liftwerk check && liftwerk run")

    emit(common, {"project": str(target), "questions": questions}, render)


@app.command(group="Project")
def check(*, common: Common = DEFAULTS) -> int:
    """Check the project's definitions, all of them; exit 2 when something is wrong."""
    found = definitions.problems(common.project, sections.SECTIONS)

    def render() -> None:
        for problem in found:
            out.print(f"{problem}", markup=False, soft_wrap=True)
        if found:
            out.print(f"{len(found)} to mend")
            return
        out.print("fine: every definition holds together")

    emit(common, {"problems": [str(problem) for problem in found]}, render)
    if found:
        return 2
    return 0


@app.command(group="Project")
def schema(*, common: Common = DEFAULTS) -> None:
    """Print the JSON Schema of liftwerk.toml, for editors."""
    document = definitions.json_schema(sections.SECTIONS)
    printed = Common(common.project, True, common.debug)
    emit(printed, document, lambda: None)


def copy_example(target: Path) -> None:
    """Lay the Hillstrom example into a folder, without a home that someone left in it."""
    templates.write("hillstrom", target)
    shutil.rmtree(target / ".liftwerk", ignore_errors=True)

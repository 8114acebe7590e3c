"""`train` and `models`: what is likely."""

from __future__ import annotations

from cyclopts import App

from liftwerk.cli import progress, show
from liftwerk.cli.app import DEFAULTS, Common, app, emit, open_project, out
from liftwerk.server import format as fmt

models = App(name="models", help="What has been learned.", help_format="plaintext", group="Models")
app.command(models)


@app.command(group="Models")
def train(model: str | None = None, /, *, common: Common = DEFAULTS) -> None:
    """Import, make features and train; unchanged steps are skipped.

    Parameters
    ----------
    model
        The model; by default the only one.
    """
    with open_project(common) as project, progress.steps() as tell:
        result = project.train(model, tell)
    emit(common, result, lambda: _card(result))


@models.command(name="list")
def list_(*, common: Common = DEFAULTS) -> None:
    """List the trained models, newest first."""
    with open_project(common) as project:
        rows = project.models()

    def render() -> None:
        cells = [
            [
                row["id"][:16],
                row["model"],
                row["kind"],
                fmt.moment(row["at"]),
                row["customers"],
                fmt.number(row["erased_since"]),
            ]
            for row in rows
        ]
        if not cells:
            out.print("no model yet: `liftwerk train`")
            return
        columns = ["id", "model", "kind", "trained", "customers#", "erased since#"]
        show.table("Models", columns, cells)
        if any(row["erased_since"] for row in rows):
            out.print("a model learned from customers who were erased since: liftwerk run")

    emit(common, rows, render)


@models.command(name="show")
def show_(model: str | None = None, /, *, common: Common = DEFAULTS) -> None:
    """Show a model's card.

    Parameters
    ----------
    model
        Its name, its id or the beginning of it; by default the newest.
    """
    with open_project(common) as project:
        card = project.model(model)
    emit(common, card, lambda: _card(card))


def _card(card: dict[str, object]) -> None:
    out.print(str(card["markdown"]), markup=False)

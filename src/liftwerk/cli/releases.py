"""`release`: what may go live."""

from __future__ import annotations

from cyclopts import App

from liftwerk.cli import show
from liftwerk.cli.app import DEFAULTS, Common, app, emit, open_project, out, source_of
from liftwerk.errors import UnknownName
from liftwerk.server import format as fmt

release = App(name="release", help="What may go live.", help_format="plaintext", group="Operations")
app.command(release)


@release.command(name="list")
def list_(*, common: Common = DEFAULTS) -> None:
    """List releases, newest first."""
    with open_project(common) as project:
        rows = source_of(project).releases()

    def render() -> None:
        cells = [
            [
                row["id"],
                row["policy"],
                row["stage"],
                row["gate"]["verdict"],
                fmt.moment(row["created"]),
            ]
            for row in rows
        ]
        if not cells:
            out.print("no release yet: `liftwerk run`")
            return
        show.table("Releases", ["id", "policy", "stage", "gate", "created"], cells)

    emit(common, rows, render)


@release.command(name="show")
def show_(release_id: str, /, *, common: Common = DEFAULTS) -> None:
    """Show what a release bundles, its gate and its history.

    Parameters
    ----------
    release_id
        Its id or the beginning of it.
    """
    with open_project(common) as project:
        found = source_of(project).release(release_id)
    if found is None:
        raise UnknownName(f"no release {release_id!r}", "release", "see `release list`")

    def render() -> None:
        facts = {
            "policy": found["policy"],
            "stage": found["stage"],
            "gate": show.verdict(found["gate"]["verdict"]),
            "because": found["gate"]["sentence"],
            "policy state": found["policy_state"],
            "created": fmt.moment(found["created"]),
        }
        show.pairs(f"Release {found['id']}", facts)
        rows = [[row["name"], row["version"][:16]] for row in found["features"]]
        show.table("Features", ["feature", "version"], rows)
        rows = [
            [fmt.moment(row["at"]), row["action"], row["actor"][:8]] for row in found["history"]
        ]
        show.table("History", ["at", "what", "who"], rows)

    emit(common, found, render)


@release.command
def advance(release_id: str, /, *, common: Common = DEFAULTS) -> None:
    """Make a release the champion of its policy; refused when its gate did not pass.

    Parameters
    ----------
    release_id
        Its id or the beginning of it.
    """
    with open_project(common) as project:
        done = project.advance(release_id)
    emit(common, {"champion": done}, lambda: out.print(f"{done} is champion"))

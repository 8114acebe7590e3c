"""`keys`: who may write."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter
from rich.text import Text

from liftwerk.cli import show
from liftwerk.cli.app import DEFAULTS, Common, app, emit, open_project, out
from liftwerk.lazy import LazyModule
from liftwerk.server import format as fmt

if TYPE_CHECKING:
    from liftwerk.definitions import typed
    from liftwerk.governance import keys as write_keys
else:
    typed = LazyModule("liftwerk.definitions.typed")
    write_keys = LazyModule("liftwerk.governance.keys")

WEEK = timedelta(days=7)

keys = App(
    name="keys",
    help="Who may send events: the write keys of sources.",
    help_format="plaintext",
    group="Governance",
)
app.command(keys)


@keys.command
def create(source: str, /, *, label: str = "", common: Common = DEFAULTS) -> None:
    """Make a write key of a source. It is shown this once.

    Parameters
    ----------
    source
        A declared source with kind = "http".
    label
        What the key is for; name no person in it.
    """
    with open_project(common) as project:
        given = (project.definitions, project.stores, project.clock, project.actor)
        made = write_keys.create_key(*given, source, label)
    emit(common, made, lambda: _show_once(made))


@keys.command(name="list")
def list_(*, common: Common = DEFAULTS) -> None:
    """List the keys that were made, oldest first, and what each is worth now."""
    with open_project(common) as project:
        now = project.clock.now()
        rows = write_keys.list_keys(project.definitions, project.stores, now)

    def render() -> None:
        if not rows:
            out.print("no key yet: `liftwerk keys create SOURCE`")
            return
        cells = [
            [row.id, row.source, Text(row.label), _state(row, now), _moment(row.created)]
            for row in rows
        ]
        show.table("Write keys", ["id", "source", "label", "state", "created"], cells)

    emit(common, rows, render)


def _duration(_: object, tokens: Sequence[Any]) -> timedelta:
    """Read what is typed as the project file's durations are read."""
    return typed.Duration(tokens[0].value).timedelta


Grace = Annotated[timedelta, Parameter(converter=_duration, show_default=lambda _: "7d")]


@keys.command
def rotate(key: str, /, *, grace: Grace = WEEK, common: Common = DEFAULTS) -> None:
    """Make a key in the place of another, which works on until the grace is over.

    Parameters
    ----------
    key
        The old key's id.
    grace
        How long the old key still works, such as 12h.
    """
    with open_project(common) as project:
        given = (project.definitions, project.stores, project.clock, project.actor)
        done = write_keys.rotate_key(*given, key, grace)

    def render() -> None:
        _show_once(done.new)
        out.print(f"key {done.old} works until {_moment(done.until)}")

    emit(common, done, render)


@keys.command
def revoke(key: str, /, *, common: Common = DEFAULTS) -> None:
    """End a key for good; collectors refuse it within 5 seconds.

    Parameters
    ----------
    key
        Its id, or the whole key where a leaked one is all you have.
    """
    with open_project(common) as project:
        key_id = write_keys.revoke_key(project.stores, project.clock, project.actor, key)
    emit(common, {"revoked": key_id}, lambda: out.print(f"key {key_id} is revoked"))


def _show_once(made: write_keys.NewKey) -> None:
    """Print a new key where it can be copied: a line is not broken, however long it is."""
    headers = f"-H 'Authorization: Bearer {made.secret}' -H 'Content-Type: application/json'"
    show.pairs(f"Write key of {made.source}", {"id": made.id, "key": made.secret})
    out.print("It is not shown again: only its hash is kept.")
    out.print("Try it beside `liftwerk serve`, with an event in event.json:")
    # A source may leave out programs that call themselves by such a name as curl does.
    curl = f"  curl -A trial {headers} -d @event.json http://127.0.0.1:8080/v1/events"
    out.print(curl, markup=False, soft_wrap=True)


def _state(row: write_keys.ListedKey, now: datetime) -> str:
    if row.state == "expiring" and row.expires is not None:
        return f"expires in {_span(row.expires - now)}"
    return row.state


def _span(left: timedelta) -> str:
    """Write a time to come in its two largest units."""
    if left < timedelta(hours=1):
        return fmt.seconds(left.total_seconds())
    hours, rest = divmod(left, timedelta(hours=1))
    if hours < 24:
        return f"{hours} h {rest // timedelta(minutes=1)} min"
    return f"{hours // 24} d {hours % 24} h"


def _moment(at: datetime) -> str:
    return fmt.moment(at.isoformat())

"""`forward`: what other systems are told, how far behind they are, and what they refused."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter
from rich.text import Text

from liftwerk.cli import show
from liftwerk.cli.app import DEFAULTS, Common, app, emit, err, open_project, out
from liftwerk.lazy import LazyModule
from liftwerk.server import format as fmt

if TYPE_CHECKING:
    from numpy import random

    from liftwerk.operations.forward import letters, report
    from liftwerk.operations.forward import run as runner
    from liftwerk.project.door import Project
else:
    random = LazyModule("numpy.random")
    letters = LazyModule("liftwerk.operations.forward.letters")
    report = LazyModule("liftwerk.operations.forward.report")
    runner = LazyModule("liftwerk.operations.forward.run")

COLOURS = {"up to date": "green", "behind": "default", "failing": "yellow", "open": "red"}

forward = App(
    name="forward",
    help="Tell other systems what happened.",
    help_format="plaintext",
    group="Events",
)
app.command(forward)


@forward.command
def run(
    *,
    destination: str | None = None,
    once: Annotated[bool, Parameter(negative="")] = False,
    common: Common = DEFAULTS,
) -> None:
    """Send events to the declared destinations, and go on until stopped.

    Parameters
    ----------
    destination
        Only this one; all by default.
    once
        Send what can be sent now, then end.
    """
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with open_project(common) as project:
        if not once:
            err.print("forwarding; Ctrl-C ends it after the requests under way")
        runner.forward(
            project.definitions,
            project.stores,
            project.clock,
            random.default_rng(),
            only=destination,
            once=once,
            stop=stop,
        )
        _print_status(project, common)


@forward.command(name="status")
def status_(*, common: Common = DEFAULTS) -> None:
    """Say of each destination how far behind it is, what was not sent and why, and what is next."""
    with open_project(common) as project:
        _print_status(project, common)


@forward.command
def dead(*, destination: str | None = None, limit: int = 100, common: Common = DEFAULTS) -> None:
    """List the events that a vendor refused for good, oldest first.

    Parameters
    ----------
    destination
        Only those of one destination.
    limit
        Most to list.
    """
    with open_project(common) as project:
        rows = letters.dead_letters(project.definitions, project.stores, destination, limit)

    def render() -> None:
        cells = [
            [row["destination"], row["event"], row["id"], row["tries"], row["reason"]]
            for row in rows
        ]
        show.table("Dead letters", ["destination", "event", "id", "tries#", "reason"], cells)
        if rows:
            out.print("after a fix: liftwerk forward replay")

    emit(common, rows, render)


@forward.command
def replay(
    *,
    destination: str | None = None,
    reason: str | None = None,
    common: Common = DEFAULTS,
) -> None:
    """Let dead letters be tried again by the next run.

    Parameters
    ----------
    destination
        Only those of one destination.
    reason
        Only those refused for exactly this reason.
    """
    with open_project(common) as project:
        many = letters.replay(
            project.definitions, project.stores, project.clock, destination, reason
        )
    emit(common, {"replayed": many}, lambda: out.print(f"{fmt.number(many)} to be tried again"))


def _print_status(project: Project, common: Common) -> None:
    rows = report.status(project.definitions, project.stores, project.clock)

    def render() -> None:
        if not rows:
            out.print("no destination is declared: see [destinations.NAME]", markup=False)
        for row in rows:
            _destination(row)

    emit(common, rows, render)


def _destination(row: report.Status) -> None:
    facts: dict[str, Any] = {
        "state": Text(row.state, style=COLOURS.get(row.state, "default")),
        "behind": f"{fmt.number(row.behind)} events",
        "delivered": f"{fmt.number(row.delivered)}"
        f" ({fmt.number(row.delivered_last_day)} in the last day,"
        f" {fmt.number(row.per_second, 2)} a second lately)",
    }
    if row.behind:
        facts["behind"] += f", the oldest for {_span(row.behind_seconds)}"
    if row.waiting_retry:
        facts["behind"] += f"; {fmt.number(row.waiting_retry)} failed and wait"
    if row.state in ("failing", "open"):
        facts["last failure"] = f"{_moment(row.failed)}: {row.reason}"
        facts["last success"] = _moment(row.succeeded)
    if row.next_try is not None:
        facts["next try"] = _moment(row.next_try)
    for word, reasons in (("not sent", row.dropped), ("refused", row.dead)):
        for reason, many in reasons.items():
            facts[f"{word}: {reason}"] = fmt.number(many)
    show.pairs(f"{row.destination} ({row.kind}, for {row.purpose})", facts)
    if row.dead:
        out.print("  see: liftwerk forward dead", style="dim")
    out.print()


def _moment(at: Any) -> str:
    if at is None:
        return "never"
    return fmt.moment(at.isoformat())


def _span(seconds: float) -> str:
    """Write how long something has waited, in the two units that matter."""
    minutes = round(seconds / 60)
    if minutes < 60:
        return fmt.seconds(seconds)
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // 1440} d {minutes // 60 % 24} h"

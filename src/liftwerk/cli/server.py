"""`serve`: the pages, and the door that events come in by."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from liftwerk.cli.app import DEFAULTS, Common, app, err, open_project, out, source_of
from liftwerk.errors import ProjectError
from liftwerk.lazy import LazyModule

if TYPE_CHECKING:
    from liftwerk.features import views as declared
    from liftwerk.server import collector, compactor, measures, measuring, workers
    from liftwerk.server import serve as server
else:
    server = LazyModule("liftwerk.server.serve")
    collector = LazyModule("liftwerk.server.collector")
    workers = LazyModule("liftwerk.server.workers")
    compactor = LazyModule("liftwerk.server.compactor")
    measures = LazyModule("liftwerk.server.measures")
    measuring = LazyModule("liftwerk.server.measuring")
    declared = LazyModule("liftwerk.features.views")

EVERY = "5s"
"""How often what was collected is sorted into tables."""

FRESH = "100ms"
"""How often kept features take in what was collected."""


@app.command(group="Project")
def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    only: Literal["pages", "collect"] | None = None,
    workers_: Annotated[int, Parameter(name="--workers")] = 1,
    name: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    dry: Annotated[bool, Parameter(negative="")] = False,
    compact: bool = True,
    common: Common = DEFAULTS,
) -> None:
    """Serve the pages, collect events at /v1/events, sort them, keep features up to date.

    Parameters
    ----------
    host
        Where to listen; pages anywhere but on loopback need LIFTWERK_TOKEN.
    port
        The port; 0 takes a free one.
    only
        Only the pages, or only the collector.
    workers_
        With --only collect: how many processes collect.
    name
        A name by which a proxy on this machine passes its visitors on, such as shop.example.
    dry
        Check events and answer why, and store nothing: a collector for tests.
    compact
        Sort collected events into tables every few seconds, and keep the declared feature views
        up to date, each in a process of its own.
    """
    if workers_ > 1 and only != "collect":
        raise ProjectError("several workers only collect", "--workers", "add --only collect")
    if name and only == "collect":
        raise ProjectError("a collector answers to every name", "--name", "leave it out")
    with open_project(common) as project:  # a wrong project is said before anything listens
        views = project.definitions.get(declared.FEATURE_VIEWS)
    if only == "pages":
        serve_pages(common, host, port, name)
        return
    err.print("ctrl-c stops it")
    sorting: list[str] = []
    following: list[str] = []
    if compact and not dry:
        sorting = _beside(common, "events", "compact", "--every", EVERY)
        if views:
            following = _beside(common, "features", "follow", "--every", FRESH)
    with (
        measuring.measuring(),
        compactor.beside(sorting, "sorting events into tables", measures.SEQUENCER_ENDS),
        compactor.beside(following, "keeping features up to date"),
    ):
        if only == "collect":
            workers.serve_collectors(
                common.project, host=host, port=port, workers=workers_, dry=dry, announce=_say
            )
            return
        opened = collector.OpenDoor(common.project, dry=dry)
        server.serve(
            lambda: source_of(open_project(common)),
            host=host,
            port=port,
            names=name,
            opened=opened,
        )


def _beside(common: Common, *command: str) -> list[str]:
    """Write a command of the same project that ends when this process does."""
    project = ("--project", str(common.project))
    return [sys.executable, "-m", "liftwerk.cli", *command, "--until-eof", *project]


def _say(address: str) -> None:
    out.print(address, markup=False)


def serve_pages(common: Common, host: str, port: int, names: tuple[str, ...] = ()) -> None:
    """Serve a project's pages until it is stopped."""
    err.print("ctrl-c stops it")
    server.serve(lambda: source_of(open_project(common)), host=host, port=port, names=names)

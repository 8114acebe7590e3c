"""`serve`: the pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from liftwerk.cli.app import DEFAULTS, Common, app, err, open_project, source_of
from liftwerk.lazy import LazyModule

if TYPE_CHECKING:
    from liftwerk.server import serve as server
else:
    server = LazyModule("liftwerk.server.serve")


@app.command(group="Project")
def serve(*, host: str = "127.0.0.1", port: int = 8080, common: Common = DEFAULTS) -> None:
    """Serve the report, the decision log and the proofs as pages.

    Parameters
    ----------
    host
        Where to listen; anything but loopback needs LIFTWERK_TOKEN.
    port
        The port; 0 takes a free one.
    """
    serve_project(common, host, port)


def serve_project(common: Common, host: str, port: int) -> None:
    """Serve a project until it is stopped."""
    open_project(common).close()  # a wrong project is said before anything listens
    err.print("ctrl-c stops it")
    server.serve(lambda: source_of(open_project(common)), host=host, port=port)

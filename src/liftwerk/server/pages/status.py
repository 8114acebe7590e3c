"""How the project stands: data, last run, holdout and chain."""

from __future__ import annotations

from litestar import Response, get
from litestar.di import NamedDependency

from liftwerk.server.reading import Reader
from liftwerk.server.render import page

PARTS = (
    "at",
    "customers",
    "events",
    "quarantined",
    "snapshot",
    "stages",
    "champions",
    "holdout",
    "audit",
)
"""What a status may say; what it leaves out is shown as not there."""


@get("/status", include_in_schema=False)
async def status_page(reader: NamedDependency[Reader]) -> Response[str]:
    """Show the project's status."""
    found = await reader.ask(lambda source: source.status())
    return page("status.html", here="/status", status={**dict.fromkeys(PARTS), **found})

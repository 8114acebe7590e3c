"""The business definitions: every metric on one page, which prints on one sheet."""

from __future__ import annotations

from litestar import Response, get
from litestar.di import NamedDependency

from liftwerk.server.reading import Reader
from liftwerk.server.render import page


@get("/definitions", include_in_schema=False)
async def definitions_page(reader: NamedDependency[Reader]) -> Response[str]:
    """Show what every metric means."""
    rows = await reader.ask(lambda source: source.definitions())
    return page("definitions.html", here="/definitions", rows=rows)

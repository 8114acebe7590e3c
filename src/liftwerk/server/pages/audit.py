"""The audit log: who changed what, each entry chained to the one before it."""

from __future__ import annotations

from typing import Any

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromQuery

from liftwerk.server.reading import Reader
from liftwerk.server.render import page
from liftwerk.server.source import ReportSource

Json = dict[str, Any]
PAGE_ROWS = 50


@get("/audit", include_in_schema=False)
async def audit_page(
    reader: NamedDependency[Reader], before: FromQuery[int | None] = None
) -> Response[str]:
    """Show the log, newest first, with whether its chain is whole."""

    def question(source: ReportSource) -> tuple[list[Json], Json]:
        return source.audit(limit=PAGE_ROWS + 1, before=before), source.status()

    rows, status = await reader.ask(question)
    older = None
    if len(rows) > PAGE_ROWS:
        older = rows[PAGE_ROWS - 1]["seq"]
    return page(
        "audit.html",
        here="/audit",
        rows=rows[:PAGE_ROWS],
        older=older,
        paged=before is not None,
        chain=status.get("audit", {}),
    )

"""What programs read: ``/v1``, the figures as CSV, and health."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.enums import MediaType
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import PathParameter, QueryParameter

from liftwerk.errors import UnknownName, did_you_mean
from liftwerk.features.served import Served
from liftwerk.server import figures
from liftwerk.server.erasures import quoted_in
from liftwerk.server.openapi import problems
from liftwerk.server.reading import Reader
from liftwerk.server.source import Decision, DecisionRow, Document

BROKEN = problems(
    {400: "The question is not asked rightly", 503: "The stores cannot be read just now"}
)
MISSING = {**BROKEN, **problems({404: "There is no such thing, or not yet"})}
UNREADY = {503: ResponseSpec(dict[str, str], description="Not yet, or not just now")}

NO_REPORT = ("there is no report yet", "report", "run `liftwerk run` first")


@get("/v1/report", summary="The last run's report", responses=MISSING)
async def report(reader: NamedDependency[Reader]) -> Document:
    """Give the document that `liftwerk run --json` prints."""
    found = await reader.ask(lambda source: source.report())
    if found is None:
        raise UnknownName(*NO_REPORT)
    return cast(Document, found["document"])


FigureName = Annotated[
    str, PathParameter(description="policies.csv, differences.csv, profit-curve.csv, …")
]


@get(
    "/v1/figures/{name:str}",
    summary="A figure of the report, as CSV",
    media_type="text/csv",
    responses=MISSING,
)
async def figure(reader: NamedDependency[Reader], name: FigureName) -> Response[str]:
    """Give the rows of one figure; `policies.csv`, `differences.csv`, `profit-curve.csv` …."""
    found = await reader.ask(lambda source: source.report())
    if found is None:
        raise UnknownName(*NO_REPORT)
    tables = figures.tables(found["document"], found["charts"])
    wanted = name.removesuffix(".csv")
    if wanted not in tables:
        raise UnknownName("no such figure", wanted, did_you_mean(wanted, tables))
    return Response(
        content=tables[wanted].csv(),
        media_type="text/csv",
        headers={"content-disposition": f'attachment; filename="{wanted}.csv"'},
    )


Limit = Annotated[int, QueryParameter(ge=1, le=500, description="Most rows to give")]
CURSOR = "^[0-9]{1,18}-[0-9]{1,18}$"
Before = Annotated[
    str | None, QueryParameter(pattern=CURSOR, description="A row's cursor: only older rows")
]
After = Annotated[
    str | None, QueryParameter(pattern=CURSOR, description="A cursor: rows that are just newer")
]
OfAction = Annotated[str | None, QueryParameter(description="Only this action")]
OfCustomer = Annotated[str | None, QueryParameter(min_length=1, description="Only this customer")]
DecisionId = Annotated[str, PathParameter(description="A decision's id, as the log lists it")]
OfKind = Annotated[str | None, QueryParameter(description="Only imported, live or draft")]


@get("/v1/decisions", summary="The decision log, newest first", responses=BROKEN)
async def decisions(
    reader: NamedDependency[Reader],
    limit: Limit = 50,
    before: Before = None,
    after: After = None,
    action: OfAction = None,
    customer: OfCustomer = None,
    kind: OfKind = None,
) -> list[DecisionRow]:
    """Give rows of the decision log."""
    rows = await reader.ask(
        lambda source: source.decisions(
            limit=limit, before=before, after=after, action=action, customer=customer, kind=kind
        )
    )
    keys = DecisionRow.__annotations__
    return [cast(DecisionRow, {key: row[key] for key in keys if key in row}) for row in rows]


@get(
    "/v1/decisions/{decision_id:str}",
    summary="One decision, with why and what came of it",
    responses=MISSING,
)
async def decision(reader: NamedDependency[Reader], decision_id: DecisionId) -> Decision:
    """Give everything that is kept of one decision."""
    found = await reader.ask(lambda source: source.decision(decision_id))
    if found is None:
        raise UnknownName("no such decision", decision_id, "it may have been erased")
    return cast(Decision, found)


OfView = Annotated[str, QueryParameter(min_length=1, description="A declared feature view")]
OfEntity = Annotated[
    str, PathParameter(description="customer, visitor, session, or a declared one")
]
WhoseFeatures = Annotated[
    Path,
    PathParameter(description="VALUE or NAMESPACE:VALUE; of a declared entity its key, by slashes"),
]
FEATURES = "/v1/features/"


@get(
    FEATURES + "{entity:str}/{key:path}",
    summary="What is known of a customer, or another entity, now",
    responses={**BROKEN, **problems({404: "No such view, or it was never filled"})},
)
async def features(
    request: Request[Any, Any, Any],
    values: NamedDependency[Reader],
    entity: OfEntity,
    key: WhoseFeatures,
    view: OfView,
) -> Served:
    """Give the values of a view's features: why one is missing, as of when, and how fresh.

    What comes with the request (`[features.NAME] request`) is a parameter of that name.
    """
    written = quoted_in(request.scope["raw_path"], f"{FEATURES}{entity}/")
    given = {name: value for name, value in request.query_params.items() if name != "view"}
    return await values.ask(lambda source: source.features(view, entity, written, given))


@get("/health/live", summary="The process answers", sync_to_thread=False)
def live() -> dict[str, str]:
    """Say that the process answers."""
    return {"status": "live"}


@get("/health/ready", summary="The project can be read", responses=UNREADY)
async def ready(reader: NamedDependency[Reader]) -> Response[dict[str, Any]]:
    """Say whether the project can be read: 200, or 503."""
    if reader.ready:
        return Response({"status": "ready"}, media_type=MediaType.JSON)
    return Response({"status": "not ready"}, status_code=503, headers={"retry-after": "1"})

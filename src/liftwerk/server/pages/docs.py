"""The documentation of the HTTP interface, drawn from the OpenAPI document by ourselves.

The usual viewers load scripts from another origin; this page needs none.
"""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get

from liftwerk.server.render import page

Json = dict[str, Any]


@get("/docs", include_in_schema=False, sync_to_thread=False)
def docs_page(request: Request[Any, Any, Any]) -> Response[str]:
    """Show every address with its parameters and answers."""
    schema = request.app.openapi_schema.to_schema()
    operations = []
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            operations.append({"path": path, "method": method.upper(), **_read(operation)})
    return page("docs.html", here="/docs", operations=operations, info=schema["info"])


def _read(operation: Json) -> Json:
    parameters = [
        {
            "name": parameter["name"],
            "where": parameter["in"],
            "required": parameter.get("required", False),
            "words": parameter.get("description", ""),
        }
        for parameter in operation.get("parameters", [])
    ]
    answers = [
        {"status": status, "words": answer.get("description", "")}
        for status, answer in operation.get("responses", {}).items()
    ]
    return {
        "title": operation.get("summary", ""),
        "words": operation.get("description", ""),
        "parameters": parameters,
        "answers": answers,
    }

"""`/schema`: what may be sent and what is answered, as OpenAPI, with the project's own events.

The events' part is JSON Schema derived from the structs that decode them, so that what is published
here is what is checked at the door.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from litestar import Request
from litestar.openapi import OpenAPIConfig
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme

from liftwerk import __version__
from liftwerk.connectors.destinations.delivery import delivery_fields
from liftwerk.definitions.project import Project
from liftwerk.events.identifiers import IDENTIFIERS
from liftwerk.events.json_schema import Document, event_schema
from liftwerk.events.rules import SERVER_ONLY
from liftwerk.events.schema import schema_of
from liftwerk.privacy.definition import PURPOSES
from liftwerk.server.payload import EVENTS, LINE_TYPES
from liftwerk.server.problems import MEDIA_TYPE

OFREP = "/ofrep/"

_COMPONENTS = "#/components/schemas/"
_EVENT = {"$ref": f"{_COMPONENTS}Event"}


class Problem(TypedDict):
    """What went wrong (RFC 9457); more members may stand beside these."""

    type: str
    title: str
    status: int
    detail: str
    instance: str


def problems(words: Mapping[int, str]) -> dict[int, ResponseSpec]:
    """Declare which problems a handler answers with.

    Parameters
    ----------
    words : mapping of int to str
        Status -> what it means there.
    """
    return {
        status: ResponseSpec(Problem, description=meaning, media_type=MEDIA_TYPE)
        for status, meaning in words.items()
    }


def openapi(description: str, project: Project | None = None) -> OpenAPIConfig:
    """Configure ``/schema``.

    Parameters
    ----------
    description : str
        What the application is for.
    project : Project, optional
        Whose events may be sent.
    """
    return OpenAPIConfig(
        title="liftwerk",
        version=__version__,
        description=f"{description} Errors are RFC 9457 documents.",
        path="/schema",
        render_plugins=[_ProjectSchema(project)],
        components=Components(
            security_schemes={
                "write key": SecurityScheme(
                    type="http", scheme="bearer", description="A source's write key"
                ),
                "staff token": SecurityScheme(
                    type="http", scheme="bearer", description="LIFTWERK_TOKEN of the server"
                ),
            }
        ),
    )


class _ProjectSchema(JsonRenderPlugin):
    """Adds to what the handlers say what bodies look like in this project."""

    def __init__(self, project: Project | None) -> None:
        super().__init__(path="/")
        self._project = project

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        document = openapi_schema
        if self._project is not None:
            document = with_bodies(openapi_schema, self._project)
        return self.render_json(request, document)


def with_bodies(document: Document, project: Project) -> Document:
    """Return an OpenAPI document with the bodies that its collecting addresses take.

    Parameters
    ----------
    document : dict
        What the handlers say; left as it is.
    project : Project
    """
    schemas = {**document["components"].get("schemas", {}), **_event_components(project)}
    paths = {}
    for path, methods in document["paths"].items():
        paths[path] = dict(methods)
        if "post" in methods and path.startswith(("/v1/", OFREP)):
            body = {"required": True, "content": _content(path, project)}
            paths[path]["post"] = {**methods["post"], "requestBody": body}
    return {
        **document,
        "paths": paths,
        "components": {**document["components"], "schemas": schemas},
    }


def _content(path: str, project: Project) -> Document:
    if path == "/v1/consent":
        return _json(_consent(project))
    if path.startswith(OFREP):
        return _json(_question())
    if path == "/v1/batch":
        calls = {"type": "array", "items": {"type": "object"}, "maxItems": EVENTS}
        return _json({"type": "object", "required": ["batch"], "properties": {"batch": calls}})
    if path != "/v1/events":
        return _json({"type": "object", "description": "As Segment's clients send it"})
    several = {"type": "array", "items": _EVENT, "minItems": 1, "maxItems": EVENTS}
    lines = {"type": "string", "minLength": 2, "description": "One event a line"}
    return {**_json({"anyOf": [_EVENT, several]}), LINE_TYPES[0]: {"schema": lines}}


def _json(schema: Document) -> Document:
    return {"application/json": {"schema": schema}}


def _consent(project: Project) -> Document:
    purposes = {"type": "array", "items": {"enum": sorted(project.get(PURPOSES))}}
    value = {"type": "string", "minLength": 1}
    identifiers = {
        "type": "object",
        "properties": dict.fromkeys(sorted(project.get(IDENTIFIERS)), value),
        "additionalProperties": False,
        "minProperties": 1,
    }
    some = [
        {"required": [field], "properties": {field: {"minItems": 1}}}
        for field in ("granted", "withdrawn")
    ]
    return {
        "type": "object",
        "anyOf": some,
        "properties": {"identifiers": identifiers, "granted": purposes, "withdrawn": purposes},
        "required": ["identifiers"],
        "additionalProperties": False,
    }


def _question() -> Document:
    """Describe what OpenFeature's clients ask with."""
    words = "targetingKey is NAMESPACE:VALUE; namespace, session, consent and exposed may be there"
    context = {"type": "object", "description": words}
    return {"type": "object", "properties": {"context": context}}


def _event_components(project: Project) -> Document:
    """Return a component for each version of each event, and for what these refer to."""
    schema = schema_of(project)
    components: Document = {}
    for name in schema.types:
        if name in SERVER_ONLY:
            continue
        for kind in schema.versions(name):
            version = kind.definition.version
            event = event_schema(project, name, version, delivery_fields(project))
            # Each brings its own definitions: names that two share need not mean the same.
            prefix = f"{name}_{version}"
            del event["$schema"]
            for key, part in event.pop("$defs").items():
                components[f"{prefix}.{key}"] = _moved(part, prefix)
            components[prefix] = _moved(event, prefix)
    events = [{"$ref": f"{_COMPONENTS}{key}"} for key in components if "." not in key]
    return {**components, "Event": {"anyOf": events, "description": "An event of this project"}}


def _moved(part: Any, prefix: str) -> Any:
    """Let references lead to components, and say of texts just what is checked."""
    if isinstance(part, list):
        return [_moved(one, prefix) for one in part]
    if not isinstance(part, dict):
        return part
    moved = {key: _moved(value, prefix) for key, value in part.items()}
    if "pattern" in part:
        moved.pop("format", None)  # we read more forms of a time than RFC 3339 has
    if "$ref" in part:
        moved["$ref"] = f"{_COMPONENTS}{prefix}.{part['$ref'].rpartition('/')[2]}"
    return moved

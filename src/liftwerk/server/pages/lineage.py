"""Lineage: where everything comes from and goes to, drawn and as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromQuery

from liftwerk.server.graph import drawing
from liftwerk.server.reading import Reader
from liftwerk.server.render import page

Json = dict[str, Any]

KINDS = {
    "event": "Event",
    "property": "Property",
    "entity": "Of an entity",
    "feature": "Feature",
    "view": "View",
    "metric": "Metric",
    "model": "Model",
    "policy": "Policy",
    "experiment": "Experiment",
    "placement": "Placement",
    "goal": "Goal",
}
"""What the kinds of nodes are called."""


@get("/lineage", include_in_schema=False)
async def lineage_page(
    reader: NamedDependency[Reader], node: FromQuery[str | None] = None
) -> Response[str]:
    """Draw where everything comes from and goes to; of one node what is connected with it."""
    whole = await reader.ask(lambda source: source.lineage(None))
    found = whole
    if node:
        found = await reader.ask(lambda source: source.lineage(node))
    chosen = None
    if node:
        chosen = next((one for one in found["nodes"] if node in (one["id"], one["name"])), None)
    return page(
        "lineage.html",
        here="/features",
        names=[(one["id"], KINDS[one["kind"]]) for one in whole["nodes"]],
        chosen=chosen,
        drawn=drawing(found, chosen and chosen["id"]),
        rows=rows(found),
    )


def rows(found: Mapping[str, Any]) -> list[Json]:
    """Lay the same out as a table: each node with what it is made of, and what is made of it."""
    names = {one["id"]: one["name"] for one in found["nodes"]}
    told: dict[str, Json] = {
        one["id"]: {**one, "word": KINDS[one["kind"]], "made_of": [], "makes": []}
        for one in found["nodes"]
    }
    for edge in found["edges"]:
        source, target = edge["source"], edge["target"]
        told[target]["made_of"].append({"id": source, "name": names[source], "why": edge["why"]})
        told[source]["makes"].append({"id": target, "name": names[target], "why": edge["why"]})
    return list(told.values())

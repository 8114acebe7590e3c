"""The catalogue of features: a list that can be searched, and a page for each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from liftwerk.features.used import DEPENDS
from liftwerk.server import format as fmt
from liftwerk.server.drawings import scale
from liftwerk.server.graph import drawing
from liftwerk.server.reading import Reader
from liftwerk.server.render import page
from liftwerk.server.source import ReportSource

Json = dict[str, Any]

FILTERS = {"entity": "About", "owner": "Owner", "privacy": "Privacy", "view": "Kept in"}
"""What the list may be narrowed by, and what it is called."""

COLUMNS = {
    "name": "Feature",
    "entity": "About",
    "privacy": "Privacy",
    "view": "Kept in",
    "fresh": "Fresh",
    "owner": "Owner",
    "version": "Version",
}
"""What the list may be sorted by."""

BY = {"version": "short", "view": "views"}
"""Keys of a row that are not called like their column."""

QUANTILES = ("least", "10%", "middle", "90%", "most")


@get("/features", include_in_schema=False)
async def features_page(
    reader: NamedDependency[Reader],
    search: FromQuery[str | None] = None,
    entity: FromQuery[str | None] = None,
    owner: FromQuery[str | None] = None,
    privacy: FromQuery[str | None] = None,
    view: FromQuery[str | None] = None,
    sort: FromQuery[str | None] = None,
) -> Response[str]:
    """List the declared features, as far as they are asked for."""
    given = {"entity": entity, "owner": owner, "privacy": privacy, "view": view}
    chosen = {key: value for key, value in given.items() if value}
    wanted = (search or "").strip()

    def question(source: ReportSource) -> tuple[list[Json], list[Json]]:
        every = source.catalogue()
        if not wanted:
            return every, every
        return every, source.catalogue(wanted)

    every, found = await reader.ask(question)
    shown = [one for one in found if _fits(one, chosen)]
    by = (sort or "").removeprefix("-")
    if by in COLUMNS:
        key = BY.get(by, by)
        shown.sort(key=lambda one: str(one[key] or ""), reverse=str(sort).startswith("-"))
    asked = {**chosen, "search": wanted}
    return page(
        "features.html",
        here="/features",
        rows=[{**one, "fresh_words": fresh(one)} for one in shown],
        many=len(every),
        search=wanted,
        chosen=chosen,
        filters=[_filter(key, every) for key in FILTERS],
        columns=[_column(key, sort, asked) for key in COLUMNS],
    )


@get("/features/{name:str}", include_in_schema=False)
async def feature_page(reader: NamedDependency[Reader], name: FromPath[str]) -> Response[str]:
    """Show one feature: what it is, where it comes from, what its values are."""

    def question(source: ReportSource) -> tuple[Json, Json]:
        return source.feature(name), source.lineage(f"features.{name}")

    found, graph = await reader.ask(question)
    return page(
        "feature.html",
        here="/features",
        found=found,
        facts=facts(found),
        said=[one for one in found["declared"].items() if not _depends(one[0])],
        depends=[one for one in found["declared"].items() if _depends(one[0])],
        spreads=spreads(found),
        drawn=drawing(graph, f"features.{name}"),
        versions=found["versions"],
        standings=[{**one, "fresh_words": fresh(one)} for one in found["standings"]],
    )


def facts(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Lay out what a feature is, in words."""
    return [
        ("About", found["entity"]),
        ("Type", found["type"]),
        ("Reads", ", ".join(found["reads"]) or "–"),
        ("Privacy, by what it reads", found["privacy"]),
        ("Owner", found["owner"] or "nobody is named"),
        ("Refresh", found["refresh"]),
        ("Kept in", ", ".join(found["views"]) or "no view"),
        ("Purposes, by these views", ", ".join(found["purposes"]) or "–"),
        ("Fresh", fresh(found)),
        ("Version", found["version"]),
    ]


def fresh(one: Mapping[str, Any]) -> str:
    """Say how fresh values are.

    Examples
    --------
    >>> fresh({"views": [], "held": None, "fresh": None})
    'kept nowhere'
    >>> fresh({"held": None, "fresh": None})
    'never made'
    >>> fresh({"held": None, "fresh": "2026-03-01T09:30:00+00:00"})
    '2026-03-01 09:30 UTC'
    """
    if "views" in one and not one["views"]:
        return "kept nowhere"
    if one["held"] is not None:
        return f"held at its last good state: {one['held']}"
    if one["fresh"] is None:
        return "never made"
    return fmt.moment(one["fresh"])


def spreads(found: Mapping[str, Any]) -> Json:
    """Lay out how values are spread now and were at training, on one axis."""
    both = [("Now", found["now"]), ("At training", found["training"])]
    numbers = [one for _, told in both for one in told.get("quantiles", ())]
    axis = None
    low = high = 0.0
    # Of one and the same value there is nothing to draw.
    if len(set(numbers)) > 1:
        drawn = scale(numbers, "")
        (low, high) = drawn["range"]
        axis = [
            {"x": place(tick["at"], low, high), "label": tick["text"]} for tick in drawn["axis"]
        ]
        axis[0]["anchor"], axis[-1]["anchor"] = "start", "end"
        for tick in axis[1:-1]:
            tick["anchor"] = "middle"
    rows = []
    for label, told in both:
        row: Json = {"label": label, **told, "unknown": told.get("unknown")}
        if row["unknown"] is None:
            row["of"] = f"{told['source'].partition('.')[2]}, {fmt.moment(told['at'])}"
        if "quantiles" in told:
            digits = fmt.decimals(numbers)
            if all(float(one).is_integer() for one in numbers):
                digits = 0
            row["words"] = [fmt.number(one, digits) for one in told["quantiles"]]
            if axis is not None:
                row["places"] = [place(one, low, high) for one in told["quantiles"]]
        rows.append(row)
    return {"rows": rows, "axis": axis, "names": QUANTILES, "texts": texts(both)}


def texts(both: Iterable[tuple[str, Mapping[str, Any]]]) -> list[Json]:
    """Lay out the shares of texts side by side, the most frequent first."""
    shares: dict[str, dict[str, float]] = {}
    for label, told in both:
        for text, share in told.get("texts", ()):
            shares.setdefault(text, {})[label] = share
        if "texts" in told:
            shares.setdefault("all others", {})[label] = told["others"]
    return [
        {
            "text": text,
            "now": _share(one.get("Now")),
            "now_width": f"{100 * one.get('Now', 0.0):.2f}%",
            "training": _share(one.get("At training")),
            "training_width": f"{100 * one.get('At training', 0.0):.2f}%",
        }
        for text, one in shares.items()
    ]


def place(value: float, low: float, high: float) -> str:
    """Give a place on an axis.

    Examples
    --------
    >>> place(5.0, 0.0, 10.0)
    '50.00%'
    """
    return f"{100 * (value - low) / (high - low):.2f}%"


def _depends(key: str) -> bool:
    """Say whether a key of a definition is no part of it, but of what it depends on."""
    return key.partition(".")[0] in DEPENDS


def _share(value: float | None) -> str:
    if value is None:
        return "–"
    return fmt.share(value)


def _fits(one: Mapping[str, Any], chosen: Mapping[str, str]) -> bool:
    for key, value in chosen.items():
        if key == "view":
            if value not in one["views"]:
                return False
        elif one[key] != value:
            return False
    return True


def _filter(key: str, every: Iterable[Mapping[str, Any]]) -> Json:
    values: set[str] = set()
    for one in every:
        if key == "view":
            values.update(one["views"])
        else:
            values.add(one[key])
    return {"key": key, "label": FILTERS[key], "values": sorted(values - {""})}


def _column(key: str, sort: str | None, asked: Mapping[str, str]) -> Json:
    """Lay out a heading that sorts, and turns round what is sorted by it already."""
    state, then = "none", key
    if sort == key:
        state, then = "ascending", f"-{key}"
    elif sort == f"-{key}":
        state = "descending"
    query = urlencode({name: value for name, value in asked.items() if value} | {"sort": then})
    return {"label": COLUMNS[key], "state": state, "href": f"/features?{query}"}

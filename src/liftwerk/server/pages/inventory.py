"""What is collected: the gaps first, then sources, events with their properties, identifiers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromQuery

from liftwerk.server import format as fmt
from liftwerk.server.reading import Reader
from liftwerk.server.render import page

Json = dict[str, Any]

SPANS = {"1d": "last day", "7d": "last week", "28d": "last 4 weeks"}
"""What may be asked for beside all of it."""

SHOWN = 6
"""Gaps of one kind that are shown before the rest is folded away."""

MEANING = {
    "event never seen": "Declared, and no such event came. Either the tracking is missing, or the"
    " declaration is out of date.",
    "property never seen": "Declared, and empty in every event.",
    "identifier never seen": "Declared, and in no event: nobody is recognised by it.",
    "source never seen": "Declared, and nothing came from it.",
    "event not declared": "It was sent, or is kept, and the project does not know it.",
    "field not declared": "It was sent, or is kept, and the project does not know it.",
    "identifier not declared": "It was sent, or is kept, and the project does not know it.",
    "order without customer": "A conversion that can be given to nobody: only a visitor is known.",
    "event without consent state": "Kept for accounting; nothing that rests on consent reads it.",
    "session without consent state": "No event of the session says what was agreed to.",
    "source fell silent": "Less than usual at this time: look at it first.",
}


@get("/inventory", include_in_schema=False)
async def inventory_page(
    reader: NamedDependency[Reader], since: FromQuery[str | None] = None
) -> Response[str]:
    """Show what is collected and where the gaps are."""
    if since not in SPANS:
        since = None
    found = await reader.ask(lambda source: source.inventory(since))
    return page("inventory.html", here="/inventory", spans=SPANS, since=since, **view(found))


def view(found: Mapping[str, Any]) -> Json:
    """Lay an inventory out for its template.

    Parameters
    ----------
    found : mapping
        `liftwerk.events.inventory.shapes.Inventory`, as plain values.
    """
    purposes = found["purposes"]
    most = max((one["seen"]["events"] for one in found["events"]), default=0)
    return {
        "found": found,
        "gaps": [*_grouped(found["gaps"])],
        "sources": [_source(one, purposes) for one in found["sources"]],
        "events": [_event(one, purposes, most) for one in found["events"]],
        "identifiers": [
            {**one, "share": share(one["events"], one["of"])} for one in found["identifiers"]
        ],
    }


def _grouped(gaps: Iterable[Mapping[str, Any]]) -> Iterable[Json]:
    by_kind: dict[str, list[str]] = {}
    for one in gaps:
        by_kind.setdefault(one["kind"], []).append(one["words"])
    # What broke today comes before what was never there.
    for kind in sorted(by_kind, key=lambda kind: kind != "source fell silent"):
        words = by_kind[kind]
        yield {
            "kind": kind[0].upper() + kind[1:],
            "meaning": MEANING[kind],
            "many": len(words),
            "shown": words[:SHOWN],
            "folded": words[SHOWN:],
        }


def _source(one: Mapping[str, Any], purposes: Iterable[str]) -> Json:
    return {**one, **seen(one["seen"], purposes), "spark": spark(one["days"])}


def _event(one: Mapping[str, Any], purposes: Iterable[str], most: int) -> Json:
    whole = one["seen"]["events"]
    return {
        **one,
        **seen(one["seen"], purposes),
        "width": percent(whole, most),
        "properties": [
            {**each, "empty": share(each["nulls"], whole), "width": percent(each["nulls"], whole)}
            for each in one["properties"]
        ],
        "by_source": [
            {"name": name, "seen": part, **seen(part, purposes)}
            for name, part in one["sources"].items()
        ],
    }


def seen(part: Mapping[str, Any], purposes: Iterable[str]) -> Json:
    """Write down what was seen of something: consent coverage and latency."""
    consent = part["consent"]
    return {
        "consent": share(consent["known"], consent["events"]),
        "consent_width": percent(consent["known"], consent["events"]),
        "granted": [
            {
                "purpose": name,
                "share": share(consent["granted"][name], consent["events"]),
                "width": percent(consent["granted"][name], consent["events"]),
            }
            for name in purposes
        ],
        "to_us": quantiles(part["latency"]["to_us"]),
        "to_readers": quantiles(part["latency"]["to_readers"]),
    }


def quantiles(leg: Mapping[str, Any] | None) -> list[str]:
    """Write the three quantiles of a latency; none where it is not known.

    Examples
    --------
    >>> quantiles({"p50": 0.012, "p95": 1.5, "p99": 200.0}), quantiles(None)
    (['12 ms', '1.5 s', '3 min'], [])
    """
    if leg is None:
        return []
    return [fmt.delay(leg[key]) for key in ("p50", "p95", "p99")]


def share(part: int, whole: int) -> str:
    """Write a part of a whole; nothing can be said where there is no whole.

    Examples
    --------
    >>> share(3, 4), share(0, 0)
    ('75.0%', '–')
    """
    if not whole:
        return "–"
    return fmt.share(part / whole)


def percent(part: int, whole: int) -> str:
    """Give a bar's width.

    Examples
    --------
    >>> percent(3, 4), percent(1, 100_000), percent(0, 0)
    ('75.00%', '0.50%', '0%')
    """
    if not part or not whole:
        return "0%"
    # What is there is seen, however little.
    return f"{max(0.5, 100 * part / whole):.2f}%"


def spark(days: Iterable[int]) -> list[Json]:
    """Lay out a bar a day, the highest as tall as there is room.

    Examples
    --------
    >>> [bar["height"] for bar in spark([0, 5, 10])]
    ['0%', '50.00%', '100.00%']
    """
    counts = [*days]
    most = max(counts, default=0)
    wide = 100 / max(len(counts), 1)
    return [
        {
            "x": f"{place * wide:.2f}%",
            "width": f"{wide * 0.7:.2f}%",
            "y": f"{100 - (100 * many / most if most else 0):.2f}%",
            "height": percent(many, most),
        }
        for place, many in enumerate(counts)
    ]

"""`inventory`: what is collected, and where the gaps are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

from cyclopts import Parameter

from liftwerk.cli import show
from liftwerk.cli.app import DEFAULTS, Common, app, emit, open_project, out
from liftwerk.cli.since import since_when
from liftwerk.errors import UnknownName, did_you_mean
from liftwerk.server import format as fmt

Facts = Mapping[str, Any]


@app.command(group="Project")
def inventory(
    *,
    event: str | None = None,
    since: str | None = None,
    gaps: Annotated[bool, Parameter(negative="")] = False,
    common: Common = DEFAULTS,
) -> int:
    """Show every event, property, identifier and source, declared and seen, and the gaps.

    Parameters
    ----------
    event
        Show one event with its properties and its sources.
    since
        Only what came since then: a length of time such as 7d, or a day such as 2026-03-01.
    gaps
        Print only the gaps, and exit with 1 when there are any.
    """
    with open_project(common) as project:
        found = project.inventory(since_when(since, project.clock.now(), "inventory"))
    if event is not None:
        found = _only(found, event)
    if gaps:
        emit(common, found["gaps"], lambda: _gaps(found))
        return int(bool(found["gaps"]))
    render = _whole
    if event is not None:
        render = _one
    emit(common, found, lambda: render(found))
    return 0


def _only(found: dict[str, Any], event: str) -> dict[str, Any]:
    """Leave the other events out, and the gaps that are not about it."""
    events = [one for one in found["events"] if one["name"] == event]
    if not events:
        known = [one["name"] for one in found["events"]]
        raise UnknownName(f"no event {event!r}", "inventory", did_you_mean(event, known))
    gaps = [one for one in found["gaps"] if one["event"] == event]
    return {**found, "events": events, "gaps": gaps}


def _whole(found: Facts) -> None:
    seen = found["seen"]
    facts = {
        "events": fmt.number(seen["events"]),
        "last came": fmt.moment(seen["last_received"]),
        "test traffic": fmt.number(seen["synthetic"]),
        "readers see": fmt.moment(found["snapshot_at"]),
    }
    if found["since"] is not None:
        facts = {"only since": fmt.moment(found["since"]), **facts}
    show.pairs(f"Inventory of {found['project']}", facts)
    out.print()
    _gaps(found)
    out.print()
    _sources(found)
    out.print()
    _latency("Latency", "source", [(one["name"], one["seen"]) for one in found["sources"]])
    out.print()
    _events(found)
    out.print()
    rows = [
        [one["name"], fmt.number(one["events"]), _share(one["events"], one["of"]), one["refused"]]
        for one in found["identifiers"]
    ]
    show.table("Identifiers", ["identifier", "events#", "of all#", "refused#"], rows)


def _gaps(found: Facts) -> None:
    if not found["gaps"]:
        out.print(show.verdict("passed"), "no gap")
        return
    rows = [[one["kind"], one["words"]] for one in found["gaps"]]
    show.table(f"Gaps: {fmt.number(len(rows))}", ["what", "where"], rows)


def _sources(found: Facts) -> None:
    rows = []
    for one in found["sources"]:
        seen = one["seen"]
        rows.append(
            [
                one["name"],
                one["trust"] or "not declared",
                one["sample"] or "–",
                fmt.number(seen["events"]),
                _came(seen),
                _consent(seen),
                fmt.number(one["refused"]),
                show.verdict(one["silence"]["state"]),
            ]
        )
    columns = [
        "source",
        "trust",
        "kept",
        "events#",
        "last came (UTC)",
        "consent#",
        "refused#",
        "state",
    ]
    show.table("Sources", columns, rows)


def _latency(title: str, name: str, parts: Iterable[tuple[str, Facts]]) -> None:
    rows = []
    for label, seen in parts:
        legs = [seen["latency"]["to_us"], seen["latency"]["to_readers"]]
        rows.append([label, *[_quantiles(leg) for leg in legs]])
    columns = [name, "event to us (p50 / p95 / p99)", "to readers (p50 / p95 / p99)"]
    show.table(title, columns, rows)


def _quantiles(leg: Facts | None) -> str:
    if leg is None:
        return "–"
    return " / ".join(fmt.delay(leg[key]) for key in ("p50", "p95", "p99"))


def _events(found: Facts) -> None:
    rows = []
    for one in found["events"]:
        seen = one["seen"]
        rows.append(
            [
                one["name"],
                fmt.number(seen["events"]),
                fmt.number(seen["weight"]),
                _came(seen),
                _consent(seen),
                fmt.number(one["refused"]),
                fmt.number(seen["synthetic"]),
            ]
        )
    columns = [
        "event",
        "events#",
        "stand for#",
        "last came (UTC)",
        "consent#",
        "refused#",
        "tests#",
    ]
    show.table("Events", columns, rows)


def _one(found: Facts) -> None:
    [event] = found["events"]
    _events(found)
    out.print()
    rows = [
        [
            name,
            fmt.number(seen["events"]),
            fmt.number(seen["weight"]),
            _came(seen),
            _consent(seen),
            *[
                _share(seen["consent"]["granted"][key], seen["consent"]["events"])
                for key in _asked(found)
            ],
        ]
        for name, seen in event["sources"].items()
    ]
    columns = ["source", "events#", "stand for#", "last came (UTC)", "consent#"]
    show.table("By source", [*columns, *[f"{name}#" for name in _asked(found)]], rows)
    out.print()
    _latency("Latency", "source", event["sources"].items())
    out.print()
    properties = [
        [
            one["name"],
            one["type"],
            "yes" if one["required"] else "no",
            one["privacy"],
            _share(one["nulls"], event["seen"]["events"]),
            fmt.number(one["refused"]),
        ]
        for one in event["properties"]
    ]
    columns = ["property", "type", "required", "privacy", "empty#", "refused#"]
    show.table("Properties", columns, properties)
    out.print()
    _gaps(found)


def _asked(found: Facts) -> Sequence[str]:
    names: Sequence[str] = found["purposes"]
    return names


def _consent(seen: Facts) -> str:
    return _share(seen["consent"]["known"], seen["consent"]["events"])


def _came(seen: Facts) -> str:
    return fmt.moment(seen["last_received"]).removesuffix(" UTC")


def _share(part: int, whole: int) -> str:
    if not whole:
        return "–"
    return fmt.share(part / whole)

"""Releases: what may go live, in which stage, and what one of them bundles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from liftwerk.errors import UnknownName
from liftwerk.server import format as fmt
from liftwerk.server import words
from liftwerk.server.pages.decisions import charts_of, currency_of
from liftwerk.server.reading import Reader
from liftwerk.server.render import page
from liftwerk.server.source import ReportSource

Json = dict[str, Any]


@get("/releases", include_in_schema=False)
async def releases_page(reader: NamedDependency[Reader]) -> Response[str]:
    """List the releases, newest first."""
    rows = await reader.ask(lambda source: source.releases())
    return page("releases.html", here="/releases", rows=rows)


@get("/releases/{release_id:str}", include_in_schema=False)
async def release_page(reader: NamedDependency[Reader], release_id: FromPath[str]) -> Response[str]:
    """Show one release with its evaluation and history."""

    def question(source: ReportSource) -> tuple[Json | None, Json | None]:
        return source.release(release_id), source.report()

    found, report = await reader.ask(question)
    if found is None:
        raise UnknownName("no such release", release_id, "`liftwerk release list` names them")
    charts = charts_of(report)
    return page(
        "release.html",
        here="/releases",
        found=found,
        gate=gate(found, charts),
        differences=differences(found, charts),
        record=record(found),
    )


def gate(found: Mapping[str, Any], charts: Mapping[str, Any]) -> Json:
    """Lay out the gate's verdict as it was when the release was made."""
    said = found.get("gate") or {}
    difference = (found.get("differences") or {}).get("logged")
    asks, answers = words.gate(said, difference, currency_of(charts))
    return {"verdict": said.get("verdict"), "asks": asks, "answers": answers}


def differences(found: Mapping[str, Any], charts: Mapping[str, Any]) -> list[Json]:
    """Lay out the differences with which the release was evaluated."""
    currency = currency_of(charts)
    rows = []
    for name, figure in (found.get("differences") or {}).items():
        row: Json = {"label": words.policy_label(name, charts), "verdict": words.verdict(figure)}
        if fmt.is_unknown(figure):
            row["words"] = fmt.unknown_words(figure)
        else:
            amount = fmt.money(figure["value"], currency, fmt.figure_digits([figure]), sign=True)
            row["words"] = f"{amount} a customer, {fmt.between(figure, currency, sign=True)}"
        rows.append(row)
    return rows


def record(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """List what the release names by id and hash; what it does not name is left out."""
    rows = [
        ("Release", found["id"]),
        ("Policy", found.get("policy")),
        ("Placement", found.get("placement")),
        ("Policy state", found.get("policy_state")),
        ("Evaluation", found.get("evaluation")),
        ("Snapshot of the data", found.get("snapshot")),
        ("Project's definitions", found.get("project_hash")),
        ("Reproducible hash", found.get("reproducible_hash")),
    ]
    return [(name, str(value)) for name, value in rows if value]

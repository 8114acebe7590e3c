"""The decision log, and one decision with everything that is kept of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from liftwerk.errors import UnknownName
from liftwerk.server import figures, intervals
from liftwerk.server import format as fmt
from liftwerk.server.reading import Reader
from liftwerk.server.render import page
from liftwerk.server.source import ReportSource

Json = dict[str, Any]
PAGE_ROWS = 50
KINDS = {
    "imported": "imported from a trial",
    "live": "made by a champion",
    "draft": "tried with a draft",
}


@get("/decisions", include_in_schema=False)
async def decisions_page(
    reader: NamedDependency[Reader],
    before: FromQuery[str | None] = None,
    after: FromQuery[str | None] = None,
    action: FromQuery[str | None] = None,
    customer: FromQuery[str | None] = None,
    kind: FromQuery[str | None] = None,
) -> Response[str]:
    """Show the log, newest first, filtered as asked."""
    chosen = {"action": _given(action), "customer": _given(customer), "kind": _given(kind)}

    def question(source: ReportSource) -> tuple[list[Json], Json | None]:
        # One row more than is shown tells whether there is another page.
        rows = source.decisions(limit=PAGE_ROWS + 1, before=before, after=after, **chosen)
        return rows, source.report()

    rows, report = await reader.ask(question)
    charts = charts_of(report)
    shown, newer, older = _cut(rows, before, after)
    return page(
        "decisions.html",
        here="/decisions",
        rows=[_row(row, charts) for row in shown],
        chosen=chosen,
        kinds=KINDS,
        actions=charts.get("labels", {}),
        currency=currency_of(charts),
        newer=_link(chosen, "after", newer),
        older=_link(chosen, "before", older),
    )


def _given(text: str | None) -> str | None:
    if text is None or not text.strip():
        return None
    return text.strip()


def _cut(
    rows: list[Json], before: str | None, after: str | None
) -> tuple[list[Json], str | None, str | None]:
    """Take the row too many off; give the cursors of the newer and the older page."""
    more = len(rows) > PAGE_ROWS
    if after is not None:
        shown = rows[-PAGE_ROWS:]
        has_newer = more
        has_older = bool(shown)
    else:
        shown = rows[:PAGE_ROWS]
        has_newer = before is not None and bool(shown)
        has_older = more
    newer = shown[0]["cursor"] if has_newer else None
    older = shown[-1]["cursor"] if has_older else None
    return shown, newer, older


def _link(chosen: Mapping[str, str | None], name: str, cursor: str | None) -> str | None:
    if cursor is None:
        return None
    kept = {key: value for key, value in chosen.items() if value is not None}
    return "/decisions?" + urlencode({**kept, name: cursor})


def _row(row: Json, charts: Mapping[str, Any]) -> Json:
    return {
        **row,
        "label": figures.action_label(row["action"], charts),
        "kind_words": KINDS.get(row["kind"], row["kind"]),
        "reward_words": reward_words(row.get("reward"), currency_of(charts)),
    }


def reward_words(reward: float | None, currency: str) -> str:
    """Say what a decision earned.

    Examples
    --------
    >>> reward_words(14.945, "USD"), reward_words(None, "USD")
    ('USD 14.95', 'not yet known')
    """
    if reward is None:
        return "not yet known"
    # Half a cent matters less than that equal amounts look equal.
    return fmt.money(reward + 1e-9, currency, 2)


def charts_of(report: Mapping[str, Any] | None) -> Json:
    """Return the report's charts; empty before the first run."""
    if report is None:
        return {}
    return dict(report["charts"])


def currency_of(charts: Mapping[str, Any]) -> str:
    """Return the project's currency."""
    return str(charts.get("project", {}).get("currency", ""))


@get("/decisions/{decision_id:str}", include_in_schema=False)
async def decision_page(
    reader: NamedDependency[Reader], decision_id: FromPath[str]
) -> Response[str]:
    """Show one decision: what was known, what was chosen, why, and what came of it."""

    def question(source: ReportSource) -> tuple[Json | None, Json | None]:
        return source.decision(decision_id), source.report()

    found, report = await reader.ask(question)
    if found is None:
        raise UnknownName("no such decision", decision_id, "it may have been erased")
    charts = charts_of(report)
    return page("decision.html", here="/decisions", **view(found, charts))


def view(found: Json, charts: Mapping[str, Any]) -> Json:
    """Lay one decision out for its template."""
    currency = currency_of(charts)
    learned = found.get("learned") or {}
    return {
        "found": found,
        "currency": currency,
        "label": figures.action_label(found["action"], charts),
        "kind_words": KINDS.get(found["kind"], found["kind"]),
        "reward_words": reward_words(found.get("reward"), currency),
        "actions": _actions(found, learned, charts, currency),
        "learned": learned,
        "learned_label": figures.action_label(learned.get("action", ""), charts),
        "reasons": reasons(found, charts, currency),
        "record": record(found),
    }


def _actions(
    found: Json, learned: Mapping[str, Any], charts: Mapping[str, Any], currency: str
) -> list[Json]:
    """Lay the actions out side by side: as it was chosen, and as the learned policy would."""
    logged = found.get("probabilities", {})
    would = learned.get("probabilities", {})
    expected = learned.get("expected", {})
    eligible = found.get("eligible", [])
    names = list(dict.fromkeys([*eligible, *logged, *would]))
    axis = intervals.Axis(0.0, 1.0)
    rows = []
    for name in names:
        row: Json = {
            "label": figures.action_label(name, charts),
            "eligible": name in eligible,
            "chosen": name == found["action"],
            "control": name == found.get("control_action"),
            "would": name == learned.get("action"),
            "logged": None,
            "learned": None,
            "expected": None,
        }
        if name in logged:
            row["logged"] = {"words": fmt.share(logged[name]), "width": axis.x(logged[name])}
        if name in would:
            row["learned"] = {"words": fmt.share(would[name]), "width": axis.x(would[name])}
        if name in expected:
            row["expected"] = fmt.money(expected[name], currency, 3, sign=True)
        rows.append(row)
    return rows


def reasons(found: Json, charts: Mapping[str, Any], currency: str) -> Json | None:
    """Lay out features with what each adds to every action's expected gain, strongest first."""
    why = found.get("why") or {}
    values = {feature["name"]: feature for feature in found.get("features", [])}
    pushes = {push["feature"]: push["actions"] for push in why.get("contributions", [])}
    if not values and not pushes:
        return None
    actions = list(why.get("total", {}))
    amounts = [amount for push in pushes.values() for amount in push.values()]
    reach = max((abs(amount) for amount in amounts), default=1.0)
    axis = intervals.Axis(-reach * 1.05 or -1.0, reach * 1.05 or 1.0)
    unit = why.get("unit", currency)
    names = sorted(
        dict.fromkeys([*values, *pushes]),
        key=lambda name: -max((abs(x) for x in pushes.get(name, {}).values()), default=0.0),
    )
    rows = [
        {
            "name": name,
            "feature": values.get(name),
            "pushes": [_push(pushes.get(name, {}).get(action), axis, unit) for action in actions],
        }
        for name in names
    ]
    sums = []
    for action in actions:
        base = why.get("base", {}).get(action)
        sums.append(
            {
                "label": figures.action_label(action, charts),
                "base": None if base is None else fmt.money(base, unit, 3, sign=True),
                "total": fmt.money(why["total"][action], unit, 3, sign=True),
            }
        )
    return {"rows": rows, "sums": sums, "zero": axis.x(0.0)}


def _push(amount: float | None, axis: intervals.Axis, unit: str) -> Json | None:
    if amount is None:
        return None
    start = min(0.0, amount)
    return {
        "words": fmt.money(amount, unit, 3, sign=True),
        "bar": axis.span(start, amount, max(0.0, amount)),
        "tone": "minus" if amount < 0 else "plus",
    }


def record(found: Json) -> list[tuple[str, str]]:
    """List the rest of what was logged, as names and words."""
    draw = found.get("draw")
    latency = found.get("latency_us")
    holdout = {True: "yes, kept on the control action", False: "no", None: "not recorded"}
    return [
        ("Decision", found["id"]),
        ("Customer", found["customer"] or "erased"),
        ("Time", fmt.moment(found["time"])),
        ("Placement", found.get("placement") or "–"),
        ("Release", found.get("release") or "none: logged elsewhere and imported"),
        ("Policy state", found.get("policy_state") or "–"),
        ("Stage", found.get("stage") or "–"),
        ("Draw", "not recorded" if draw is None else f"{draw:.6f}"),
        ("Experiment", found.get("experiment") or "–"),
        ("Arm", found.get("arm") or "–"),
        ("Holdout", holdout[found.get("holdout")]),
        ("Reward version", found.get("reward_version") or "–"),
        ("Latency", "not recorded" if latency is None else f"{latency:,} µs"),
    ]

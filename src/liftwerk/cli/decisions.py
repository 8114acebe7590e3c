"""`decide`, `decisions`, `policies`: one customer, now, and what was decided before."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from liftwerk.cli import progress, show
from liftwerk.cli.app import DEFAULTS, Common, app, emit, open_project, out, source_of
from liftwerk.errors import ProjectError
from liftwerk.server import format as fmt

decisions = App(
    name="decisions", help="What was decided, and why.", help_format="plaintext", group="Decisions"
)
policies = App(
    name="policies", help="What policies would earn.", help_format="plaintext", group="Decisions"
)
app.command(decisions)
app.command(policies)


@app.command(group="Decisions")
def decide(
    customer: str | None = None,
    /,
    *,
    policy: str | None = None,
    release: str | None = None,
    all_: Annotated[bool, Parameter(name="--all", negative="")] = False,
    to: Annotated[Path | None, Parameter(name="--out")] = None,
    common: Common = DEFAULTS,
) -> None:
    """Decide for one customer, or for all of them into a file.

    Without a champion the answer is the control action, and says so.

    Parameters
    ----------
    customer
        The customer's identifier, as in the data.
    policy
        The policy; by default the only one.
    release
        Decide with this draft instead of the champion: logged as such, nothing is reserved.
    all_
        Decide for every customer who was ever decided for.
    to
        With --all: the CSV or Parquet file of who gets what.
    """
    if all_ == (customer is not None):
        raise ProjectError("name one customer, or --all", "decide", "liftwerk decide --help")
    if all_ != (to is not None):
        raise ProjectError("--all and --out FILE go together", "decide", "name the file to write")
    with open_project(common) as project, progress.steps() as tell:
        if to is not None:
            _decide_all(common, project.decide_all(to, policy, release, tell), to)
            return
        made = project.decide(str(customer), policy, release)
    emit(common, made, lambda: _decision(made))


def _decide_all(common: Common, summary: dict[str, Any], to: Path) -> None:
    def render() -> None:
        rows = [[action, fmt.number(many)] for action, many in summary["actions"].items()]
        show.table(f"Who gets what: {to}", ["action", "customers#"], rows)
        out.print(summary["note"], markup=False)

    emit(common, summary, render)


@decisions.command(name="list")
def list_(*, limit: int = 20, action: str | None = None, common: Common = DEFAULTS) -> None:
    """List decisions, newest first.

    Parameters
    ----------
    limit
        Most rows to show.
    action
        Only this action.
    """
    with open_project(common) as project:
        rows = source_of(project).decisions(limit=limit, action=action)

    def render() -> None:
        cells = [
            [row["id"], fmt.moment(row["time"]), row["customer"], row["action"], row["kind"]]
            for row in rows
        ]
        show.table("Decisions", ["id", "time", "customer", "action", "kind"], cells)

    emit(common, rows, render)


@decisions.command(name="show")
def show_(decision: str, /, *, common: Common = DEFAULTS) -> None:
    """Show one decision: features, why, probabilities, guardrails, outcomes.

    Parameters
    ----------
    decision
        Its id.
    """
    with open_project(common) as project:
        found = project.decision(decision)
    emit(common, found, lambda: _decision(found))


@decisions.command
def replay(decision: str, /, *, common: Common = DEFAULTS) -> int:
    """Compute a decision again from its record; exit 1 when another action comes out.

    Parameters
    ----------
    decision
        Its id.
    """
    with open_project(common) as project:
        result = project.replay(decision)

    def render() -> None:
        show.pairs(
            f"Replay of {result['id']}",
            {
                "logged": result["logged"],
                "replayed": result["replayed"],
                "same": result["same"],
                "from": result["source"],
            },
        )

    emit(common, result, render)
    if result["same"]:
        return 0
    return 1


@policies.command
def evaluate(policy: str | None = None, /, *, common: Common = DEFAULTS) -> None:
    """Evaluate a policy off-policy, on the decisions that were logged.

    Parameters
    ----------
    policy
        The policy; by default the only one.
    """
    with open_project(common) as project, progress.steps() as tell:
        report = project.evaluate(policy, tell)
    emit(common, report.document, lambda: show.report(report.document, report.charts))


@policies.command(name="list")
def policies_list(*, common: Common = DEFAULTS) -> None:
    """List the declared policies and what is live."""
    with open_project(common) as project:
        rows = project.policies()

    def render() -> None:
        cells = [
            [row["policy"], row["placement"], row["control"], row["champion"] or "none live"]
            for row in rows
        ]
        show.table("Policies", ["policy", "placement", "control", "champion"], cells)

    emit(common, rows, render)


def _decision(found: dict[str, Any]) -> None:
    facts = {
        "customer": found.get("customer", "–"),
        "time": fmt.moment(found.get("time")),
        "placement": found["placement"],
        "stage": found.get("stage") or found.get("kind", "–"),
        "release": found.get("release") or "–",
        "eligible": ", ".join(found["eligible"]),
        "draw": _or_dash(found.get("draw")),
    }
    title = f"{found['action']} (probability {found['probability']:.3f})  {found['id']}"
    show.pairs(title, facts)
    if found.get("note"):
        out.print(f"  {found['note']}", markup=False)
    if found.get("probabilities"):
        rows = [[name, f"{value:.3f}"] for name, value in found["probabilities"].items()]
        show.table("Probabilities", ["action", "#"], rows)
    if found.get("features"):
        rows = [[row["name"], _or_dash(row["value"])] for row in found["features"]]
        show.table("Features as of then", ["feature", "value"], rows)
    why = found.get("why")
    if why:
        names = list(why["total"])
        rows = [["(everybody)", *[f"{why['base'][name]:+.3f}" for name in names]]]
        for part in why["contributions"]:
            rows.append([part["feature"], *[f"{part['actions'][name]:+.3f}" for name in names]])
        rows.append(["= expected", *[f"{why['total'][name]:+.3f}" for name in names]])
        title = f"Why: expected margin over control, {why['unit']}"
        show.table(title, ["from", *[name + "#" for name in names]], rows)
    for rail in found.get("guardrails", []):
        out.print(f"  guardrail {rail['name']}: {rail['state']} ({rail['limit']})", markup=False)
    for outcome in found.get("outcomes", []):
        out.print(f"  then {outcome['words']}", markup=False)


def _or_dash(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)

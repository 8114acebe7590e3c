"""`audit` and `erase`: proofs and rights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cyclopts import App

from liftwerk.cli import show
from liftwerk.cli.app import DEFAULTS, Common, app, emit, err, open_project, out, source_of
from liftwerk.errors import ProjectError
from liftwerk.lazy import LazyModule
from liftwerk.server import format as fmt

if TYPE_CHECKING:
    from rich import prompt
else:
    prompt = LazyModule("rich.prompt")

audit = App(
    name="audit", help="Who did what, provably.", help_format="plaintext", group="Governance"
)
app.command(audit)


@audit.command(name="show")
def show_(*, limit: int = 50, common: Common = DEFAULTS) -> None:
    """Show the audit log, newest first.

    Parameters
    ----------
    limit
        Most entries to show.
    """
    with open_project(common) as project:
        rows = source_of(project).audit(limit=limit)

    def render() -> None:
        cells = [
            [row["seq"], fmt.moment(row["at"]), row["action"], row["subject"], row["hash"][:12]]
            for row in rows
        ]
        show.table("Audit", ["seq#", "at", "what", "about", "hash"], cells)

    emit(common, rows, render)


@audit.command
def verify(*, common: Common = DEFAULTS) -> int:
    """Recompute the audit log's hash chain; exit 1 when an entry was changed or is missing."""
    with open_project(common) as project:
        found = project.stores.ledger.verify_audit()

    def render() -> None:
        entries = fmt.number(found.entries)
        if found.ok:
            out.print(f"whole: {entries} entries, each with the hash of the one before")
            return
        out.print(f"broken at entry {found.broken_at}: {found.reason}")

    document = {"whole": found.ok, "entries": found.entries, "broken_at": found.broken_at}
    emit(common, document, render)
    if found.ok:
        return 0
    return 1


@app.command(group="Governance")
def erase(
    customer: str,
    /,
    *,
    reason: str = "asked by the customer",
    yes: bool = False,
    common: Common = DEFAULTS,
) -> int:
    """Erase a customer from every store, then search every file for what is left.

    Parameters
    ----------
    customer
        The customer's identifier, as in the data.
    reason
        Kept in the audit log; name no person in it.
    yes
        Don't ask.
    """
    if not yes:
        _confirm(customer)
    with open_project(common) as project:
        result = project.erase(customer, reason)

    def render() -> None:
        rows = [[name, fmt.number(many)] for name, many in result["erased"].items()]
        show.table("Erased", ["collection", "rows#"], rows)
        if result["found"]:
            out.print("STILL FOUND in: " + ", ".join(result["found"]), style="red")
            return
        if not any(result["erased"].values()):
            out.print(f"nothing was kept of customer {customer}; a tombstone keeps them out")
            return
        out.print("searched every file: nothing left; a tombstone keeps them out")
        out.print("next: liftwerk run, to learn again without them")

    emit(common, result, render)
    if result["found"]:
        return 1
    return 0


def _confirm(customer: str) -> None:
    if not err.is_terminal:
        raise ProjectError("erasure can't be undone", f"erase {customer}", "repeat it with --yes")
    question = f"Erase customer {customer} from every store? This can't be undone"
    if not prompt.Confirm.ask(question, console=err, default=False):
        raise ProjectError("not erased", f"erase {customer}", "you said no")

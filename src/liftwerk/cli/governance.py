"""`audit`, `erase`, `erasures`, `export` and `retention`: proofs and rights."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from liftwerk.cli import show
from liftwerk.cli.app import DEFAULTS, Common, app, emit, err, open_project, out, source_of
from liftwerk.errors import InputError, ProjectError, UnknownName
from liftwerk.lazy import LazyModule
from liftwerk.server import format as fmt

if TYPE_CHECKING:
    import msgspec
    from rich import prompt

    from liftwerk.events import retain as expiring
    from liftwerk.features import retain as retaining
    from liftwerk.governance import export as exporting
    from liftwerk.server import customer_page
else:
    exporting = LazyModule("liftwerk.governance.export")
    expiring = LazyModule("liftwerk.events.retain")
    retaining = LazyModule("liftwerk.features.retain")
    customer_page = LazyModule("liftwerk.server.customer_page")
    msgspec = LazyModule("msgspec")
    prompt = LazyModule("rich.prompt")

audit = App(
    name="audit", help="Who did what, provably.", help_format="plaintext", group="Governance"
)
app.command(audit)

erasures = App(
    name="erasures",
    help="Which erasures there were, and what went.",
    help_format="plaintext",
    group="Governance",
)
app.command(erasures)

SHOWN = 20
"""Receipts that are printed; all are in ``--json``."""


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
    *customers: str,
    from_: Annotated[Path | None, Parameter(name="--from")] = None,
    reason: str = "asked by the customer",
    search: bool = True,
    yes: Annotated[bool, Parameter(negative="")] = False,
    common: Common = DEFAULTS,
) -> int:
    """Erase customers from every store, then search every file for what is left.

    Whoever is queued over HTTP is erased with them. Without a customer, only the queued are.

    Parameters
    ----------
    customers
        An identifier of each: VALUE, or NAMESPACE:VALUE.
    from_
        A file of identifiers, one a line.
    reason
        Kept in the audit log; name no person in it.
    search
        Search every byte of the home afterwards; it takes long where there is much.
    yes
        Don't ask.
    """
    wanted = [*customers]
    if from_ is not None:
        wanted += _listed(from_)
    if not yes:
        _confirm(wanted)
    with open_project(common) as project:
        result = project.erase(wanted, reason, search=search)
    emit(common, result, lambda: _erased(result))
    if result["found"]:
        return 1
    return 0


def _erased(result: dict[str, Any]) -> None:
    for receipt in result["receipts"][:SHOWN]:
        out.print(f"receipt: {receipt}", markup=False)
    if result["queued"]:
        out.print("another process holds the home: if it is a server, it erases within seconds")
        return
    rows = [
        [name, *(fmt.number(one[key]) for key in ("rows", "read", "of"))]
        for name, one in result["erased"].items()
    ]
    show.table("Erased", ["collection", "rows#", "rows read#", "of rows#"], rows)
    if result["found"]:
        out.print("STILL FOUND in: " + ", ".join(result["found"]), style="red")
        return
    if result["found"] is None:
        out.print("erased; a tombstone keeps them out")
    elif not any(one["rows"] for one in result["erased"].values()):
        out.print("nothing was kept of them; a tombstone keeps them out")
        return
    else:
        out.print("searched every file: nothing left; a tombstone keeps them out")
    for one in result["models"]:
        out.print(f"model {one['model']} {one['id'][:16]} learned from them: {one['rule']}")
    out.print("next: liftwerk run, to learn again without them")


def _listed(path: Path) -> list[str]:
    """Read a file of identifiers, one a line."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        what = f"cannot be read ({(error.strerror or str(error)).lower()})"
        raise InputError(what, str(path), "name a file of identifiers, one a line") from None
    except UnicodeDecodeError:
        raise InputError("not UTF-8", str(path), "save it as UTF-8 text") from None
    found = [line.strip() for line in lines if line.strip()]
    if not found:
        raise InputError("no identifier in it", str(path), "write one a line")
    return found


def _confirm(customers: list[str]) -> None:
    whom = "the queued customers"
    if customers:
        whom = f"{len(customers)} customers"
    if len(customers) == 1:
        whom = f"customer {customers[0]}"
    if not err.is_terminal:
        raise ProjectError("erasure can't be undone", f"erase {whom}", "repeat it with --yes")
    question = f"Erase {whom} from every store? This can't be undone"
    if not prompt.Confirm.ask(question, console=err, default=False):
        raise ProjectError("not erased", f"erase {whom}", "you said no")


@app.command(group="Governance")
def export(
    customer: str,
    /,
    *,
    out_: Annotated[Path | None, Parameter(name="--out")] = None,
    common: Common = DEFAULTS,
) -> None:
    """Tell all that is known of a customer, for machines (--json, or a file) and for people.

    Parameters
    ----------
    customer
        An identifier: VALUE, or NAMESPACE:VALUE.
    out_
        A folder for customer.json and customer.html, readable by you alone.
    """
    with open_project(common) as project:
        told = (project.definitions, project.stores, customer, project.actor, project.clock)
        document = exporting.export(*told)
    if out_ is not None:
        page = customer_page.customer_page(document).encode()
        data = msgspec.json.format(msgspec.json.encode(document), indent=2)
        for name, content in (("customer.json", data), ("customer.html", page)):
            _write_private(out_ / name, content)

    def render() -> None:
        if not document["identifiers"] and not document["collections"]:
            out.print("nothing is kept of them")
            return
        cells = [[one["namespace"], one["value"]] for one in document["identifiers"]]
        show.table("Known as", ["namespace", "identifier"], cells)
        counts = [
            [name, fmt.number(len(one["rows"])), ", ".join(one["kept_for"]), one["kept"]]
            for name, one in document["collections"].items()
        ]
        show.table("Kept", ["collection", "rows#", "for", "how long"], counts)
        if out_ is None:
            out.print("all of it: --json, or --out FOLDER")
            return
        out.print(f"written: {out_ / 'customer.html'} and customer.json", markup=False)

    emit(common, document, render)


def _write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read; one that is there stays as it is."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:
            file.write(content)
    except OSError as error:
        what = f"cannot be written ({(error.strerror or str(error)).lower()})"
        raise ProjectError(what, str(path), "name an empty folder") from None


@app.command(group="Governance")
def retention(
    *, dry_run: Annotated[bool, Parameter(negative="")] = False, common: Common = DEFAULTS
) -> None:
    """Take out what is older than it may be; every run of the loop does it too.

    Parameters
    ----------
    dry_run
        Say what would go, and change nothing.
    """
    with open_project(common) as project:
        told = (project.definitions, project.stores)
        if dry_run:
            gone = expiring.expired(*told, project.clock.now())
        else:
            with project.stores.home.hold("retention"):
                gone = retaining.retain(*told, project.clock)
    rows = msgspec.to_builtins(gone)

    def render() -> None:
        if not rows:
            out.print("nothing is older than it may be")
            return
        title = "Gone"
        if dry_run:
            title = "Would go"
        cells = [
            [
                f"{row['event']} {row['version']}",
                row["property"] or "(the event)",
                row["kept"],
                fmt.moment(row["before"]),
                fmt.number(row["rows"]),
            ]
            for row in rows
        ]
        show.table(title, ["event", "property", "kept", "older than", "rows#"], cells)

    emit(common, rows, render)


@erasures.command(name="list")
def list_erasures(*, limit: int = 50, common: Common = DEFAULTS) -> None:
    """List erasures, newest first; they say nothing of whom.

    Parameters
    ----------
    limit
        Most erasures to list.
    """
    with open_project(common) as project:
        rows = msgspec.to_builtins(project.stores.ledger.erasures(limit))

    def render() -> None:
        cells = [[row["id"], fmt.moment(row["requested"]), _state(row), _rows(row)] for row in rows]
        show.table("Erasures", ["receipt", "asked for", "erased", "rows#"], cells)

    emit(common, rows, render)


@erasures.command(name="show")
def show_erasure(receipt: str, /, *, common: Common = DEFAULTS) -> None:
    """Show an erasure's receipt: what went, by collection and field.

    Parameters
    ----------
    receipt
        Its id.
    """
    with open_project(common) as project:
        found = project.stores.ledger.erasure(receipt)
    if found is None:
        raise UnknownName("no such erasure", "erasures show", "see `liftwerk erasures list`")
    row = msgspec.to_builtins(found)

    def render() -> None:
        together = row["receipt"].get("erased_together", 0)
        facts = {"asked for": fmt.moment(row["requested"]), "erased": _state(row)}
        show.pairs(f"Erasure {row['id']}", {**facts, "erased together": fmt.number(together)})
        collections = row["receipt"].get("collections", {})
        cells = [
            [name, field, fmt.number(many)]
            for name, one in collections.items()
            for field, many in one["fields"].items()
        ]
        show.table("What went", ["collection", "field", "rows#"], cells)
        for one in row["receipt"].get("models", []):
            out.print(f"model {one['model']} {one['id'][:16]} learned from them: {one['rule']}")

    emit(common, row, render)


def _state(row: dict[str, Any]) -> str:
    if row["finished"] is None:
        return "queued"
    return fmt.moment(row["finished"])


def _rows(row: dict[str, Any]) -> str:
    collections = row["receipt"].get("collections", {})
    return fmt.number(sum(one["rows"] for one in collections.values()))

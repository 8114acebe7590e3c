"""`features list`, `show`, `diff`, `prune` and `lineage`: what is declared, and where from."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from liftwerk.cli import show
from liftwerk.cli.app import DEFAULTS, Common, app, emit, open_project, out
from liftwerk.cli.features import features
from liftwerk.errors import ProjectError
from liftwerk.lazy import LazyModule
from liftwerk.server import format as fmt

if TYPE_CHECKING:
    from liftwerk.features import catalogue, diff, older, used
    from liftwerk.governance import lineage as graphs
    from liftwerk.project import features as told
    from liftwerk.project.door import Project
    from liftwerk.store.stores import Stores
else:
    catalogue = LazyModule("liftwerk.features.catalogue")
    diff = LazyModule("liftwerk.features.diff")
    graphs = LazyModule("liftwerk.governance.lineage")
    older = LazyModule("liftwerk.features.older")
    told = LazyModule("liftwerk.project.features")
    used = LazyModule("liftwerk.features.used")


def _stores(project: Project) -> Stores | None:
    """Open the stores where there are any: looking makes none."""
    if project.definitions.home.exists():
        return project.stores
    return None


@features.command(name="list")
def list_(*, search: str = "", common: Common = DEFAULTS) -> None:
    """List the declared features.

    Parameters
    ----------
    search
        Only those in whose name, words, owner or properties this occurs.
    """
    with open_project(common) as project:
        now = project.clock.now()
        stores = _stores(project)
        found = told.catalogue_rows(project.definitions, stores, now, search)
        left: list[str] = []
        if stores is not None:
            left = told.undeclared_versions(project.definitions, stores)

    def render() -> None:
        if not found:
            said = "no feature is declared: see [features.NAME]"
            if search:
                said = f"nothing of {search!r} in any declared feature"
            out.print(said, markup=False)
            return
        rows = [
            [
                one["name"],
                one["entity"],
                one["says"],
                one["privacy"],
                ", ".join(one["views"]),
                _fresh(one, now),
                one["owner"],
                one["short"],
                _deprecated(one),
            ]
            for one in found
        ]
        columns = ("feature", "about", "what", "privacy", "kept in", "fresh", "owner", "version")
        show.table("", (*columns, "deprecated"), rows)
        if left:
            said = f"values are kept of {', '.join(left)}, which nobody declares any more"
            out.print(f"{said}: liftwerk features prune", style="dim", markup=False, soft_wrap=True)

    emit(common, found, render)


@features.command(name="show")
def show_(
    name: str,
    /,
    *,
    sql: Annotated[bool, Parameter(negative="")] = False,
    dialect: Literal["duckdb", "pyspark"] = "duckdb",
    common: Common = DEFAULTS,
) -> None:
    """Show a feature: what it is, what it reads, where it is kept, and its versions.

    Parameters
    ----------
    name
        The feature.
    sql
        Print the SQL that makes it, step by step, and nothing else.
    dialect
        The engine that the SQL is for.
    """
    with open_project(common) as project:
        if sql:
            entry = catalogue.entry_of(project.definitions, name)
            made = catalogue.statements(project.definitions, name, dialect)
            text = ";\n\n".join(made) + ";"
            document = {"feature": entry, "sql": made}
            emit(common, document, lambda: out.print(text, markup=False, soft_wrap=True))
            return
        now = project.clock.now()
        found = told.feature_document(project.definitions, _stores(project), now, name)

    def render() -> None:
        show.pairs(
            found["name"],
            {
                "what": found["says"],
                "about": found["entity"],
                "description": found["description"] or "-",
                "owner": found["owner"] or "-",
                "reads": ", ".join(found["reads"]),
                "privacy": found["privacy"],
                "kept in": ", ".join(found["views"]) or "-",
                "for": ", ".join(found["purposes"]) or "-",
                "fresh": _fresh(found, now),
                "checks": "; ".join(found["asks"]) or "-",
                "deprecated": _deprecated(found) or "no",
                "version": found["version"],
            },
        )
        rows = [[one["short"], _moment(one["first"]), one["words"]] for one in found["versions"]]
        show.table("Versions", ("version", "first used", "against the one before"), rows)

    emit(common, found, render)


@features.command(name="diff")
def diff_(name: str, before: str = "", after: str = "", /, *, common: Common = DEFAULTS) -> int:
    """Show what changed between two versions of a feature; exits 1 when values change.

    Parameters
    ----------
    name
        The feature.
    before, after
        The beginning of a version's hash, as `features show` lists them; by default the last two.
    """
    with open_project(common) as project:
        stores = _stores(project)
        ledger = None
        if stores is not None:
            ledger = stores.ledger
        versions = used.versions_of(project.definitions, ledger, name)
    old, new = versions[-min(2, len(versions))], versions[-1]
    if before:
        old = used.version_named(versions, before)
    if after:
        new = used.version_named(versions, after)
    found = diff.difference(old, new)

    def render() -> None:
        if len(versions) == 1:
            out.print(f"{name} has one version: {new.short}", markup=False)
            return
        rows = [
            [one.key, one.before or "-", one.after or "-", one.meaning] for one in found.changes
        ]
        out.print(f"{name} {old.short} -> {new.short}: {found.words}", style="bold", markup=False)
        show.table("", ("key", "was", "is", "changes"), rows)

    document = {
        "feature": name,
        "before": old.version,
        "after": new.version,
        "values_change": found.values,
        "changes": found.changes,
    }
    emit(common, document, render)
    return int(found.values)


@features.command
def prune(
    *, dry_run: Annotated[bool, Parameter(negative="")] = False, common: Common = DEFAULTS
) -> None:
    """Forget values of versions of views that nobody declares any more.

    A view whose definition changes is filled beside the old values, which stay until they are
    forgotten: by this, or by the next erasure or retention. A version that a view names in `also`
    is declared.

    Parameters
    ----------
    dry_run
        Say what would go, and change nothing.
    """
    with open_project(common) as project:
        given = (project.definitions, project.stores)
        if dry_run:
            names = set(older.orphans(*given))
            kept = project.stores.online.spaces()
            gone = {one.name: one.rows for one in kept if one.name in names}
        else:
            gone = older.drop_orphans(*given)

    def render() -> None:
        if not gone:
            out.print("every version that is kept is declared", markup=False)
            return
        title = "Gone"
        if dry_run:
            title = "Would go"
        rows = [[name, fmt.number(many)] for name, many in gone.items()]
        show.table(title, ("version", "rows#"), rows)

    emit(common, [{"space": name, "rows": many} for name, many in gone.items()], render)


@app.command(group="Governance")
def lineage(
    node: str | None = None,
    /,
    *,
    up: Annotated[bool, Parameter(negative="")] = False,
    down: Annotated[bool, Parameter(negative="")] = False,
    common: Common = DEFAULTS,
) -> None:
    """Show where everything comes from and goes to: from events to metrics, policies, experiments.

    Parameters
    ----------
    node
        Only what is connected with this: a name, or SECTION.NAME such as features.orders_90d or
        events.order_completed.revenue.
    up
        Only what it is made of.
    down
        Only what is made of it.
    """
    if node is None and (up or down):
        raise ProjectError("up and down of what?", "lineage", "name a node, such as a feature")
    with open_project(common) as project:
        graph = graphs.lineage(project.definitions)
    if node is not None:
        chosen = graph.find(node).id
        if up == down:
            graph = graph.around(chosen)
        elif up:
            graph = graph.up(chosen)
        else:
            graph = graph.down(chosen)

    def render() -> None:
        if not graph.nodes:
            out.print("nothing is declared yet", markup=False)
            return
        rows = []
        for one in graph.nodes:
            sources = [f"{edge.source} ({edge.why})" for edge in graph.sources.get(one.id, ())]
            rows.append([one.kind, one.name, ", ".join(sources) or "-", one.privacy, one.owner])
        show.table("", ("kind", "name", "made of", "privacy", "owner"), rows)

    emit(common, {"nodes": graph.nodes, "edges": graph.edges}, render)


def _fresh(one: dict[str, Any], now: datetime) -> str:
    if not one["views"]:
        return "-"
    if one["held"] is not None:
        return "held"
    if one["fresh"] is None:
        return "never made"
    age = (now - datetime.fromisoformat(one["fresh"])).total_seconds()
    return f"{fmt.delay(max(0.0, age))} ago"


def _deprecated(one: dict[str, Any]) -> str:
    if one["deprecated"] is None:
        return ""
    words = f"from {one['deprecated']}"
    if one["use"] is not None:
        words += f", use {one['use']}"
    return words


def _moment(iso: str | None) -> str:
    if iso is None:
        return "not used yet"
    return fmt.moment(iso)

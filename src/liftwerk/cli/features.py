"""`features`: what is known of a customer, how it is made, and what it is now."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from liftwerk.cli import progress, show, stopping
from liftwerk.cli.app import DEFAULTS, Common, app, emit, open_project, out
from liftwerk.cli.since import since_when
from liftwerk.errors import ProjectError
from liftwerk.lazy import LazyModule
from liftwerk.server import format as fmt

if TYPE_CHECKING:
    import msgspec
    import numpy as np

    from liftwerk.decisions import verify as verification
    from liftwerk.features import cost, older, serve, update
    from liftwerk.features.checks import accept as acceptance
    from liftwerk.features.checks import check as data_checks
    from liftwerk.features.checks import flags
    from liftwerk.features.cost import Cost
    from liftwerk.features.fixtures import run as fixtures
    from liftwerk.features.packs import kinds as packs
    from liftwerk.features.served import Flag
else:
    acceptance = LazyModule("liftwerk.features.checks.accept")
    cost = LazyModule("liftwerk.features.cost")
    flags = LazyModule("liftwerk.features.checks.flags")
    data_checks = LazyModule("liftwerk.features.checks.check")
    fixtures = LazyModule("liftwerk.features.fixtures.run")
    older = LazyModule("liftwerk.features.older")
    packs = LazyModule("liftwerk.features.packs.kinds")
    msgspec = LazyModule("msgspec")
    np = LazyModule("numpy")
    serve = LazyModule("liftwerk.features.serve")
    update = LazyModule("liftwerk.features.update")
    verification = LazyModule("liftwerk.decisions.verify")

SHOWN = 50
"""Differences that are shown in a terminal; the document has all of them."""

features = App(
    name="features",
    help="What is known of a customer, how it is made, and what it is now.",
    help_format="plaintext",
    group="Features",
)
app.command(features)


@features.command(name="packs")
def packs_(*, common: Common = DEFAULTS) -> None:
    """List the kinds of packs that one line of the project file switches on."""
    every = packs.PACKS.values()
    found = [
        {
            "kind": one.name,
            "for": one.says,
            "about": one.entity,
            "needs": one.needs,
            "takes": one.takes,
            "gives": one.gives,
        }
        for one in every
    ]

    def render() -> None:
        rows = [
            [one.name, one.says, *(", ".join(part) for part in (one.needs, one.takes, one.gives))]
            for one in every
        ]
        show.table("", ("kind", "tells", "needs", "takes", "gives"), rows)

    emit(common, {"packs": found}, render)


@features.command(name="test")
def expectations(name: str | None = None, /, *, common: Common = DEFAULTS) -> int:
    """Run the declared tests of features; exit 1 when a value isn't the one that was expected.

    Parameters
    ----------
    name
        Only the test of this name, or those that expect a value of the feature of this name.
    """
    with open_project(common) as project:
        done = fixtures.run_tests(project.definitions, name)

    def render() -> None:
        if done.tests == 0:
            out.print("no test is declared: see [feature_tests.NAME]", markup=False)
        for one in done.differences:
            out.print(_difference(one), markup=False, soft_wrap=True)
        wrong = len(done.differences)
        if done.tests > 0:
            told = (
                f"{fmt.number(done.tests)} tests, {fmt.number(done.values)} values: {wrong} wrong"
            )
            out.print(told, markup=False)

    emit(common, done, render)
    return int(bool(done.differences))


def _difference(one: fixtures.Difference) -> str:
    if one.said:
        return f"{one.test}: {one.where}: {one.said}"
    found = f"training says {_shown(one.trained)}, a decision is told {_shown(one.served)}"
    both_miss = one.trained is None and isinstance(one.served, dict)
    if both_miss or one.trained == one.served:
        found = f"found {_shown(one.served)}"
    return f"{one.test}: {one.feature} is not {_shown(one.expected)}: {one.where}: {found}"


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return f"missing ({value['missing'].replace('_', ' ')})"
    return str(value)


@features.command
def backfill(
    views: list[str] | None = None,
    /,
    *,
    fresh: Annotated[bool, Parameter(negative="")] = False,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    common: Common = DEFAULTS,
) -> int:
    """Bring kept values up to the end of the log; those of a new view are made from all of it.

    It may be run beside a server, be killed at any point, and goes on there when it is run again.
    Exit 1 when a view stays at its last good state because a check fails.

    Parameters
    ----------
    views
        Only these; all declared ones by default.
    fresh
        Forget what is kept of them first; nobody is told any value until they are made anew.
    dry_run
        Say what there is to read for each, and do nothing.
    """
    with open_project(common) as project:
        names = views or older.kept_names(project.definitions)
        given = (project.definitions, project.stores)
        if dry_run:
            kept = update.Updater(*given, project.clock, names).views
            _costs(common, cost.costs(*given, kept))
            return 0
        project.use()
        began = time.monotonic()
        with progress.steps() as tell:
            parts: dict[str, progress.Parts] = {}
            updater = update.Updater(
                *given,
                project.clock,
                names,
                filled=lambda one: tell(
                    one.view, parts[one.view].words(one.done, one.parts, time.monotonic())
                ),
            )
            if fresh:
                updater.forget()
            for one in cost.costs(*given, updater.views):
                parts[one.view] = progress.Parts(one.rows)
                tell(one.view, f"{fmt.number(one.rows)} rows to read")
            updater.catch_up(lambda offset: tell("features", f"{fmt.number(offset)} of the log"))
        rows = updater.rows()
        standing = flags.read_flags(project.stores.online)
        held = {one.name: standing.get(one.space) for one in updater.views}
        found = [
            {"view": name, "rows": many, "offset": offset, "flagged": held[name]}
            for name, many, offset in rows
        ]
        seconds = time.monotonic() - began

    def render() -> None:
        if not found:
            out.print("no view is declared: see [feature_views.NAME]", markup=False)
            return
        cells = [[name, fmt.number(many), _known(offset)] for name, many, offset in rows]
        show.table(f"Up to date in {seconds:.1f} s", ("view", "rows#", "offset#"), cells)
        for name, flag in held.items():
            if flag is not None:
                _flagged(name, flag)

    emit(common, {"views": found}, render)
    return int(any(held.values()))


def _known(offset: int | None) -> str:
    if offset is None:
        return "not told yet"
    return fmt.number(offset)


def _costs(common: Common, found: list[Cost]) -> None:
    def render() -> None:
        rows = [
            [
                one.view,
                "made from the whole log" if one.fills else "follows from where it stands",
                fmt.number(one.rows),
                f"{one.bytes / 1e6:,.1f}",
                fmt.number(one.parts),
            ]
            for one in found
        ]
        show.table("To be read", ("view", "how", "rows#", "MB#", "parts#"), rows)

    emit(common, {"views": found}, render)


def _flagged(view: str, flag: Flag) -> None:
    said = f"{view} stays as it was: {flag.reason} (since {flag.since:%Y-%m-%d %H:%M:%S} UTC)"
    out.print(said, style="yellow", markup=False, soft_wrap=True)
    hint = f"mend the events or the feature, or run liftwerk features accept {view}"
    out.print(hint, style="dim", markup=False, soft_wrap=True)


@features.command
def follow(
    views: list[str] | None = None,
    /,
    *,
    every: str = "1s",
    until_eof: Annotated[bool, Parameter(negative="")] = False,
    common: Common = DEFAULTS,
) -> None:
    """Keep views up to date with what is collected, until stopped; `serve` does so by itself.

    Parameters
    ----------
    views
        Only these; all declared ones by default.
    every
        Time between the end of one step and the start of the next.
    until_eof
        End when standard input ends, as it does when whoever started this is gone.
    """
    ending = stopping.until_told()
    if until_eof:
        stopping.at_eof(ending)
    seconds = stopping.seconds(every, "features follow")
    with open_project(common) as project:
        project.use()
        updater = update.Updater(project.definitions, project.stores, project.clock, views)
        updater.begin()
        while not ending.is_set():
            updater.catch_up()
            ending.wait(seconds)


@features.command
def verify(
    view: str | None = None,
    /,
    *,
    sample: int = 100,
    since: str | None = None,
    common: Common = DEFAULTS,
) -> None:
    """Make what was told of features again from the log; exits 1 when a difference has no cause.

    Answers are drawn from those that views noted when they gave them, those that decisions rest
    on, and those that views would give now.

    Parameters
    ----------
    view
        Only answers of this view; by default of all views and of decisions.
    sample
        Answers of each kind at most.
    since
        Only answers from then on: a length of time such as 7d, or a day such as 2026-03-01.
    """
    if sample < 1:
        raise ProjectError(f"--sample is {sample}", "features verify", "draw at least one answer")
    with open_project(common) as project:
        found = verification.verify_told(
            project.definitions,
            project.stores,
            project.clock,
            np.random.default_rng(),
            view,
            sample,
            since_when(since, project.clock.now(), "features verify"),
        )

    def render() -> None:
        out.print(found.sentence, markup=False)
        for many, said in (
            (found.waiting, "answers rest on events that are not sorted yet: liftwerk run"),
            (found.erased, "noted answers went with customers who were erased"),
        ):
            if many:
                out.print(f"{fmt.number(many)} {said}", markup=False)
        for name, many in found.changed.items():
            said = "values not compared, it is another feature now"
            out.print(f"{name}: {fmt.number(many)} {said}", markup=False)
        for name, many in found.beside.items():
            said = f"values not compared: {found.why[name]}"
            out.print(f"{name}: {fmt.number(many)} {said}", markup=False)
        erased = found.causes.get("erased", 0)
        if erased:
            said = "differ, and somebody was erased since who may be why: whom, is not kept"
            out.print(f"{fmt.number(erased)} {said}", markup=False)
        if found.differences:
            rows = [
                [one.feature, f"{one.by} {one.name}", one.key, one.told, one.found, one.cause]
                for one in found.differences[:SHOWN]
            ]
            columns = ("feature", "told by", "about", "told", "the log says", "cause")
            show.table(f"{fmt.number(len(found.differences))} differences", columns, rows)

    emit(common, {**msgspec.to_builtins(found), "holds": found.holds}, render)
    if not found.holds:
        raise SystemExit(1)


@features.command
def get(
    view: str,
    /,
    *key: str,
    namespace: str | None = None,
    given: Annotated[dict[str, str] | None, Parameter(name="--given")] = None,
    common: Common = DEFAULTS,
) -> None:
    """Show what is known of a customer, or another entity, now: as a decision would be told it.

    Parameters
    ----------
    view
        The view.
    key
        Any identifier of the customer's: VALUE, or NAMESPACE:VALUE. Of a declared entity each part
        of its key.
    namespace
        The identifier's namespace; by default the one before the colon, else the first declared.
    given
        What comes with the request, as --given.NAME VALUE.
    """
    with open_project(common) as project:
        server = serve.Server(project.definitions, project.stores, view, project.clock)
        whom = server.key(key, namespace)
        served = server.get(*whom, request=server.request(given or {}))

    def render() -> None:
        facts: dict[str, Any] = {}
        for name, value in served.values.items():
            facts[name] = value
            if value is None:
                facts[name] = f"- ({served.missing[name].replace('_', ' ')})"
        age = (served.as_of - served.fresh).total_seconds()
        show.pairs(f"{' '.join(key)} in {view}", facts)
        out.print(
            f"as of {served.as_of:%Y-%m-%d %H:%M:%S} UTC, offset {fmt.number(served.offset)},"
            f" brought up to date {age:.0f} s before",
            style="dim",
        )
        if served.flagged is not None:
            _flagged(view, served.flagged)

    emit(common, served, render)


@features.command
def check(views: list[str] | None = None, /, *, common: Common = DEFAULTS) -> int:
    """Run all checks now, of features, views and events; exit 1 when one fails.

    Parameters
    ----------
    views
        Only these; all views and all events by default.
    """
    with open_project(common) as project:
        given = (project.definitions, project.stores, project.clock)
        findings = data_checks.run_checks(*given, views)
    failed = sum(one.verdict == "failed" for one in findings)

    def render() -> None:
        if not findings:
            out.print("no check is declared: see checks of [features.NAME]", markup=False)
            return
        rows = [
            [one.subject, one.expected, one.found, show.verdict(one.verdict), one.severity]
            for one in findings
        ]
        columns = ("what", "should be", "is", "verdict", "if it fails")
        show.table(f"{len(findings)} checks, {failed} failed", columns, rows)

    emit(common, {"checks": findings, "failed": failed}, render)
    return int(failed > 0)


@features.command
def accept(view: str, /, *, common: Common = DEFAULTS) -> None:
    """Let a view go on that stays at its last good state: what was found is right as it is.

    Values no worse than those that were found pass from now on. The ledger keeps who said so.

    Parameters
    ----------
    view
        The view.
    """
    with open_project(common) as project:
        given = (project.definitions, project.stores, project.clock, project.actor)
        accepted = acceptance.accept(*given, view)

    def render() -> None:
        for one in accepted:
            name = one.subject.rpartition(".")[2]
            out.print(f"accepted: {name}: {one.found}", markup=False, soft_wrap=True)

    emit(common, {"view": view, "accepted": accepted}, render)


@features.command
def baseline(view: str, /, *, common: Common = DEFAULTS) -> None:
    """Keep how the values of a view are spread now, for its checks of distribution.

    Whoever trains a model keeps that of its training set, in the place of an older one.

    Parameters
    ----------
    view
        The view.
    """
    with open_project(common) as project:
        given = (project.definitions, project.stores, project.clock)
        sketches = data_checks.take_baseline(*given, view)

    def render() -> None:
        rows = [
            [name, fmt.number(sum(one.counts)), fmt.number(one.missing)]
            for name, one in sketches.items()
        ]
        show.table(f"Kept of {view}", ("feature", "values#", "missing#"), rows)

    emit(common, {"view": view, "features": sketches}, render)

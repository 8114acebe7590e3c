"""Run all checks now: of views, and of the events themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime

import duckdb

from liftwerk.clock import Clock
from liftwerk.definitions.project import Project
from liftwerk.events.arrival import ArrivalChecks
from liftwerk.events.definition import known_events
from liftwerk.events.engine import quoted
from liftwerk.events.read import relations
from liftwerk.events.tail import MOST, Behind, Tail
from liftwerk.features.checks.finding import Finding
from liftwerk.features.checks.flags import read_held
from liftwerk.features.checks.keep import keep_sketches, read_accepted, references
from liftwerk.features.checks.kinds import checks_of_arrival
from liftwerk.features.checks.sample import kept_features, sampled, values_of
from liftwerk.features.checks.scan import RELATION, Asked, Scan
from liftwerk.features.checks.sketch import Sketch
from liftwerk.features.checks.values import Plan, asked_of
from liftwerk.features.kept import KeptView, is_filled, kept_view
from liftwerk.features.views import FEATURE_VIEWS
from liftwerk.stats.estimate import Unknown
from liftwerk.store.instants import to_microseconds
from liftwerk.store.online import Progress
from liftwerk.store.stores import Stores

AUDIT = "audit"

_ARRIVALS = {"time": "int64", "known_at": "int64"}


def run_checks(
    project: Project, stores: Stores, clock: Clock, views: Sequence[str] | None = None
) -> list[Finding]:
    """Run all checks of some views; of all views and all events where none is named.

    Values are those of up to `liftwerk.features.checks.sample.MOST` customers, as they are kept;
    events are all there are, also what is not yet sorted into tables.

    Parameters
    ----------
    project : Project
    stores : Stores
    clock : Clock
    views : sequence of str, optional

    Returns
    -------
    list of Finding
        In the order of the declarations.

    Raises
    ------
    UnknownName
        If no such view is declared.
    """
    now = clock.now()
    findings: list[Finding] = []
    with _everything(project, stores) as behind:
        if views is None:
            for name, event in known_events(project).items():
                findings += _of_event(project, stores, name, event.checks, now, behind)
            views = list(project.get(FEATURE_VIEWS))
        for name in views:
            findings += _of_view(project, stores, kept_view(project, name), now, behind)
    return findings


def take_baseline(
    project: Project, stores: Stores, clock: Clock, view: str
) -> Mapping[str, Sketch]:
    """Keep how the values of a view are spread now, for its checks of distribution.

    Parameters
    ----------
    project : Project
    stores : Stores
    clock : Clock
    view : str

    Returns
    -------
    mapping of str to Sketch
        Feature -> what was kept; those of which no value is known are not in it.

    Raises
    ------
    UnknownName
        If no such view is declared.
    """
    kept, now = kept_view(project, view), clock.now()
    leaves = sampled(stores.online, kept)
    values = values_of(project, stores.online, kept, leaves, to_microseconds(now))
    return keep_sketches(project, stores, values, f"feature_views.{view}", now)


@contextmanager
def _everything(project: Project, stores: Stores) -> Iterator[Behind]:
    """Read the log to its end, as far as memory goes."""
    tail = Tail(project, stores)
    with tail.reading(MOST) as behind:
        yield behind


def _of_event(
    project: Project,
    stores: Stores,
    name: str,
    declared: ArrivalChecks,
    now: datetime,
    behind: Behind,
) -> list[Finding]:
    if declared == ArrivalChecks():
        return []
    scan = _arrival_scan(project, f"events.{name}", declared, now, None)
    with relations(project, stores, AUDIT, names=[name], tail=behind) as connection:
        return _arrivals(connection, [name], scan)


def _of_view(
    project: Project, stores: Stores, kept: KeptView, now: datetime, behind: Behind
) -> list[Finding]:
    subject = f"feature_views.{kept.name}"
    progress = stores.online.progress(kept.space)
    held = read_held(stores.online, kept.space)
    if held is not None and not is_filled(progress):
        return list(held.findings)
    if progress is None or not is_filled(progress):
        found = (
            f"unknown: its values were never made (needs liftwerk features backfill {kept.name})"
        )
        return [Finding(subject, "", "warn", "unknown", "values", found)]
    findings = []
    declared = kept.declared.checks
    if declared != ArrivalChecks():
        newest = _up_to_date(stores, progress, now)
        scan = _arrival_scan(project, subject, declared, now, newest)
        purpose = kept.declared.purpose
        with relations(project, stores, purpose, names=kept.events, tail=behind) as connection:
            findings += _arrivals(connection, kept.events, scan)
    leaves = sampled(stores.online, kept)
    values = values_of(project, stores.online, kept, leaves, to_microseconds(now))
    by_check = {one.where: one for one in plan_of(project, stores, kept).run(values)}
    if held is not None:  # what is kept is good: it stays so because of what is not
        by_check |= {one.where: one for one in held.findings}
    return [*findings, *by_check.values(), *_of_others(project, kept)]


def _of_others(project: Project, kept: KeptView) -> Iterator[Finding]:
    """Tell of checks that only a training set can judge."""
    names = set(kept.declared.features) - set(kept_features(project, kept.name))
    why = Unknown("it is reckoned for each question and not kept", "a training set")
    for one in asked_of(project, [name for name in kept.declared.features if name in names]):
        yield Finding(one.subject, one.check.name, one.severity, "unknown", one.expected, str(why))


def plan_of(project: Project, stores: Stores, kept: KeptView, stopping: bool = False) -> Plan:
    """Return the checks of what a view keeps, with what was accepted of it."""
    names = kept_features(project, kept.name)
    known = references(project, stores, names)
    sketches = tuple((name, one.sketch) for name, one in known.items())
    return Plan(project, names, sketches, read_accepted(stores.online, kept.space), stopping)


def _up_to_date(stores: Stores, progress: Progress, now: datetime) -> datetime:
    if progress.offset >= stores.inbox.last_offset():
        return now
    return progress.at


def _arrival_scan(
    project: Project,
    subject: str,
    declared: ArrivalChecks,
    now: datetime,
    newest: datetime | None,
) -> Scan:
    checks = checks_of_arrival(declared, now, project.timezone, newest)
    asked = [Asked(subject, check, check.severity, check.expected) for check in checks]
    return Scan(asked, _ARRIVALS)


def _arrivals(
    connection: duckdb.DuckDBPyConnection, names: Sequence[str], scan: Scan
) -> list[Finding]:
    """Scan when events happened and were known; only DuckDB's own part is not Ibis."""
    selects = " UNION ALL ".join(
        f"SELECT epoch_us(time) AS time, epoch_us(known_at) AS known_at FROM {quoted(name)}"
        " WHERE NOT synthetic"
        for name in names
    )
    connection.execute(f"CREATE VIEW {RELATION} AS {selects}")
    return scan.run(connection)

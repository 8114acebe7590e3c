"""Taking inventory: what is declared beside what was seen, and what is missing of either."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from liftwerk.clock import Clock
from liftwerk.definitions.project import Project
from liftwerk.events.consent.statements import CHANGE
from liftwerk.events.definition import LIVE, RESERVED
from liftwerk.events.inventory.gaps import find_gaps
from liftwerk.events.inventory.latency import quantiles
from liftwerk.events.inventory.seen import Facts, Observed, kept_undeclared, observe
from liftwerk.events.inventory.shapes import (
    DAYS,
    Coverage,
    EventFacts,
    IdentifierFacts,
    Inventory,
    Latency,
    PropertyFacts,
    Quantiles,
    Seen,
    Silence,
    SourceFacts,
)
from liftwerk.events.inventory.silence import silence
from liftwerk.events.inventory.violations import Violations, violations
from liftwerk.events.schema import EventType, Schema, schema_of
from liftwerk.privacy.definition import PURPOSES
from liftwerk.store.stores import Stores


def take_inventory(
    project: Project, stores: Stores, clock: Clock, since: datetime | None = None
) -> Inventory:
    """Say what is collected, and where the gaps are.

    Parameters
    ----------
    project : Project
    stores : Stores
    clock : Clock
        Says now: silence is judged by it.
    since : datetime or None
        Only what came since then; None for all.

    Returns
    -------
    Inventory
        Of the latest snapshot: what is still in the inbox is not in it.
    """
    schema = schema_of(project)
    now = clock.now()
    purposes = tuple(name for name, one in project.get(PURPOSES).items() if one.basis == "consent")
    snapshot = stores.ledger.latest_snapshot()
    observed = observe(project, stores, schema, purposes, since)
    refused = violations(schema, stores.inbox.quarantine_groups(0), since)
    every = _Sums(observed, purposes)
    keys = sorted({*observed.facts, *observed.synthetic})
    events = tuple(
        _event(kind, every, refused, [key for key in keys if key[0] == name])
        for name, kind in schema.types.items()
        if name not in RESERVED or any(key[0] == name for key in keys)
    )
    sources = tuple(_sources(schema, every, refused, keys, now))
    identifiers = tuple(_identifiers(schema, observed, refused))
    snapshot_id = snapshot_at = None
    if snapshot is not None:
        snapshot_id, snapshot_at = snapshot.id, snapshot.at
    return Inventory(
        project=project.name,
        at=now,
        since=since,
        snapshot=snapshot_id,
        snapshot_at=snapshot_at,
        seen=every.seen(keys),
        purposes=purposes,
        gaps=tuple(
            find_gaps(
                events, sources, identifiers, purposes, refused, kept_undeclared(stores, schema)
            )
        ),
        sources=sources,
        events=events,
        identifiers=identifiers,
    )


class _Sums:
    """Adds up what was observed, over any (event, source)."""

    def __init__(self, observed: Observed, purposes: Sequence[str]) -> None:
        self.observed = observed
        self.purposes = purposes

    def facts(self, keys: Iterable[tuple[str, str]]) -> list[Facts]:
        """Return the sums that there are."""
        return [self.observed.facts[key] for key in keys if key in self.observed.facts]

    def seen(self, keys: Sequence[tuple[str, str]]) -> Seen:
        """Put together what was seen of some events from some sources."""
        parts = self.facts(keys)
        told = self.facts(key for key in keys if key[0] != CHANGE)
        granted = sum((one.granted for one in told), Counter())
        return Seen(
            events=sum(one.events for one in parts),
            weight=sum(one.weight for one in parts),
            synthetic=sum(self.observed.synthetic[key] for key in keys),
            last_time=max((one.last_time for one in parts if one.last_time), default=None),
            last_received=max(
                (one.last_received for one in parts if one.last_received), default=None
            ),
            consent=Coverage(
                events=sum(one.events for one in told),
                known=sum(one.known for one in told),
                missing=sum(one.missing for one in told),
                unreadable=sum(one.unreadable for one in told),
                granted={name: granted[name] for name in self.purposes},
            ),
            latency=Latency(
                _merged(self.observed.to_us, keys), _merged(self.observed.to_readers, keys)
            ),
        )


def _merged(
    buckets: Mapping[tuple[str, str], Counter[int]], keys: Iterable[tuple[str, str]]
) -> Quantiles | None:
    total: Counter[int] = Counter()
    for key in keys:
        total.update(buckets.get(key, {}))
    return quantiles(total)


def _event(
    kind: EventType, every: _Sums, refused: Violations, keys: Sequence[tuple[str, str]]
) -> EventFacts:
    facts = every.facts(keys)
    total = sum(one.events for one in facts)
    filled = sum((one.filled for one in facts), Counter())
    definition = kind.definition
    return EventFacts(
        name=kind.name,
        version=definition.version,
        description=definition.description,
        owner=definition.owner,
        built_in=kind.name in RESERVED,
        unique=definition.unique,
        seen=every.seen(keys),
        sources={source: every.seen([(name, source)]) for name, source in keys},
        properties=tuple(
            PropertyFacts(
                name=name,
                type=one.type,
                required=one.required,
                privacy=one.privacy,
                nulls=total - filled[name],
                refused=refused.fields[kind.name, name],
                unit=one.unit,
                description=one.description,
            )
            for name, one in definition.properties.items()
        ),
        refused=refused.events[kind.name],
        without_customer=sum(one.without_customer for one in facts),
    )


def _sources(
    schema: Schema,
    every: _Sums,
    refused: Violations,
    keys: Sequence[tuple[str, str]],
    now: datetime,
) -> Iterable[SourceFacts]:
    observed = every.observed
    seen = {source for _, source in keys} | set(observed.last)
    declared = [name for name in schema.sources if name != LIVE or name in seen]
    for name in [*declared, *sorted(seen - set(declared))]:
        source = schema.sources.get(name)
        kind = trust = declared_silence = None
        sample = description = ""
        if source is not None:
            kind, trust, description = source.kind, source.trust, source.description
            declared_silence, sample = source.silent_after, str(source.sample)
        rhythm = (observed.last.get(name), observed.by_hour.get(name, {}), now, declared_silence)
        judged = Silence("unknown", "it is not declared any more")
        if source is not None:
            judged = silence(*rhythm, is_file=kind == "file")
        sessions, without = observed.sessions.get(name, (0, 0))
        yield SourceFacts(
            name=name,
            kind=kind,
            trust=trust,
            sample=sample,
            seen=every.seen([key for key in keys if key[1] == name]),
            refused=refused.sources[name],
            sessions=sessions,
            sessions_without_consent=without,
            silence=judged,
            days=_days(observed.by_hour.get(name, {}), now),
            description=description,
        )


def _days(by_hour: Mapping[int, int], now: datetime) -> tuple[int, ...]:
    today = int(now.timestamp()) // 86_400
    by_day: Counter[int] = Counter()
    for hour, many in by_hour.items():
        by_day[hour // 24] += many
    return tuple(by_day[day] for day in range(today - DAYS + 1, today + 1))


def _identifiers(
    schema: Schema, observed: Observed, refused: Violations
) -> Iterable[IdentifierFacts]:
    total = sum(one.events for one in observed.facts.values())
    for name, space in schema.namespaces.items():
        sources: Counter[str] = Counter()
        for (_, source), one in observed.facts.items():
            sources[source] += one.identified[name]
        yield IdentifierFacts(
            name=name,
            normalise=space.normalise,
            privacy=space.privacy,
            anonymous=space.anonymous,
            events=sum(sources.values()),
            of=total,
            sources={source: many for source, many in sorted(sources.items()) if many},
            refused=refused.identifiers[name],
            description=space.description,
        )

"""How forwarding goes: how far behind, how fast, what was not sent and why, what happens next."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct

from liftwerk.clock import Clock
from liftwerk.connectors.destinations.definition import DESTINATIONS, Destination
from liftwerk.definitions.project import Project
from liftwerk.events.engine import quoted
from liftwerk.events.read import relations
from liftwerk.store.outbox.protocol import Count, Health, Standing, Waiting
from liftwerk.store.stores import Stores

State = Literal["not started", "up to date", "behind", "failing", "open"]
"""``failing``: the last request failed; ``open``: so many did that it is left alone for a while."""

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


class Status(Struct, frozen=True):
    """How one destination stands.

    Attributes
    ----------
    destination, kind, purpose : str
    state : str
        One of `State`.
    behind : int
        Events that it has not been told and that wait for it.
    behind_seconds : float
        How long ago the oldest of them reached us.
    waiting_retry : int
        Those of them that were tried and failed.
    next_try : datetime or None
        When a failed one, or the probe of an open breaker, is tried.
    delivered, delivered_last_day : int
    per_second : float
        Events delivered, since the beginning of the hour before.
    dropped : dict of str to int
        Why events were not sent -> how many.
    dead : dict of str to int
        Dead letters that stand now: the vendor's reason -> how many.
    succeeded, failed : datetime or None
        The last request that went through, and the last that did not.
    reason : str
        Why the last one that did not, did not.
    """

    destination: str
    kind: str
    purpose: str
    state: State
    behind: int
    behind_seconds: float
    waiting_retry: int
    next_try: datetime | None
    delivered: int
    delivered_last_day: int
    per_second: float
    dropped: dict[str, int]
    dead: dict[str, int]
    succeeded: datetime | None
    failed: datetime | None
    reason: str


def status(project: Project, stores: Stores, clock: Clock) -> list[Status]:
    """Say how each destination stands.

    Parameters
    ----------
    project : Project
    stores : Stores
    clock : Clock

    Returns
    -------
    list of Status
        One a destination, in the declared order.
    """
    now = clock.now()
    return [
        _status(project, stores, name, destination, now)
        for name, destination in project.get(DESTINATIONS).items()
    ]


def _status(
    project: Project, stores: Stores, name: str, destination: Destination, now: datetime
) -> Status:
    outbox = stores.outbox
    standing = outbox.standing(name)
    waiting = outbox.waiting(name)
    counts = outbox.counts(name)
    unread, since = 0, None
    if standing is not None:
        unread, since = _unread(project, stores, destination, standing, waiting)
    behind = waiting.many + unread
    health = (standing or Standing(0)).health
    seconds = 0.0
    if since is not None and behind:
        seconds = max((now - since).total_seconds(), 0.0)
    delivered = [count for count in counts if count.outcome == "delivered"]
    return Status(
        destination=name,
        kind=destination.kind,
        purpose=destination.purpose,
        state=_state(standing, behind),
        behind=behind,
        behind_seconds=seconds,
        waiting_retry=waiting.failed,
        next_try=_next_try(health, waiting),
        delivered=sum(count.many for count in delivered),
        delivered_last_day=sum(count.many for count in delivered if now - count.hour < DAY),
        per_second=_rate(delivered, now),
        dropped=_by_reason([count for count in counts if count.outcome == "dropped"]),
        dead=outbox.dead_count(name),
        succeeded=health.succeeded,
        failed=health.failed,
        reason=health.reason,
    )


def _state(standing: Standing | None, behind: int) -> State:
    if standing is None:
        return "not started"
    if standing.health.opened is not None:
        return "open"
    if standing.health.failures:
        return "failing"
    if behind:
        return "behind"
    return "up to date"


def _next_try(health: Health, waiting: Waiting) -> datetime | None:
    if not waiting.many:
        return None
    if health.not_before is not None:
        return max(health.not_before, waiting.due or health.not_before)
    if waiting.failed:
        return waiting.due
    return None


def _unread(
    project: Project,
    stores: Stores,
    destination: Destination,
    standing: Standing,
    waiting: Waiting,
) -> tuple[int, datetime | None]:
    """Count what is in the log behind the position, and find when the oldest open one came."""
    names = [sent.event for sent in destination.events]
    oldest = waiting.oldest or 0
    selects = " UNION ALL ".join(
        f'SELECT "offset", received FROM {quoted(name)}'
        f' WHERE "offset" > {standing.position} OR "offset" = {oldest}'
        for name in names
    )
    with relations(project, stores, "audit", names=names) as connection:
        [(many, since)] = connection.execute(
            f'SELECT count(*) FILTER ("offset" > {standing.position}), min(received)'
            f" FROM ({selects})"
        ).fetchall()
    return int(many), since


def _rate(delivered: Sequence[Count], now: datetime) -> float:
    begin = now.replace(minute=0, second=0, microsecond=0) - HOUR
    seconds = (now - begin).total_seconds()
    return sum(count.many for count in delivered if count.hour >= begin) / seconds


def _by_reason(counts: Sequence[Count]) -> dict[str, int]:
    found: dict[str, int] = {}
    for count in counts:
        found[count.reason] = found.get(count.reason, 0) + count.many
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))

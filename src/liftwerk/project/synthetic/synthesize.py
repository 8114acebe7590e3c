"""Send made-up journeys through the real collector, and say whether tracking works."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Literal

import numpy as np
from msgspec import Struct

from liftwerk.clock import Clock
from liftwerk.definitions.project import Project
from liftwerk.errors import HomeInUse, ProjectError
from liftwerk.events.definition import EVENTS
from liftwerk.project.synthetic.door import Door, Pause
from liftwerk.project.synthetic.hold import SHOWN, count_arrived, held
from liftwerk.project.synthetic.journey import (
    ACCEPTED,
    CHANGED,
    REFUSED,
    Journey,
    Record,
    revocable,
)
from liftwerk.store.stores import Stores

ARRIVED = "all of it arrives in the tables"
LOOK_SECONDS = 0.3
PAGE = 1000

State = Literal["passed", "failed", "not checked"]


class Check(Struct, frozen=True):
    """One thing that must hold: whether it does, and what is wrong or was seen."""

    check: str
    state: State
    detail: str = ""


class Synthesized(Struct, frozen=True):
    """What became of a tracking test.

    Attributes
    ----------
    passed : bool
        Whether every check passed.
    url : str
        The collector.
    run : str
        What the made-up identifiers of this run have in them.
    sources : tuple of str
    sent, changes, refused : int
        Events, changes of consent, and events that were broken on purpose.
    seconds : float
        From the first request to the last check.
    arrived_after : float or None
        Seconds from the last request until readers saw all of it.
    checks : tuple of Check
    """

    passed: bool
    url: str
    run: str
    sources: tuple[str, ...]
    sent: int
    changes: int
    refused: int
    seconds: float
    arrived_after: float | None
    checks: tuple[Check, ...]


def synthesize(
    project: Project,
    stores: Stores,
    clock: Clock,
    generator: np.random.Generator,
    url: str,
    keys: Mapping[str, str],
    compact: Callable[[], object],
    pause: Pause,
    *,
    journeys: int = 2,
    timeout: float = 60.0,
    are_new: bool = False,
) -> Synthesized:
    """Send made-up journeys, wait until they arrive, and check what must hold of them.

    Parameters
    ----------
    project : Project
    stores : Stores
        Those that the collector writes to.
    clock : Clock
    generator : numpy.random.Generator
        Makes values and identifiers up.
    url : str
        The collector's address.
    keys : mapping of str to str
        Source -> write key.
    compact : callable
        Sorts what came into tables; while another process does, that one is waited for.
    pause : callable
        Waits so many seconds.
    journeys : int
        Customers a source.
    timeout : float
        Seconds until all of it must have arrived.
    are_new : bool
        Whether the keys were made a moment ago.

    Returns
    -------
    Synthesized
        What was sent stays in the tables, marked, and is read for no purpose of the project; what
        was refused on purpose is taken out of quarantine again.

    Raises
    ------
    ProjectError
        If there is nothing to send.
    EnvironmentFault
        If no collector answers.
    """
    if not project.get(EVENTS):
        raise ProjectError("the project declares no event", "[events]", "declare one to send")
    run = generator.bytes(5).hex()
    record = Record()
    began = clock.now()
    last_refused = _last_number(stores)
    for source, key in keys.items():
        door = Door(url, key, clock, pause, timeout, is_new=are_new)
        journey = Journey(project, source, door, clock, generator, run, record)
        for number in range(journeys):
            journey.walk(number)
    sent_at = clock.now()
    record.between = (began, sent_at)
    checks = [_check(name, record.faults.get(name, [])) for name in (ACCEPTED, REFUSED)]
    if revocable(project):
        checks.append(_check(CHANGED, record.faults.get(CHANGED, [])))
    wanted = [*(one.id for one in record.sent), *record.changes]
    arrived = 0
    arrived_after = None
    while True:
        with suppress(HomeInUse):
            compact()
        arrived = count_arrived(project, stores, wanted)
        waited = (clock.now() - sent_at).total_seconds()
        if arrived == len(wanted):
            arrived_after = waited
            break
        if waited > timeout:
            break
        pause(LOOK_SECONDS)
    lost = []
    if arrived_after is None:
        lost = [f"{arrived:,} of {len(wanted):,} within {timeout:g} s"]
    checks.append(_check(ARRIVED, lost))
    for name, wrong in held(project, stores, record, clock):
        check = _check(name, wrong)
        if lost and not wrong:
            check = Check(name, "not checked", "not all of it arrived")
        checks.append(check)
    _take_out(stores, last_refused, [one.id for one in record.refused])
    return Synthesized(
        passed=all(check.state == "passed" for check in checks),
        url=url,
        run=run,
        sources=tuple(keys),
        sent=len(record.sent),
        changes=len(record.changes),
        refused=len(record.refused),
        seconds=(clock.now() - began).total_seconds(),
        arrived_after=arrived_after,
        checks=tuple(checks),
    )


def _check(name: str, wrong: list[str]) -> Check:
    if not wrong:
        return Check(name, "passed")
    detail = "; ".join(wrong[:SHOWN])
    if len(wrong) > SHOWN:
        detail += f"; and {len(wrong) - SHOWN:,} more"
    return Check(name, "failed", detail)


def _last_number(stores: Stores) -> int:
    """Find the last number in quarantine by halving: bodies are read one at a time."""
    low, high = 0, 1
    while found := stores.inbox.quarantine_list(high, 1):
        low = found[0].number
        high = 2 * low
    while low < high:
        middle = (low + high) // 2
        if found := stores.inbox.quarantine_list(middle, 1):
            low = found[0].number
        else:
            high = middle
    return high


def _take_out(stores: Stores, after: int, ids: list[str]) -> None:
    """Leave nothing in quarantine that was broken on purpose."""
    marks = [one.encode() for one in ids]
    numbers = []
    while page := stores.inbox.quarantine_list(after, PAGE):
        after = page[-1].number
        numbers += [
            kept.number for kept in page if any(mark in kept.rejected.body for mark in marks)
        ]
    if numbers:
        stores.inbox.quarantine_erase(numbers)

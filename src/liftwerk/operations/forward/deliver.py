"""From the outbox to the vendor: read what may be sent now, send it, write what came of it.

Each request's outcome is one transaction. A kill between the answer and that transaction sends the
same events again, with the same ids.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy

from liftwerk.clock import Clock
from liftwerk.connectors.destinations.client import Client
from liftwerk.connectors.destinations.definition import Destination
from liftwerk.connectors.destinations.exchange import Answer
from liftwerk.connectors.destinations.kinds import KINDS
from liftwerk.definitions.project import Project
from liftwerk.operations.forward import patience
from liftwerk.operations.forward.compose import Pair, messages_of, requests_of
from liftwerk.store.outbox.protocol import Entry, Health, Settled, Standing
from liftwerk.store.stores import Stores

AT_ONCE = 1000
"""Entries that are read together; never more than the outbox holds."""

TOO_LARGE = "too large for the vendor"

Pause = Callable[[float], bool]
"""Waits so many seconds, and says whether to stop."""


@dataclass
class Line:
    """The way to one destination, with all it needs to go on by itself.

    Parameters
    ----------
    project : Project
    stores : Stores
    clock : Clock
    name : str
        The destination.
    destination : Destination
    secret : str
        What its ``secret_env`` holds.
    generator : numpy.random.Generator
        For the back-off.
    pause : callable
        Waits, and says whether to stop.
    """

    project: Project
    stores: Stores
    clock: Clock
    name: str
    destination: Destination
    secret: str = field(repr=False)
    generator: numpy.random.Generator
    pause: Pause

    def __post_init__(self) -> None:
        self.stopped = False
        self.kind = KINDS[self.destination.kind]
        self.client = Client(self.destination.base_url, self.destination.timeout.seconds)
        self.pace = patience.Pace(self.destination.rate_limit)

    def rest(self, seconds: float) -> None:
        """Wait; afterwards ``stopped`` says whether somebody asked to stop."""
        self.stopped = self.pause(seconds)


def deliver(line: Line) -> bool:
    """Send what is due and allowed.

    Parameters
    ----------
    line : Line

    Returns
    -------
    bool
        Whether anything changed; if not, nothing can be done at this moment.
    """
    now = line.clock.now()
    standing = line.stores.outbox.standing(line.name) or Standing(0)
    state = patience.breaker(standing.health, now)
    if state == "open":
        return False
    entries = line.stores.outbox.due(line.name, now, AT_ONCE)
    if state == "half-open" and entries:
        # One that was tried least: an event that fails by itself must not keep the breaker open.
        heads: dict[bytes, Entry] = {}
        for entry in entries:
            heads.setdefault(entry.lane, entry)
        entries = [min(heads.values(), key=lambda head: (head.tries, head.offset))]
    if not entries:
        return False
    return _Round(line, standing.health).run(entries)


class _Round:
    """One reading of the tables, and the requests that come of it."""

    def __init__(self, line: Line, health: Health) -> None:
        self.line = line
        self.health = health
        self.halted = False
        self.blocked: set[bytes] = set()
        self.changed = False

    def run(self, entries: Sequence[Entry]) -> bool:
        """Send the entries' events; says whether anything changed."""
        line = self.line
        snapshot = line.stores.ledger.latest_snapshot()
        pairs, dropped = messages_of(
            line.project, line.stores, line.name, line.destination, entries, line.clock.now()
        )
        now = line.clock.now()
        fit = []
        for entry, message in pairs:
            reason = line.kind.unfit(line.destination, message, now)
            if reason:
                dropped[entry.offset] = reason
            else:
                fit.append((entry, message))
        if dropped:
            line.stores.outbox.settle(line.name, Settled(dropped=dropped), self.health, now)
            self.changed = True
        waiting = deque(requests_of(fit, line.kind.together, self._most))
        while waiting and not self.halted and not line.stopped:
            # A withdrawal that came in meanwhile counts at once: read again.
            if line.stores.ledger.latest_snapshot() != snapshot:
                self.changed = True
                break
            group = [pair for pair in waiting.popleft() if pair[0].lane not in self.blocked]
            if group:
                waiting.extendleft(reversed(self._send(group)))
        return self.changed

    def _most(self, entry: Entry) -> int:
        """Most events of a request with this one in it: fewer after each failure."""
        most = min(self.line.kind.most, self.line.pace.burst)
        return max(1, most >> min(entry.tries, 32))

    def _send(self, group: list[Pair]) -> list[list[Pair]]:
        """Send some events; returns the halves of a request that was refused as a whole."""
        line = self.line
        wait = line.pace.wait(len(group), line.clock.now())
        while wait > 0:
            line.rest(wait)
            if line.stopped:
                return []
            wait = line.pace.wait(len(group), line.clock.now())
        now = line.clock.now()
        answer = self._ask(group, now)
        if answer.outcome == "refused" and len(group) > 1:
            # For one bad event a vendor refuses them all: halves, down to the one.
            middle = len(group) // 2
            return [group[:middle], group[middle:]]
        self._settle(group, answer, line.clock.now())
        self.changed = True
        return []

    def _ask(self, group: list[Pair], now: datetime) -> Answer:
        line = self.line
        messages = [message for _, message in group]
        request = line.kind.request(line.destination, line.secret, messages, now)
        if len(request.body) > line.kind.most_bytes:
            return Answer("refused", TOO_LARGE)
        return line.client.send(request, line.kind.judge, now)

    def _settle(self, group: list[Pair], answer: Answer, now: datetime) -> None:
        line = self.line
        offsets = tuple(entry.offset for entry, _ in group)
        if answer.outcome == "delivered":
            self.health = patience.succeeded(self.health, now)
            settled = Settled(delivered=offsets)
        elif answer.outcome == "refused":
            # The vendor is well and answered; this says nothing against the rest.
            self.health = patience.succeeded(self.health, now)
            settled = Settled(dead=dict.fromkeys(offsets, answer.reason))
        else:
            settled = self._later(group, answer, now)
        line.stores.outbox.settle(line.name, settled, self.health, now)

    def _later(self, group: list[Pair], answer: Answer, now: datetime) -> Settled:
        line = self.line
        dead, again = {}, []
        for entry, _ in group:
            tried = patience.tried_again(
                entry, answer.reason, answer.wait, self.health, now, line.generator
            )
            if tried.strikes >= patience.STRIKES_OUT:
                dead[entry.offset] = f"given up: {answer.reason}"
                continue
            again.append(tried)
            self.blocked.add(entry.lane)
        self.health = patience.failed(self.health, answer.reason, answer.wait, now, line.generator)
        self.halted = patience.breaker(self.health, now) == "open"
        return Settled(dead=dead, again=tuple(again))

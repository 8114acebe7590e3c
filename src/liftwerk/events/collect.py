"""Collecting: what a source sends is checked event by event and durable before anybody is told.

    bodies -> may this source send so much now? -> admit each -> group commit -> answer

What is refused is named with its reason, kept in quarantine, and does not hold up the rest.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec import Struct

from liftwerk.clock import Clock
from liftwerk.definitions.project import Project
from liftwerk.errors import Throttled
from liftwerk.events.about import is_about
from liftwerk.events.admit import ERASED, Refusal, admit, source_named
from liftwerk.events.delivery.fields import without_delivery
from liftwerk.events.delivery.seal import Wanted, fields_of, seal
from liftwerk.events.group_commit import GroupCommit, Watch
from liftwerk.events.refreshed import Refreshed
from liftwerk.events.schema import Schema, schema_of
from liftwerk.events.throttle import Throttle
from liftwerk.events.versions import demand_compatible
from liftwerk.store.inbox.protocol import InboxRow, Rejected
from liftwerk.store.outbox.protocol import Sealed
from liftwerk.store.stores import Stores

ROW_BYTES = 200
"""What an event takes in memory beside its text."""

BURIED_SECONDS = 2.0
"""How old the list of erased customers may be; the sequencer knows it exactly."""

LOOKED_THROUGH = 20_000
"""Longest refused body in which every word is looked up; longer ones would hold others up."""

_BOT = re.compile(
    r"bot\b|crawl|spider|slurp|headless|lighthouse|phantomjs|prerender|pingdom|uptime|monitor"
    r"|facebookexternalhit|embedly|preview|python-requests|curl/|wget/|go-http-client",
    re.IGNORECASE,
)
"""Programs that visit a shop and are no customers, by what they say of themselves."""


class Collected(Struct, frozen=True):
    """What became of a request's events.

    Attributes
    ----------
    accepted : int
        Events that are durable now.
    refused : list of Refusal
        Which were not, and why.
    filtered : int
        Events of bots, and those that sampling left out: acknowledged, and not kept.
    """

    accepted: int
    refused: list[Refusal]
    filtered: int = 0


class Collector:
    """One process's way into the inbox.

    Parameters
    ----------
    project : Project
    stores : Stores
        Its own; used by the collector's thread too.
    clock : Clock
    dry : bool
        Check and answer, and store nothing.
    processes : int
        How many collect beside each other: declared rates are shared among them.
    watch : callable, optional
        Told of each group commit, see `GroupCommit`.
    wanted : sequence of Wanted
        What destinations ask of events for their delivery alone.
    """

    def __init__(
        self,
        project: Project,
        stores: Stores,
        clock: Clock,
        *,
        dry: bool = False,
        processes: int = 1,
        watch: Watch | None = None,
        wanted: Sequence[Wanted] = (),
    ) -> None:
        self.project = project
        self.stores = stores
        self.clock = clock
        self.dry = dry
        demand_compatible(project, stores.ledger)
        self._wanted = wanted
        self._schema = schema_of(project, fields_of(wanted))
        self._group = GroupCommit(stores.inbox, stores.outbox, watch=watch)
        self._throttles = {
            name: Throttle(source.rate_limit, 1 / processes)
            for name, source in self._schema.sources.items()
            if source.rate_limit is not None
        }
        self._buried = Refreshed(stores.ledger.buried, BURIED_SECONDS)

    async def collect(
        self, bodies: Sequence[bytes | msgspec.Raw], source: str, user_agent: str = ""
    ) -> Collected:
        """Take a request's events; returns when those accepted are durable.

        Parameters
        ----------
        bodies : sequence of bytes or msgspec.Raw
            One event's JSON each.
        source : str
            The declared source that sent them, known by its key.
        user_agent : str
            What the sending program calls itself; looked at, never kept.

        Returns
        -------
        Collected

        Raises
        ------
        Throttled
            If the source sends more than it may; nothing was taken.
        Overloaded
            If too much waits for the disk; nothing was taken.
        StoreFault
            If the inbox cannot write; nothing was taken.
        """
        sender = source_named(self._schema, source)
        self.throttle(source, len(bodies))
        if sender.bots == "drop" and _BOT.search(user_agent):
            return Collected(0, [], len(bodies))
        received = self.clock.now()
        buried = self._buried.value()
        admitted = admit(bodies, self._schema, source, received, buried)
        rows = [row for row in admitted.rows if row is not None]
        told = [one for one in admitted.refused if one.reason != ERASED]
        forgotten = len(admitted.refused) - len(told)
        if not self.dry:
            rejected = [
                one
                for one in _rejected(bodies, admitted.refused, source, received)
                if not _names(self._schema, one.body, buried)
            ]
            size = sum(len(row.body) for row in rows) + ROW_BYTES * len(bodies)
            size += sum(len(one.body) for one in rejected)
            sealed: Sequence[Sealed] = ()
            if admitted.carried:
                sealed = seal(admitted.carried, self._wanted, self.stores.day_keys, received)
                size += sum(len(one.content) for one in sealed) + ROW_BYTES * len(sealed)
            if rows or rejected:
                await self._group.append(rows, rejected, size, sealed)
        # To the sender an erased customer's event looks like any other: that they were erased is
        # nobody's business.
        return Collected(len(rows) + forgotten, told, admitted.sampled_out)

    async def tell(self, rows: Sequence[InboxRow]) -> None:
        """Take events that this process tells by itself; returns when they are durable.

        Parameters
        ----------
        rows : sequence of InboxRow

        Raises
        ------
        Overloaded
            If too much waits for the disk; nothing was taken.
        StoreFault
            If the inbox cannot write; nothing was taken.
        """
        if rows and not self.dry:
            await self._group.append(rows, [], sum(len(row.body) + ROW_BYTES for row in rows))

    @property
    def buried(self) -> frozenset[bytes]:
        """Leaf keys of the customers who were erased, as they were a moment ago."""
        return self._buried.value()

    def close(self) -> None:
        """Write what waits; nothing can be collected afterwards."""
        self._group.close()
        self._buried.close()

    def throttle(self, source: str, events: int) -> None:
        """Say whether a source may send so much now.

        Raises
        ------
        Throttled
            If it may not.
        """
        throttle = self._throttles.get(source)
        if throttle is None:
            return
        seconds = throttle.wait(events, time.monotonic())
        if seconds:
            what = "more events than the source may send"
            where = f"sources.{source}.rate_limit"
            raise Throttled(what, where, "send the same again later", retry_after=seconds)


def _rejected(
    bodies: Sequence[bytes | msgspec.Raw],
    refused: Sequence[Refusal],
    source: str,
    received: datetime,
) -> list[Rejected]:
    """Keep what was refused, but what was for delivery alone; of the erased nothing is kept."""
    return [
        Rejected(source, received, one.reason, one.path, without_delivery(bytes(bodies[one.index])))
        for one in refused
        if one.reason != ERASED
    ]


def _names(schema: Schema, body: bytes, buried: frozenset[bytes]) -> bool:
    """Say whether what was refused names an erased customer: that is kept nowhere."""
    return bool(buried) and len(body) <= LOOKED_THROUGH and is_about(schema, body, buried)

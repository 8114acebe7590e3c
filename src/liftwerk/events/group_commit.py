"""Group commit: requests that arrive together share one transaction, and so one fsync.

While one group is on its way to the disk the next one gathers; nobody is answered before the disk
has acknowledged. What waits is bounded in bytes: beyond that the door says so instead of growing.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from liftwerk.errors import Overloaded
from liftwerk.faults import fault
from liftwerk.store.inbox.protocol import Inbox, InboxRow, Rejected
from liftwerk.store.outbox.protocol import Outbox, Sealed

WAITING_BYTES = 32_000_000
"""How much may wait for the disk in one process."""

GROUP_ROWS = 20_000
"""Most rows of one transaction: the longest that a single request waits for others."""


Watch = Callable[[int, float, int], None]


@dataclass(frozen=True)
class _Request:
    """What one request brought, and whom to tell."""

    rows: Sequence[InboxRow]
    rejected: Sequence[Rejected]
    sealed: Sequence[Sealed]
    size: int
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[None]


class GroupCommit:
    """A thread that appends to an inbox what many coroutines bring.

    Parameters
    ----------
    inbox : Inbox
    outbox : Outbox
        For what events bring for their delivery alone.
    waiting_bytes : int
        How much may wait at most.
    watch : callable, optional
        Told of each group that was written: its rows, the seconds it took, the bytes that wait.

    Examples
    --------
    >>> import asyncio, tempfile
    >>> from pathlib import Path
    >>> from liftwerk.store.inbox.kinds.sqlite import SqliteInbox
    >>> from liftwerk.store.outbox.kinds.sqlite import SqliteOutbox
    >>> async def bring(inbox, outbox):
    ...     group = GroupCommit(inbox, outbox)
    ...     rows = [InboxRow(bytes(16), "visit", 0, b"{}")]
    ...     await asyncio.gather(*[group.append(rows, [], 2) for _ in range(3)])
    ...     group.close()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     inbox = SqliteInbox(Path(folder) / "inbox.sqlite")
    ...     outbox = SqliteOutbox(Path(folder) / "outbox.sqlite")
    ...     asyncio.run(bring(inbox, outbox))
    ...     inbox.count()
    3
    """

    def __init__(
        self,
        inbox: Inbox,
        outbox: Outbox,
        waiting_bytes: int = WAITING_BYTES,
        watch: Watch | None = None,
    ) -> None:
        self._inbox = inbox
        self._outbox = outbox
        self._watch = watch
        self._limit = waiting_bytes
        self._waiting = 0
        self._guard = threading.Lock()
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="group-commit", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Bytes that wait for the disk."""
        return self._waiting

    async def append(
        self,
        rows: Sequence[InboxRow],
        rejected: Sequence[Rejected],
        size: int,
        sealed: Sequence[Sealed] = (),
    ) -> None:
        """Make rows durable; returns when they are.

        Parameters
        ----------
        rows : sequence of InboxRow
        rejected : sequence of Rejected
            For quarantine, with them.
        size : int
            Their bytes.
        sealed : sequence of Sealed
            What the rows' events brought for their delivery alone.

        Raises
        ------
        Overloaded
            If too much waits already; nothing of this was taken.
        LiftwerkError
            What the inbox raised; nothing of this was taken, or a retry with the same ids is safe.
        """
        with self._guard:
            if self._waiting and self._waiting + size > self._limit:
                raise Overloaded("too much waits for the disk", "the collector", "send it again")
            self._waiting += size
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._requests.put(_Request(rows, rejected, sealed, size, loop, done))
        await asyncio.shield(done)

    def close(self) -> None:
        """Write what waits, and end the thread."""
        self._requests.put(None)
        self._thread.join()

    def _work(self) -> None:
        while True:
            group = self._gather()
            requests = [request for request in group if request is not None]
            if requests:
                self._write(requests)
            if group[-1] is None:
                return

    def _gather(self) -> list[_Request | None]:
        """Wait for one request, then take all that came meanwhile."""
        group = [self._requests.get()]
        rows = 0
        while group[-1] is not None and rows < GROUP_ROWS:
            rows += len(group[-1].rows)
            try:
                group.append(self._requests.get_nowait())
            except queue.Empty:
                break
        return group

    def _write(self, requests: Sequence[_Request]) -> None:
        failure: Exception | None = None
        began = time.perf_counter()
        try:
            sealed = [one for request in requests for one in request.sealed]
            if sealed:
                # First: after a kill in between it expires without its event, and the event that
                # is told to have arrived is never without it.
                with fault("delivery_commit"):
                    self._outbox.seal(sealed)
            rejected = [one for request in requests for one in request.rejected]
            if rejected:
                self._inbox.quarantine_put(rejected)
            rows = [row for request in requests for row in request.rows]
            if rows:
                self._inbox.append(rows)
        except Exception as error:
            # Whatever it was must reach those who wait, and the thread must live.
            failure = error
        with self._guard:
            self._waiting -= sum(request.size for request in requests)
        if self._watch is not None:
            count = sum(len(request.rows) + len(request.rejected) for request in requests)
            self._watch(count, time.perf_counter() - began, self._waiting)
        by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
        for request in requests:
            by_loop.setdefault(request.loop, []).append(request.done)
        for loop, futures in by_loop.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(_tell, futures, failure)


def _tell(futures: Sequence[asyncio.Future[None]], failure: Exception | None) -> None:
    for done in futures:
        if done.cancelled():
            continue
        if failure is None:
            done.set_result(None)
        else:
            done.set_exception(failure)

"""How far an import of many files has come: kept in the ledger, and said in rows and time."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
from msgspec import Struct

from liftwerk.clock import Clock
from liftwerk.connectors.definition import IMPORT_LIMITS, IMPORTS
from liftwerk.definitions.project import PROJECT, Project
from liftwerk.events.definition import EVENTS, SOURCES
from liftwerk.events.identifiers import IDENTIFIERS
from liftwerk.store.ledger.protocol import Step
from liftwerk.store.stores import Stores

HOLD = timedelta(hours=1)
"""How long others wait for one that went silent on another machine."""


class Reached(Struct, frozen=True):
    """How far one file is in: rows that were read, and how many of them were bad."""

    rows: int = 0
    bad: int = 0


class Notes:
    """What is noted of one import; a file that is replaced, or mapped otherwise, begins anew."""

    def __init__(
        self, project: Project, stores: Stores, name: str, clock: Clock, token: int
    ) -> None:
        self.stores = stores
        self.step = f"import {name}"
        self.clock = clock
        self.token = token
        self._meaning = project.section_hash(
            PROJECT, SOURCES, EVENTS, IDENTIFIERS, IMPORT_LIMITS, IMPORTS
        )

    def reached(self, file: Path) -> Reached:
        """Say how far a file is in."""
        step = self.stores.ledger.get_step(self.step, self._key(file))
        if step is None:
            return Reached()
        return msgspec.convert(step.outputs, Reached)

    def note(self, file: Path, reached: Reached) -> None:
        """Note how far a file is in, after what was read is in the inbox."""
        now = self.clock.now()
        self.stores.ledger.renew_lease(self.step, self.token, now, HOLD.total_seconds())
        outputs = msgspec.to_builtins(reached)
        step = Step(self.step, self._key(file), outputs, 0.0, now)
        self.stores.ledger.put_step(step, self.step, self.token)

    def _key(self, file: Path) -> str:
        state = file.stat()
        said = f"{self._meaning}:{file.resolve()}:{state.st_size}:{state.st_mtime_ns}"
        return hashlib.sha256(said.encode()).hexdigest()


@contextmanager
def notes(project: Project, stores: Stores, name: str, clock: Clock) -> Iterator[Notes]:
    """Open the notes of an import; nobody else may go on with it meanwhile.

    Raises
    ------
    HomeInUse
        If somebody does.
    """
    lease = f"import {name}"
    holder = f"import {os.getpid()}"
    token = stores.ledger.acquire_lease(lease, holder, clock.now(), HOLD.total_seconds())
    try:
        yield Notes(project, stores, name, clock, token)
    finally:
        stores.ledger.release_lease(lease, token)


class Pace:
    """How fast it goes, and how long it still takes: by bytes, since rows aren't known before."""

    def __init__(self, files: Sequence[Path], clock: Clock) -> None:
        self.sizes = [file.stat().st_size for file in files]
        self.clock = clock
        self.began: datetime | None = None
        self.rows = 0
        self.skipped = 0.0

    def say(self, place: int, share: float, new_rows: int) -> str:
        """Say where it is.

        Parameters
        ----------
        place : int
            The file, from 0.
        share : float
            The part of it that is read.
        new_rows : int
            Rows read since it was said before; 0 where it only goes on from there.
        """
        done = sum(self.sizes[:place]) + self.sizes[place] * share
        now = self.clock.now()
        if self.began is None or new_rows == 0:
            self.began, self.rows, self.skipped = now, 0, done
            return f"file {place + 1} of {len(self.sizes)}"
        self.rows += new_rows
        seconds = max((now - self.began).total_seconds(), 1e-6)
        left = (sum(self.sizes) - done) * seconds / max(done - self.skipped, 1.0)
        where = f"file {place + 1} of {len(self.sizes)}: {share:.0%}"
        return f"{where}, {self.rows / seconds:,.0f} rows/s, {timedelta(seconds=round(left))} left"

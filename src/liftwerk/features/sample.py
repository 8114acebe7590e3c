"""A share of the answers is kept, so that it can be proved later what was told.

Who asks never waits for it: the answer is noted in memory, and a thread writes it to the inbox, as
any other event, to be sorted, exported, retained and erased with the rest. What cannot be noted
(too much waits, the disk is full, the process is killed) is lost: a sample is no ledger.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from liftwerk.clock import Clock
from liftwerk.definitions.project import Project
from liftwerk.errors import LiftwerkError
from liftwerk.events.consent.history import consent_state
from liftwerk.events.definition import known_events
from liftwerk.events.ids import made_id
from liftwerk.events.live import append_told
from liftwerk.features.kept import KeptView
from liftwerk.features.older import as_used
from liftwerk.features.served import Served
from liftwerk.features.told import EVENT, snapshot_of
from liftwerk.features.version import feature_versions, rules_of
from liftwerk.privacy.permitted import AsOf
from liftwerk.store.online import Changes, Online
from liftwerk.store.stores import Stores

WAITING = 1_000
"""Answers that wait to be written at most."""


LOST = "samples"
"""The space that says how many drawn answers could not be noted, by all processes together."""

_LOST = b"lost"


def lost_samples(online: Online) -> int:
    """Say how many drawn answers could not be noted, as far as that could be kept."""
    (body,), _ = online.get(LOST, [_LOST])
    if body is None:
        return 0
    return msgspec.msgpack.decode(body, type=int)


class _Answer(Struct, frozen=True):
    kept: KeptView
    leaf: bytes
    served: Served
    request: Mapping[str, Any]


class Sampler:
    """Notes the declared share of a process's answers.

    Parameters
    ----------
    project : Project
    stores : Stores
        Used by the sampler's thread too.
    clock : Clock
    rng : numpy.random.Generator
        Draws which answers are noted.
    waiting : int
        Answers that wait to be written at most.
    count : callable, optional
        Told what became of some answers that were drawn, and how many: ``noted``, ``left_out`` (of
        whoever may not be used for the purpose) or ``lost``.

    Attributes
    ----------
    lost : int
        Answers that were drawn and could not be noted.
    """

    def __init__(
        self,
        project: Project,
        stores: Stores,
        clock: Clock,
        rng: np.random.Generator,
        waiting: int = WAITING,
        count: Callable[[str, int], None] | None = None,
    ) -> None:
        self.lost = 0
        self._lost_kept = 0
        self._project = project
        self._stores = stores
        self._used: dict[str, Project] = {}
        self._count = count
        self._clock = clock
        self._rng = rng
        self._waiting: queue.Queue[_Answer | None] = queue.Queue(waiting)
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def offer(
        self, kept: KeptView, leaf: bytes, served: Served, request: Mapping[str, Any] | None = None
    ) -> None:
        """Note an answer if it is drawn; never waits, never raises.

        Parameters
        ----------
        kept : KeptView
            The view that was asked.
        leaf : bytes
            Whom it was asked about.
        served : Served
            What was answered.
        request : mapping of str to object, optional
            What came with the question.
        """
        share = kept.declared.sample.value
        if share == 0 or self._rng.random() >= share:
            return
        try:
            self._waiting.put_nowait(_Answer(kept, leaf, served, request or {}))
        except queue.Full:
            self._lose(1)
            return
        with self._starting:  # several threads may tell
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="samples", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Write what waits, and end the thread."""
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        is_open = True
        while is_open:
            answers = [self._waiting.get()]
            while not self._waiting.empty():
                answers.append(self._waiting.get())
            is_open = None not in answers
            noted = [one for one in answers if one is not None]
            try:
                self._write(noted)
            except LiftwerkError:
                self._lose(len(noted))
            self._keep_lost()

    def _keep_lost(self) -> None:
        """Add what was lost to what the store knows; what fails is tried after the next answer."""
        new = self.lost - self._lost_kept
        if not new:
            return
        online = self._stores.online
        with suppress(LiftwerkError):
            (body,), progress = online.get(LOST, [_LOST])
            known = 0
            if body is not None:
                known = msgspec.msgpack.decode(body, type=int)
            puts = [(_LOST, msgspec.msgpack.encode(known + new))]
            online.apply({LOST: Changes(progress, puts)}, 0, self._clock.now())
            self._lost_kept += new

    def _lose(self, many: int) -> None:
        self.lost += many
        self._tell("lost", many)

    def _tell(self, outcome: str, many: int) -> None:
        if self._count is not None and many:
            self._count(outcome, many)

    def _write(self, answers: Sequence[_Answer]) -> None:
        allowed = [one for one in answers if self._may_be_kept(one)]
        append_told(
            self._project,
            self._stores,
            EVENT,
            [(one.leaf, self._envelope(one)) for one in allowed],
            self._clock.now(),
        )
        self._tell("noted", len(allowed))
        self._tell("left_out", len(answers) - len(allowed))

    def _may_be_kept(self, one: _Answer) -> bool:
        """Say whether what happens now may be used for the view's purpose."""
        purpose = one.kept.declared.purpose
        as_of = AsOf(time=one.served.as_of)
        state = consent_state(self._project, self._stores, [one.leaf], as_of=as_of)
        return state[purpose].permitted

    def _as_used(self, view: str) -> Project:
        if view not in self._used:
            self._used[view] = as_used(self._project, self._stores.ledger, view)
        return self._used[view]

    def _envelope(self, one: _Answer) -> bytes:
        declared, served = one.kept.declared, one.served
        used = self._as_used(one.kept.name)
        versions = feature_versions(used, declared.features)
        snapshot = snapshot_of(served.values)
        at = served.as_of.isoformat()
        # Told twice in one microsecond, it is one answer.
        id_ = made_id(EVENT, one.kept.name, one.leaf.hex(), at, str(served.offset), snapshot)
        return msgspec.json.encode(
            {
                "id": str(id_),
                "name": EVENT,
                "version": known_events(self._project)[EVENT].version,
                "time": served.as_of,
                "properties": {
                    "view": one.kept.name,
                    "purpose": declared.purpose,
                    "features": list(versions),
                    "versions": list(versions.values()),
                    "rules": rules_of(used, declared.purpose),
                    "feature_snapshot": snapshot,
                    "request": snapshot_of(one.request),
                    "features_as_of": served.as_of,
                    "known_offset": served.offset,
                },
            }
        )

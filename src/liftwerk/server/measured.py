"""What was caused, as the pages show it; a reading is kept until there is more to read."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from typing import Any

from liftwerk.clock import Clock
from liftwerk.definitions import Project
from liftwerk.errors import InputError, LiftwerkError, Refused, UnknownName
from liftwerk.experiments.definition import EXPERIMENTS
from liftwerk.experiments.holdout import Holdout
from liftwerk.experiments.once import Once
from liftwerk.experiments.reading import Reading, plain
from liftwerk.metrics.definition import GOAL
from liftwerk.project.experiments import Experiments
from liftwerk.project.holdout import document as holdout_document
from liftwerk.project.holdout import read_holdout
from liftwerk.project.once import READ_ONCE, read_once
from liftwerk.project.reading import document, read_now, rows
from liftwerk.store.stores import Stores

Json = dict[str, Any]
Key = tuple[str | None, int, str]


class Measured:
    """Reads experiments for pages.

    Parameters
    ----------
    project : Project
    stores : Stores
    clock : Clock
    """

    def __init__(self, project: Project, stores: Stores, clock: Clock) -> None:
        self._project = project
        self._stores = stores
        self._clock = clock
        self._readings: dict[str, tuple[Key, Reading | Once]] = {}
        self._holdout: tuple[Key, Holdout] | None = None

    @property
    def _experiments(self) -> Experiments:
        return Experiments(self._project, self._stores, self._clock, getpass.getuser())

    def rows(self) -> list[Json]:
        """List experiments, with the verdict of what was read of this snapshot."""
        verdicts = {
            name: plain(reading_of(found).verdict)
            for name, (key, found) in self._readings.items()
            if key == self._key(name)
        }
        made: list[Json] = rows(self._project, self._stores, self._experiments.list(), verdicts)
        return made

    def one(self, name: str) -> Json:
        """Return one experiment with its reading, where it can be read."""
        shown = self._experiments.show(name)
        found, why = None, ""
        if name in self._project.get(EXPERIMENTS):
            try:
                found = self._reading(name)
            except (Refused, InputError, UnknownName) as refused:
                why = sentence(refused)
        return document(self._project, self._stores, self._clock, shown, found, why)

    def _reading(self, name: str) -> Reading | Once:
        """Read an experiment, once for each snapshot and day: units mature as days go by."""
        key = self._key(name)
        kept = self._readings.get(name)
        if kept is not None and kept[0] == key:
            return kept[1]
        read: Callable[..., Reading | Once] = read_now
        if self._project.get(EXPERIMENTS)[name].design in READ_ONCE:
            read = read_once
        found = read(self._project, self._stores, self._clock, name)
        self._readings[name] = (key, found)
        return found

    def _key(self, name: str = "") -> Key:
        """Say what a reading rests on: data, the experiment's log, and the day."""
        ledger = self._stores.ledger
        snapshot = ledger.latest_snapshot()
        of = None if snapshot is None else snapshot.id
        entries = 0
        if name:
            entries = len(ledger.experiment_log(name))
        return of, entries, self._clock.now().astimezone(self._project.timezone).date().isoformat()

    def holdout(self) -> Json:
        """Return what the programme adds, or why that is not known."""
        goal = self._project.find(GOAL)
        key = self._key()
        if self._holdout is None or self._holdout[0] != key:
            try:
                found = read_holdout(self._project, self._stores, self._clock)
            except Refused as refused:
                why = sentence(refused)
                return {"share": None if goal is None else goal.holdout.value, "why": why}
            self._holdout = (key, found)
        return holdout_document(self._holdout[1], self._stores.ledger)


def reading_of(found: Reading | Once) -> Reading:
    """Take what every design has."""
    if isinstance(found, Once):
        return found.reading
    return found


def sentence(error: LiftwerkError) -> str:
    """Say why something cannot be read, as a sentence.

    Examples
    --------
    >>> sentence(Refused("no day of it is over", "experiment radio", "wait for the first"))
    'No day of it is over: wait for the first.'
    """
    return f"{error.what[:1].upper()}{error.what[1:]}: {error.hint}."

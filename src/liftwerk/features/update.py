"""Online values follow the log: what is new is merged in, what became untrue is made anew.

Rows are kept by leaf key, and a customer is read as all leaves that are known as one now: whether
identifiers are told to be one customer, or two, no value is written anew for it. Rows and offset
are one transaction, so that a kill anywhere neither loses an event nor counts one twice. How one
view is filled, and gets from one offset to another, is `liftwerk.features.fill` and `step`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from liftwerk.clock import Clock
from liftwerk.definitions.project import Project
from liftwerk.errors import Conflict
from liftwerk.events.tail import MOST, Tail
from liftwerk.features.checks.flags import lower
from liftwerk.features.checks.watch import Watch
from liftwerk.features.consented import Consented
from liftwerk.features.fill import Fill, Tell
from liftwerk.features.kept import UNFILLED, is_filled, kept_view
from liftwerk.features.older import as_used, kept_names
from liftwerk.features.step import Step
from liftwerk.identity.customers import Customers
from liftwerk.identity.mapping import customers_as_of
from liftwerk.store.instants import to_microseconds
from liftwerk.store.stores import Stores


class Updater:
    """Keeps the declared views up to date; one process at a time gets on.

    Parameters
    ----------
    project : Project
    stores : Stores
    clock : Clock
    names : sequence of str, optional
        Only these views.
    most : int
        Rows that wait to be sorted into tables and are held in memory.
    filled : callable, optional
        Told how far a view that is filled has come.
    """

    def __init__(
        self,
        project: Project,
        stores: Stores,
        clock: Clock,
        names: Sequence[str] | None = None,
        most: int = MOST,
        filled: Tell | None = None,
    ) -> None:
        if names is None:
            names = kept_names(project)
        used = {name: as_used(project, stores.ledger, name) for name in names}
        self.views = [kept_view(one, name) for name, one in used.items()]
        self._project = project
        self._stores = stores
        self._clock = clock
        self._marks_left = False
        self._filled = filled
        self._tail = Tail(project, stores, most)
        self._who: tuple[int, Customers | None] = (-1, None)
        self._watches = {name: Watch(one, stores) for name, one in used.items()}
        purposes = {kept.declared.purpose for kept in self.views}
        self._consented = {purpose: Consented(project, purpose) for purpose in purposes}

    def begin(self) -> None:
        """Find out who is who, which takes long the first time, before anybody waits for it."""
        with self._tail.reading() as behind:
            customers = customers_as_of(self._project, self._stores, tail=behind)
            self._who = (behind.offset, customers)

    def step(self) -> int:
        """Take in what is new in the log.

        Returns
        -------
        int
            The offset up to which the values know the log.

        Raises
        ------
        Conflict
            If another process got on meanwhile; then nothing was written.
        """
        self._marks_left = False
        with self._tail.reading() as behind:
            now = to_microseconds(self._clock.now())
            for kept in self.views:
                watch = self._watches[kept.name]
                if not watch.is_due(kept, now):
                    continue
                fill = Fill(self._project, self._stores, kept, behind, watch)
                if fill.needed:
                    offset = fill.write(now, self._clock.now(), self._filled)
                    if offset == UNFILLED:
                        continue
                    self._who = (offset, fill.customers)
                consented = self._consented[kept.declared.purpose]
                given = (behind, now, self._who, consented, watch)
                step = Step(self._project, self._stores, kept, *given)
                if step.needed:
                    step.write(self._clock)
                    self._marks_left |= step.leaves_marks
                    self._who = (behind.offset, step.customers)
            return behind.offset

    def catch_up(self, tell: Callable[[int], None] | None = None) -> int:
        """Take steps until nothing is left of what is in the log now, or none gets on.

        That is so when more is waiting to be sorted into tables than is held in memory
        (`liftwerk.events.tail.MOST`): the rest comes when somebody has sorted.

        Parameters
        ----------
        tell : callable, optional
            Told the offset after each step.

        Returns
        -------
        int
            As of `step`.
        """
        last = self._stores.inbox.last_offset()
        before = -1
        while True:
            try:
                offset = self.step()
            except Conflict:
                continue  # another process took the same step: go on from where it is
            if tell is not None:
                tell(offset)
            if not self._marks_left and (offset >= last or offset == before):
                return offset
            before = offset

    def forget(self) -> None:
        """Forget what is kept of the views: the next step makes it from the whole log."""
        for kept in self.views:
            for space in kept.spaces:
                self._stores.online.drop(space)
            lower(self._stores.online, kept.space, self._clock.now())

    def rows(self) -> list[tuple[str, int, int | None]]:
        """Return each view of which there is anything: its rows, and its offset once it is full."""
        spaces = {space.name: space for space in self._stores.online.spaces()}
        found: list[tuple[str, int, int | None]] = []
        for kept in self.views:
            if kept.space not in spaces:
                continue
            space, offset = spaces[kept.space], None
            if is_filled(space.progress):
                offset = space.progress.offset
            found.append((kept.name, space.rows, offset))
        return found

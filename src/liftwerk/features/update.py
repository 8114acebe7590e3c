"""Online values follow the log: what is new is merged in, what became untrue is made anew.

Rows are kept by leaf key, and a customer is read as all leaves that are known as one now: whether
identifiers are told to be one customer, or two, no value is written anew for it. A plain new event
is prepared by the same compiled SQL as everywhere, and merged into its leaf's tiles. Whatever else
happened (a consent that was withdrawn or given, a better report of a conversion, leaves that became
one customer and share their withdrawals now) makes the rows of the leaves that it touches anew,
from the log up to the same offset. Rows and offset are one transaction, so that a kill anywhere
neither loses an event nor counts one twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from functools import cached_property
from typing import TypeAlias

import duckdb
import msgspec
import pyarrow as pa

from liftwerk.clock import Clock
from liftwerk.definitions.project import Project
from liftwerk.errors import Conflict
from liftwerk.events.definition import known_events
from liftwerk.events.engine import quoted, text
from liftwerk.events.identifiers import IDENTIFIERS
from liftwerk.events.read import relations
from liftwerk.events.schema import schema_of
from liftwerk.events.tail import MOST, Behind, Tail
from liftwerk.features.concerned import (
    Key,
    derived_columns,
    keys_in,
    narrow,
    narrow_to_keys,
    reports_beside,
    set_aside,
)
from liftwerk.features.entity import CUSTOMER, PEOPLE, encoded
from liftwerk.features.kept import UNFILLED, KeptView, is_filled, kept_view, leaves_of
from liftwerk.features.states import Row, Tiles, add, decode_row, encode_row
from liftwerk.features.tiles import tiles_of
from liftwerk.features.views import FEATURE_VIEWS
from liftwerk.identity.mapping import Customers, customers_as_of
from liftwerk.privacy.permitted import AsOf
from liftwerk.store.instants import to_microseconds
from liftwerk.store.online import Changes
from liftwerk.store.stores import Stores

CONSENT = "consent_changed"
AUDIT = "audit"

Groups: TypeAlias = Mapping[bytes, bytes]
"""Leaf -> all leaves of its customer in order, one after another; only where they are several."""

PART = 500_000
"""Events whose tiles are held in memory at once while a space is filled."""


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
    """

    def __init__(
        self,
        project: Project,
        stores: Stores,
        clock: Clock,
        names: Sequence[str] | None = None,
        most: int = MOST,
    ) -> None:
        if names is None:
            names = list(project.get(FEATURE_VIEWS))
        self.views = [kept_view(project, name) for name in names]
        self._project = project
        self._stores = stores
        self._clock = clock
        self._tail = Tail(project, stores, most)
        self._who: tuple[int, Groups] = (-1, {})

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
        with self._tail.reading() as behind:
            now = to_microseconds(self._clock.now())
            for kept in self.views:
                step = _Step(self._project, self._stores, kept, behind, now, self._who)
                if step.needed:
                    step.write(self._clock)
                    self._who = (behind.offset, step.groups)
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
            if offset >= last or offset == before:
                return offset
            before = offset

    def forget(self) -> None:
        """Forget what is kept of the views: the next step makes it from the whole log."""
        for kept in self.views:
            for space in (kept.space, kept.members, kept.stale):
                self._stores.online.drop(space)

    def rows(self) -> list[tuple[str, int, int]]:
        """Return each view that was filled, with its number of rows and its offset."""
        spaces = {space.name: space for space in self._stores.online.spaces()}
        return [
            (kept.name, spaces[kept.space].rows, spaces[kept.space].progress.offset)
            for kept in self.views
            if kept.space in spaces
        ]


class _Step:
    """One view's way from the offset where it stands to that of a state of the log."""

    def __init__(
        self,
        project: Project,
        stores: Stores,
        kept: KeptView,
        behind: Behind,
        now: int,
        who: tuple[int, Groups],
    ) -> None:
        self.project = project
        self.stores = stores
        self.kept = kept
        self.behind = behind
        self.who = who
        self.progress = stores.online.progress(kept.space)
        self.members_progress = stores.online.progress(kept.members)
        self.stale_progress = stores.online.progress(kept.stale)
        self.filling = not is_filled(self.progress)
        self.now = now
        if self.progress is not None:
            self.now = max(now, to_microseconds(self.progress.at))

    @property
    def needed(self) -> bool:
        """Whether the log goes on behind what the rows know, or some are to be made anew."""
        if self.progress is None or self.progress.offset < self.behind.offset:
            return True
        return bool(self._stale)

    def write(self, clock: Clock) -> None:
        """Write the rows, who is who, and the offset."""
        at = clock.now()
        if self.progress is not None:
            at = max(at, self.progress.at)
        if self.filling:
            self._fill(at)
        else:
            self._follow(at)

    def _fill(self, at: datetime) -> None:
        """Make every row from the log, a part of the keys after another: all may be too many.

        Until the last part is there, the space stands at an offset that no reader takes. A fill
        that was killed begins anew.
        """
        events, progress = self.kept.events, self.progress
        with self._relations(self.kept.declared.purpose, events) as connection:
            set_aside(connection, events)
            for place, keys in enumerate(self._parts()):
                for name in events:
                    narrow(connection, name, keys)
                made = tiles_of(connection, self.kept.view, self.now, self.project.currency)
                puts = [(self._written(key), encode_row(row)) for key, row in made.items()]
                changes = Changes(progress, puts, clear=place == 0)
                progress = self.stores.online.apply({self.kept.space: changes}, UNFILLED, at)
        changed = {self.kept.space: Changes(progress)} | self._beside()
        self.stores.online.apply(changed, self.behind.offset, at)

    def _parts(self) -> list[str]:
        """Cut what a fill makes into parts; what items are about is not seen in a row."""
        part = self.kept.view.plans[0].source.key[0]
        if self.kept.entity in PEOPLE:
            return parts(self.behind.offset, part.column)
        return ["TRUE"]

    def _written(self, key: Key) -> bytes:
        return encoded(self.kept.entity, key)

    def _follow(self, at: datetime) -> None:
        """Merge what is new, and make anew what became untrue."""
        touched = self._touched()
        puts: dict[bytes, bytes] = {}
        drops: set[bytes] = set()
        for key, row in self._new_rows(touched):
            puts[key] = encode_row(row)
        for key, made in self._made_anew(touched):
            if made is None:
                drops.add(key)
            else:
                puts[key] = encode_row(made)
        changes = {self.kept.space: Changes(self.progress, puts.items(), drops)}
        self.stores.online.apply(changes | self._beside(), self.behind.offset, at)

    def _beside(self) -> dict[str, Changes]:
        """Move on what is kept beside the rows: who is who, and what was to be made anew."""
        changes = {}
        if self.kept.entity == CUSTOMER:
            changes[self.kept.members] = self._members()
        if self._stale:
            changes[self.kept.stale] = Changes(self.stale_progress, clear=True)
        return changes

    @cached_property
    def _stale(self) -> set[Key]:
        """What was marked to be made anew."""
        found: set[Key] = set()
        if self.stale_progress is None:
            return found
        after = b""
        while rows := self.stores.online.rows(self.kept.stale, after):
            found.update(tuple(msgspec.msgpack.decode(row.body)) for row in rows)
            after = rows[-1].key
        return found

    @cached_property
    def _since(self) -> int:
        if self.progress is None:
            return UNFILLED
        return self.progress.offset

    @cached_property
    def _customers(self) -> Customers | None:
        return customers_as_of(self.project, self.stores, tail=self.behind)

    @cached_property
    def groups(self) -> Groups:
        """Which leaves are one customer."""
        return _groups_of(self._customers)

    @cached_property
    def _before(self) -> Groups:
        """Which leaves were one customer by what the rows know."""
        offset, groups = self.who
        if offset == self._since:
            return groups
        known = AsOf(offset=self._since)
        return _groups_of(customers_as_of(self.project, self.stores, known, tail=self.behind))

    def _members(self) -> Changes:
        before, now = self._before, self.groups
        if self.filling:
            return Changes(self.members_progress, now.items(), clear=True)
        # What an erasure changed is marked: the log tells no longer what it said before.
        marked = {key[0] for key in self._stale}
        if before is now and not marked:
            return Changes(self.members_progress)
        puts = {
            leaf: group
            for leaf, group in now.items()
            if before.get(leaf) != group or leaf in marked
        }
        drops = [leaf for leaf in {*before, *marked} if leaf not in now]
        return Changes(self.members_progress, puts.items(), drops)

    def _news(self, names: Iterable[str]) -> bool:
        """Say whether there may be rows of some events that the values do not know."""
        if self._since < self.behind.since:
            return True  # they are in the tables by now
        schema = schema_of(self.project)
        kinds = [kind.table for name in names for kind in schema.versions(name)]
        tables = [self.behind.tables[kind] for kind in kinds if kind in self.behind.tables]
        return any(table.column("offset")[-1].as_py() > self._since for table in tables)

    def _relations(
        self,
        purpose: str,
        names: Sequence[str],
        leaves: Iterable[bytes] | None = None,
        after_offset: int | None = None,
        superseded: bool = False,
    ) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        merged = None
        if self._customers is not None:
            merged = self._customers.merged
        return relations(
            self.project,
            self.stores,
            purpose,
            AsOf(offset=self.behind.offset),
            derived_columns(self.project),
            names,
            one_customer=merged,
            superseded=superseded,
            tail=self.behind,
            leaves=None if leaves is None else pa.array(list(leaves), pa.binary()),
            after_offset=after_offset,
        )

    def _touched(self) -> set[Key]:
        """Say whose rows cannot be merely added to."""
        before, now = self._before, self.groups
        leaves: set[bytes] = set()
        if before is not now:
            leaves = {leaf for leaf in {*before, *now} if before.get(leaf) != now.get(leaf)}
        for leaf in self._changed_consent():
            leaves.update(leaves_of(now.get(leaf, leaf)))
        found = set(self._stale)
        if self.kept.entity in PEOPLE:
            found.update((leaf,) for leaf in leaves)
        if leaves:
            # Rows name several identifiers: what is said of one is about rows of another's.
            with self._relations(AUDIT, self.kept.events, leaves=leaves) as connection:
                found |= keys_in(connection, self.kept, self.kept.events)
        return found | self._reported_again(leaves)

    def _changed_consent(self) -> set[bytes]:
        """Say who withdrew or gave a consent that is asked here."""
        if not self._news([CONSENT]):
            return set()
        purpose = text(self.kept.declared.purpose)
        columns = [f"leaf_{name}" for name in self.project.get(IDENTIFIERS)]
        with self._relations(AUDIT, [CONSENT], after_offset=self._since) as connection:
            about = f"list_contains(withdrawn, {purpose}) OR list_contains(granted, {purpose})"
            rows = connection.sql(
                f"SELECT {', '.join(map(quoted, columns))} FROM {CONSENT} WHERE {about}"
            ).fetchall()
        return {leaf for row in rows for leaf in row if leaf is not None}

    def _reported_again(self, leaves: set[bytes]) -> set[Key]:
        """Say whose report of a conversion counts no longer, or may count again."""
        declared = known_events(self.project)
        names = [name for name in self.kept.events if declared[name].unique]
        found: set[Key] = set()
        if names and self._news(names):
            purpose = self.kept.declared.purpose
            with self._relations(
                purpose, names, after_offset=self._since, superseded=True
            ) as connection:
                set_aside(connection, names)
                for name in names:
                    old = f'"offset" <= {self._since} AND superseded_by IS NOT NULL'
                    narrow(connection, name, old)
                found = keys_in(connection, self.kept, names)
        if names and leaves:
            with self._relations(AUDIT, names) as connection:
                found |= reports_beside(connection, self.project, self.kept, names, leaves)
        return found

    def _new_rows(self, touched: set[Key]) -> Iterable[tuple[bytes, Row]]:
        if not self._news(self.kept.events):
            return
        with self._relations(
            self.kept.declared.purpose, self.kept.events, after_offset=self._since
        ) as connection:
            made = tiles_of(connection, self.kept.view, self.now, self.project.currency)
        new = {self._written(key): row for key, row in made.items() if key not in touched}
        bodies, _ = self.stores.online.get(self.kept.space, list(new))
        for (key, more), body in zip(new.items(), bodies, strict=True):
            row = self._empty() if body is None else decode_row(body)
            for grid, tiles, added in zip(self.kept.view.grids, row, more, strict=True):
                add(grid, tiles, added, self.now)
            yield key, row

    def _made_anew(self, touched: set[Key]) -> Iterable[tuple[bytes, Row | None]]:
        if not touched:
            return
        leaves = None
        if self.kept.entity in PEOPLE:
            leaves = [leaf for (leaf,) in touched]
        with self._relations(
            self.kept.declared.purpose, self.kept.events, leaves=leaves
        ) as connection:
            if leaves is None:
                narrow_to_keys(connection, self.kept, touched)
            made = tiles_of(connection, self.kept.view, self.now, self.project.currency)
        for key in touched:
            yield self._written(key), made.get(key)

    def _empty(self) -> Row:
        return [Tiles({}, {}) for _ in self.kept.view.grids]


def parts(events: int, column: str) -> list[str]:
    """Cut leaf keys into parts that hold about `PART` events each, as SQL conditions.

    Examples
    --------
    >>> parts(1_000_000, "customer")
    ["customer < unhex('80')", "customer >= unhex('80')"]
    """
    count = min(256, -(-events // PART))
    bounds = [256 * place // max(count, 1) for place in range(1, count)]
    low = ["", *(f"{column} >= unhex('{bound:02X}')" for bound in bounds)]
    high = [*(f"{column} < unhex('{bound:02X}')" for bound in bounds), ""]
    return [" AND ".join(filter(None, pair)) or "TRUE" for pair in zip(low, high, strict=True)]


def _groups_of(customers: Customers | None) -> Groups:
    if customers is None:
        return {}
    return customers.groups

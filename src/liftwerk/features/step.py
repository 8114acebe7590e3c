"""One view's step: from what its rows know of the log to what is known now.

A plain new event is prepared by the same compiled SQL as everywhere, and merged into its leaf's
tiles: one reading for all of them. Whatever else happened (a consent that was withdrawn or given, a
better report of a conversion, leaves that became one customer and share their withdrawals now)
makes the rows that it touches anew, from the log up to the same offset.

A step whose rows fail a check that stops is not taken: see `liftwerk.features.checks.watch`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from functools import cached_property

import duckdb
import msgspec
import pyarrow as pa

from liftwerk.clock import Clock
from liftwerk.definitions.project import Project
from liftwerk.events.definition import known_events
from liftwerk.events.engine import quoted
from liftwerk.events.read import refused_name, relations
from liftwerk.events.schema import schema_of
from liftwerk.events.tail import Behind
from liftwerk.features.checks.flags import Held, flag_changes
from liftwerk.features.checks.sample import Changed
from liftwerk.features.checks.watch import Watch
from liftwerk.features.concerned import (
    Key,
    derived_columns,
    keys_in,
    narrow,
    narrow_to_keys,
    narrow_to_offset,
    reports_beside,
    set_aside,
)
from liftwerk.features.consented import CONSENT, Consented
from liftwerk.features.entity import CUSTOMER, PEOPLE, encoded
from liftwerk.features.kept import UNFILLED, KeptView, leaves_of
from liftwerk.features.states import Adder, Row, Tiles, decode_row, encode_row
from liftwerk.features.tiles import tiles_of
from liftwerk.identity.customers import Customers
from liftwerk.identity.mapping import customers_as_of
from liftwerk.privacy.permitted import AsOf
from liftwerk.store.instants import to_microseconds
from liftwerk.store.online import Changes
from liftwerk.store.stores import Stores

AUDIT = "audit"

MARKS = 10_000
"""Marked rows that are made anew at a time, with all events that they are made of."""


class Step:
    """One view's way from the offset where it stands to that of a state of the log.

    Parameters
    ----------
    project : Project
    stores : Stores
    kept : KeptView
    behind : Behind
        The state.
    now : int
        Microseconds since 1970.
    who : tuple of int and Customers or None
        An offset, and the customers as they were known up to it.
    consented : Consented
        Of the view's purpose.
    watch : Watch
        Judges what is to be written.
    """

    def __init__(
        self,
        project: Project,
        stores: Stores,
        kept: KeptView,
        behind: Behind,
        now: int,
        who: tuple[int, Customers | None],
        consented: Consented,
        watch: Watch,
    ) -> None:
        self.project = project
        self.stores = stores
        self.kept = kept
        self.behind = behind
        self.who = who
        self.consented = consented
        self.watch = watch
        self.progress = stores.online.progress(kept.space)
        self.members_progress = stores.online.progress(kept.members)
        self.stale_progress = stores.online.progress(kept.stale)
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
        self._follow(at)

    def _written(self, key: Key) -> bytes:
        return encoded(self.kept.entity, key)

    def _follow(self, at: datetime) -> None:
        """Merge what is new, and make anew what became untrue."""
        concerned = self._touched()
        new, touched = self._new(concerned)
        rows = dict(self._added(new)) | dict(self._made_anew(touched))
        held = self.watch.judge(self.kept, Changed(rows, self.customers), self.now)
        if held is not None:
            self._hold(held, concerned)
            return
        changes = self._rows(rows) | self._beside() | self._flag(None)
        self.stores.online.apply(changes, self.behind.offset, at)

    def _hold(self, held: Held, concerned: set[Key]) -> None:
        """Stay at the last good state, but for what may not be kept any more.

        A consent that was withdrawn, or an erasure, waits for nobody: the rows that it is about are
        made anew from what was known at the offset where the values stay.
        """
        assert self.progress is not None
        rows = dict(self._made_anew(concerned, until=self._since))
        changes = self._rows(rows) | self._marks() | self._flag(held)
        self.stores.online.apply(changes, self._since, self.progress.at)

    def _rows(self, rows: Mapping[bytes, bytes | None]) -> dict[str, Changes]:
        puts = [(key, row) for key, row in rows.items() if row is not None]
        drops = [key for key, row in rows.items() if row is None]
        return {self.kept.space: Changes(self.progress, puts, drops)}

    def _flag(self, held: Held | None) -> dict[str, Changes]:
        return flag_changes(self.stores.online, self.kept.space, held)

    def _beside(self) -> dict[str, Changes]:
        """Move on what is kept beside the rows: who is who, and what was to be made anew."""
        if self.kept.entity == CUSTOMER:
            return {self.kept.members: self._members()} | self._marks()
        return self._marks()

    def _marks(self) -> dict[str, Changes]:
        if not self._stale:
            return {}
        taken = map(self._written, self._stale)
        return {self.kept.stale: Changes(self.stale_progress, drops=list(taken))}

    @property
    def leaves_marks(self) -> bool:
        """Whether more may be marked than one step takes up."""
        return len(self._stale) >= MARKS

    @cached_property
    def _stale(self) -> set[Key]:
        """What was marked to be made anew, as far as this step takes it up."""
        found: set[Key] = set()
        if self.stale_progress is None:
            return found
        after = b""
        while rows := self.stores.online.rows(self.kept.stale, after, MARKS - len(found)):
            found.update(tuple(msgspec.msgpack.decode(row.body)) for row in rows)
            after = rows[-1].key
        return found

    @cached_property
    def _since(self) -> int:
        if self.progress is None:
            return UNFILLED
        return self.progress.offset

    @cached_property
    def customers(self) -> Customers | None:
        """Who is which customer; None where nothing can be linked."""
        return customers_as_of(self.project, self.stores, tail=self.behind)

    @cached_property
    def _before(self) -> Customers | None:
        """Who was which customer by what the rows know."""
        offset, customers = self.who
        if offset == self._since:
            return customers
        known = AsOf(offset=self._since)
        return customers_as_of(self.project, self.stores, known, tail=self.behind)

    @cached_property
    def _regrouped(self) -> Mapping[bytes, bytes | None]:
        """Leaf -> all leaves of its customer, where these are others than the rows know."""
        if self.customers is None:
            return {}
        return self.customers.regrouped_since(self._before)

    def _members(self) -> Changes:
        moved = {**self._regrouped}
        # What an erasure changed is marked: the log tells no longer what it said before.
        marked = {key[0] for key in self._stale}
        if marked:
            known = {} if self.customers is None else self.customers.groups_of(marked)
            moved |= {leaf: known.get(leaf) for leaf in marked}
        puts = [(leaf, group) for leaf, group in moved.items() if group is not None]
        drops = [leaf for leaf, group in moved.items() if group is None]
        return Changes(self.members_progress, puts, drops)

    def _news(self, names: Iterable[str], after: int) -> bool:
        """Say whether there may be rows of some events behind an offset."""
        if after < self.behind.since:
            return True  # they are in the tables by now
        schema = schema_of(self.project)
        kinds = [kind.table for name in names for kind in schema.versions(name)]
        tables = [self.behind.tables[kind] for kind in kinds if kind in self.behind.tables]
        return any(table.column("offset")[-1].as_py() > after for table in tables)

    def _relations(
        self,
        purpose: str,
        names: Sequence[str],
        leaves: Iterable[bytes] | None = None,
        after_offset: int | None = None,
        superseded: bool = False,
        refused: bool = False,
        held: bool = False,
    ) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        one_customer = None
        if self.customers is not None:
            one_customer = self.customers.others_of
        return relations(
            self.project,
            self.stores,
            purpose,
            AsOf(offset=self.behind.offset),
            derived_columns(self.project),
            names,
            one_customer=one_customer,
            superseded=superseded,
            tail=self.behind,
            leaves=None if leaves is None else pa.array(list(leaves), pa.binary()),
            after_offset=after_offset,
            refused=refused,
            held=held,
        )

    def _touched(self) -> set[Key]:
        """Say whose rows cannot be merely added to."""
        changed = self.consented.news(self._consents, self._since, self.behind.offset)
        leaves = self._share_another_consent() | changed
        if self.customers is not None:
            leaves.update(self.customers.groups_of(changed))
        found = set(self._stale)
        if not leaves:
            return found
        if self.kept.entity in PEOPLE:
            found.update((leaf,) for leaf in leaves)
        # Rows name several identifiers: what is said of one is about rows of another's.
        with self._relations(AUDIT, self.kept.events, leaves=leaves) as connection:
            found |= keys_in(connection, self.kept, self.kept.events)
        return found | self._may_count_again(leaves)

    def _consents(self, after: int) -> AbstractContextManager[duckdb.DuckDBPyConnection] | None:
        if not self._news([CONSENT], after):
            return None
        derived = derived_columns(self.project)
        known = AsOf(offset=self.behind.offset)
        return relations(
            self.project,
            self.stores,
            AUDIT,
            known,
            derived,
            [CONSENT],
            tail=self.behind,
            after_offset=after,
        )

    def _share_another_consent(self) -> set[bytes]:
        """Say which regrouped leaves share what somebody said of a consent now, or no longer."""
        found = set()
        before: Mapping[bytes, bytes] = {}
        if self._before is not None:
            before = self._before.groups_of(self._regrouped)
        for leaf, group in self._regrouped.items():
            together = [leaf, *leaves_of(group or b""), *leaves_of(before.get(leaf, b""))]
            if self.consented.among(together):
                found.add(leaf)
        return found

    def _may_count_again(self, leaves: set[bytes]) -> set[Key]:
        """Say whose report of a conversion may count, or count no longer, for another's consent."""
        declared = known_events(self.project)
        names = [name for name in self.kept.events if declared[name].unique]
        if not names:
            return set()
        with self._relations(AUDIT, names) as connection:
            return reports_beside(connection, self.project, self.kept, names, leaves)

    def _new(self, touched: set[Key]) -> tuple[Mapping[bytes, Row], set[Key]]:
        """Return what is to be added to rows that were not touched, and all that were."""
        if not self._news(self.kept.events, self._since):
            return {}, touched
        purpose, since = self.kept.declared.purpose, self._since
        with self._relations(
            purpose, self.kept.events, after_offset=since, superseded=True, refused=True, held=True
        ) as connection:
            set_aside(connection, self.kept.events, "TABLE")
            worse = f'"offset" <= {since} AND superseded_by IS NOT NULL'
            beaten = [name for name in self.kept.events if _has(connection, f"_all_{name}", worse)]
            for name in beaten:
                narrow(connection, name, worse)
            touched = touched | keys_in(connection, self.kept, beaten)
            for name in self.kept.events:
                narrow(connection, name, f'"offset" > {since} AND superseded_by IS NULL')
            refused = [name for name in self.kept.events if _has(connection, refused_name(name))]
            made = tiles_of(connection, self.kept.view, self.now, self.project.currency, refused)
        return {self._written(key): row for key, row in made.items() if key not in touched}, touched

    def _added(self, new: Mapping[bytes, Row]) -> Iterable[tuple[bytes, bytes]]:
        """Merge what is new into what is kept."""
        adder = Adder(self.kept.view.grids)
        bodies, _ = self.stores.online.get(self.kept.space, list(new))
        for (key, more), body in zip(new.items(), bodies, strict=True):
            row = self._empty() if body is None else decode_row(body)
            adder.add(row, more, self.now)
            yield key, encode_row(row)

    def _made_anew(
        self, touched: set[Key], until: int | None = None
    ) -> Iterable[tuple[bytes, bytes | None]]:
        if not touched:
            return
        leaves = None
        if self.kept.entity in PEOPLE:
            leaves = [leaf for (leaf,) in touched]
        with self._relations(
            self.kept.declared.purpose, self.kept.events, leaves=leaves, refused=True
        ) as connection:
            if leaves is None:
                narrow_to_keys(connection, self.kept, touched)
            if until is not None:
                narrow_to_offset(connection, self.kept, until)
            made = tiles_of(
                connection, self.kept.view, self.now, self.project.currency, self.kept.events
            )
        for key in touched:
            row = made.get(key)
            yield self._written(key), None if row is None else encode_row(row)

    def _empty(self) -> Row:
        return [Tiles({}, {}) for _ in self.kept.view.grids]


def _has(connection: duckdb.DuckDBPyConnection, relation: str, condition: str = "TRUE") -> bool:
    rows = f"SELECT 1 FROM {quoted(relation)} WHERE {condition} LIMIT 1"
    return bool(connection.execute(rows).fetchall())

"""A view is filled from the whole log, a part of its keys after another: all may be too many.

Until the last part is there, its space stands at an offset that no reader takes. How far it has
come is kept beside the rows and written with them. So a fill that was killed goes on with the part
that it was at, and what it knows of the log is what it knew when it began: whatever has come in
since is taken in by the steps after it, as by any other. If somebody was erased meanwhile it begins
anew, since a row that is there may tell of them. Values that fail a check that stops are not
published: whoever fills the view next begins anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cached_property

import msgspec
from msgspec import Struct, structs

from liftwerk.definitions.project import Project
from liftwerk.events.engine import quoted
from liftwerk.events.read import refused_name, relations
from liftwerk.events.tail import Behind
from liftwerk.features.checks.flags import flag_changes, read_held
from liftwerk.features.checks.sample import Changed
from liftwerk.features.checks.watch import Watch
from liftwerk.features.concerned import derived_columns, narrow, set_aside
from liftwerk.features.entity import CONTEXT, CUSTOMER, PEOPLE, encoded
from liftwerk.features.kept import UNFILLED, KeptView, is_filled
from liftwerk.features.states import encode_row
from liftwerk.features.tiles import tiles_of
from liftwerk.identity.customers import Customers
from liftwerk.identity.mapping import customers_as_of
from liftwerk.privacy.permitted import AsOf
from liftwerk.store.instants import to_microseconds
from liftwerk.store.online import Changes
from liftwerk.store.stores import Stores

PART = 500_000
"""Events whose tiles are held in memory at once."""

MOST_PARTS = 256

_PLACE = b"place"


class Place(Struct, frozen=True, array_like=True):
    """How far a fill has come.

    Attributes
    ----------
    offset : int
        The last offset of the log that it knows of.
    parts, done : int
        How many there are, and how many are written.
    buried : int
        How many leaf keys were erased when it began.
    """

    offset: int
    parts: int
    done: int
    buried: int


class Filled(Struct, frozen=True):
    """What is told while a view is filled: how many parts are there, of how many."""

    view: str
    done: int
    parts: int


Tell = Callable[[Filled], None]


class Fill:
    """Fills one view, or goes on where that was left.

    Parameters
    ----------
    project : Project
    stores : Stores
    kept : KeptView
    behind : Behind
        A state of the log.
    watch : Watch
        Judges what is to be published.
    """

    def __init__(
        self, project: Project, stores: Stores, kept: KeptView, behind: Behind, watch: Watch
    ) -> None:
        self.project = project
        self.stores = stores
        self.kept = kept
        self.behind = behind
        self.watch = watch
        self.progress = stores.online.progress(kept.space)
        self._beside = stores.online.progress(kept.filling)

    @property
    def needed(self) -> bool:
        """Whether the view is not filled: of an empty log it is, once that is written."""
        return not is_filled(self.progress)

    @cached_property
    def place(self) -> Place:
        """Where to begin, or to go on."""
        buried = len(self.stores.ledger.buried())
        (body,), _ = self.stores.online.get(self.kept.filling, [_PLACE])
        is_held = read_held(self.stores.online, self.kept.space) is not None
        if body is not None and self.progress is not None and not is_held:
            place = msgspec.msgpack.decode(body, type=Place)
            is_same = place.parts == parts_of(self.kept, place.offset) and place.buried == buried
            if is_same and place.offset <= self.behind.offset:
                return place
        offset = self.behind.offset
        return Place(offset, parts_of(self.kept, offset), 0, buried)

    @cached_property
    def customers(self) -> Customers | None:
        """Who was who, up to the offset that the fill knows of."""
        known = AsOf(offset=self.place.offset)
        return customers_as_of(self.project, self.stores, known, tail=self.behind)

    def write(self, now: int, at: datetime, tell: Tell | None = None) -> int:
        """Write the parts that are missing, and what is kept beside them.

        Parameters
        ----------
        now : int
            Microseconds since 1970; what happens later is pending.
        at : datetime
            The same, for the rows.
        tell : callable, optional
            Told after each part, and once before.

        Returns
        -------
        int
            The offset that the view knows of now; `UNFILLED` where it is held back.

        Raises
        ------
        Conflict
            If somebody else wrote the view, or erased from it; what was written stays.
        """
        place, progress, beside = self.place, self.progress, self._beside
        if progress is not None:
            at = max(at, progress.at)
            now = max(now, to_microseconds(progress.at))
        events = self.kept.events
        with relations(
            self.project,
            self.stores,
            self.kept.declared.purpose,
            AsOf(offset=place.offset),
            derived_columns(self.project),
            events,
            one_customer=None if self.customers is None else self.customers.others_of,
            tail=self.behind,
            refused=True,
        ) as connection:
            set_aside(connection, self.kept.scanned)
            for number in range(place.done, place.parts):
                _tell(tell, self.kept.name, place)
                for event in events:
                    part = part_sql(self.kept, event, number, place.parts)
                    for name in (event, refused_name(event)):
                        narrow(connection, name, part)
                made = tiles_of(
                    connection, self.kept.view, now, self.project.currency, self.kept.events
                )
                puts = [
                    (encoded(self.kept.entity, key), encode_row(row)) for key, row in made.items()
                ]
                place = structs.replace(place, done=number + 1)
                changes = {
                    self.kept.space: Changes(progress, puts, clear=number == 0),
                    self.kept.filling: Changes(beside, [(_PLACE, msgspec.msgpack.encode(place))]),
                }
                progress = beside = self.stores.online.apply(changes, UNFILLED, at)
        _tell(tell, self.kept.name, place)
        held = self.watch.judge_filled(self.kept, Changed({}, self.customers), now)
        flag = flag_changes(self.stores.online, self.kept.space, held, is_new=True)
        changes = {self.kept.space: Changes(progress)} | flag
        if held is not None:
            self.stores.online.apply(changes, UNFILLED, at)
            return UNFILLED
        changes |= self._others()
        changes[self.kept.filling] = Changes(beside, clear=True)
        self.stores.online.apply(changes, place.offset, at)
        return place.offset

    def _others(self) -> dict[str, Changes]:
        """Say what else is kept of a view: who is who, and that nothing is to be made anew."""
        changes = {}
        if self.kept.entity == CUSTOMER:
            groups = {} if self.customers is None else self.customers.groups
            seen = self.stores.online.progress(self.kept.members)
            changes[self.kept.members] = Changes(seen, groups.items(), clear=True)
        seen = self.stores.online.progress(self.kept.stale)
        if seen is not None:
            changes[self.kept.stale] = Changes(seen, clear=True)
        return changes


def _tell(tell: Tell | None, view: str, place: Place) -> None:
    if tell is not None:
        tell(Filled(view, place.done, place.parts))


def parts_of(kept: KeptView, events: int) -> int:
    """Say in how many parts a view is filled: about `PART` events each.

    What is about the items of a list, or about several things at once, is filled in one: a row does
    not say which part it belongs to.
    """
    if any(_column(kept, event) is None for event in kept.events):
        return 1
    return max(1, min(MOST_PARTS, -(-events // PART)))


def part_sql(kept: KeptView, event: str, number: int, parts: int, of: int = MOST_PARTS) -> str:
    """Write which rows of an event are in a part.

    Parameters
    ----------
    kept : KeptView
    event : str
    number, parts : int
        Which of how many.
    of : int
        Up to which bound of 256, for less than a part.
    """
    column = _column(kept, event)
    if column is None:
        return "TRUE"
    low, high = MOST_PARTS * number // parts, min(of, MOST_PARTS * (number + 1) // parts)
    key, bound = f"left(md5({quoted(column)}::VARCHAR), 2)", "'{:02x}'"
    if kept.entity in PEOPLE:
        key, bound = quoted(column), "unhex('{:02X}')"
    tests = []
    if low > 0:
        tests.append(f"{key} >= {bound.format(low)}")
    if high < MOST_PARTS:
        tests.append(f"{key} < {bound.format(high)}")
    return " AND ".join(tests) or "TRUE"


def _column(kept: KeptView, event: str) -> str | None:
    """Name the column that says first whom a row is about, if it is one and the same for all."""
    columns: Sequence[str] = list(
        dict.fromkeys(
            plan.source.key[0].column for plan in kept.view.plans if plan.source.event == event
        )
    )
    if len(columns) != 1 or "." in columns[0] or columns[0].startswith(CONTEXT):
        return None
    return columns[0]

"""The moments of an experiment's metrics, by arm and day of assignment, kept as the log goes on.

What each unit did is kept in whole numbers. A step counts only what can have changed: events behind
the last offset are added to their units' totals; a unit is counted anew where something that was
counted may be told otherwise now (`liftwerk.metrics.touched`), or its assignment is another. Where
rows were taken out of the log, or reference data changed behind what was counted, all is counted
anew. Either way the sums are those that a fresh count gives, to the last digit.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from decimal import Decimal

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

from liftwerk.definitions.project import Project, plain_value
from liftwerk.events.definition import EVENTS
from liftwerk.events.engine import connect, quoted
from liftwerk.events.entities.definition import ENTITIES
from liftwerk.events.identifiers import IDENTIFIERS
from liftwerk.events.state import has_same_rows
from liftwerk.features.join import check_currency, exact_states
from liftwerk.identity.definition import IDENTITY
from liftwerk.metrics.changed import KEYS, fingerprint, last_word, latest_time, what_changed
from liftwerk.metrics.compile import Counted
from liftwerk.metrics.kept import Cohorts, Folder, Kept, written
from liftwerk.metrics.read import opened, plans_of
from liftwerk.metrics.reckon import (
    Weighted,
    dictionary,
    microseconds,
    states_of,
    unit_of,
    weighted,
    wholly,
)
from liftwerk.metrics.sums import Sums
from liftwerk.metrics.touched import TOUCHED, all_leaves, resolved, touched
from liftwerk.metrics.units import asked_columns, counted_by
from liftwerk.privacy.definition import PURPOSES
from liftwerk.privacy.permitted import NOW, AsOf
from liftwerk.stats.moments import Moments
from liftwerk.store.ledger.protocol import Snapshot
from liftwerk.store.stores import Stores

SLICE = 1_000_000
"""Units that are counted at one time, so that memory does not grow with them."""

DAY = 86_400_000_000
_STATE = pa.decimal128(38, 0)


class Followed(Struct, frozen=True):
    """What the units of an experiment did, up to an offset of the log.

    Attributes
    ----------
    columns : tuple of str
        What was counted, in the order of the moments' columns (`columns_of`).
    units : tuple of int
        How many of a column's whole numbers are 1.
    cohorts : mapping of (str, int) to Sums
        Arm, and day of assignment (days since 1970, UTC) -> exact sums.
    offset : int
        The last offset that was counted.
    counted : int
        Units that this step counted, of all or of those that changed.
    """

    columns: tuple[str, ...]
    units: tuple[int, ...]
    cohorts: Cohorts
    offset: int
    counted: int

    def moments(self, arm: str, last_day: int | None = None) -> Moments:
        """Return the moments of an arm, of all days of assignment or up to one."""
        total = Sums.none(len(self.columns))
        for (name, day), sums in self.cohorts.items():
            if name == arm and (last_day is None or day <= last_day):
                total = total.plus(sums)
        return total.moments(self.units)


def follow(
    project: Project,
    stores: Stores,
    name: str,
    spine: pa.Table,
    metrics: Sequence[str],
    purpose: str,
    *,
    costs: Mapping[str, Decimal] | None = None,
) -> Followed:
    """Bring an experiment's totals up to the latest snapshot.

    Parameters
    ----------
    project : Project
    stores : Stores
    name : str
        What the totals are kept under: the experiment's name.
    spine : pyarrow.Table
        As of `liftwerk.metrics.units.per_unit`; units are told apart by ``unit`` and ``time``.
        Their outcomes are their customers'.
    metrics : sequence of str
        Which metrics.
    purpose : str
        What the outcomes are read for.
    costs : mapping of str to decimal.Decimal, optional
        Arm -> what its action costs once.

    Returns
    -------
    Followed

    Raises
    ------
    UnknownName, InputError, Refused
        As of `per_unit`.
    """
    folder = Folder(stores, name)
    with folder.held(), stores.tables.reading():
        return _Following(project, stores, folder, spine, metrics, purpose, costs or {}).step()


class _Following:
    """One step."""

    def __init__(
        self,
        project: Project,
        stores: Stores,
        folder: Folder,
        spine: pa.Table,
        metrics: Sequence[str],
        purpose: str,
        costs: Mapping[str, Decimal],
    ) -> None:
        self.project = project
        self.stores = stores
        self.folder = folder
        self.purpose = purpose
        self.costs = costs
        columns = asked_columns(project, metrics)
        counted = counted_by(project, columns.values())
        self.plans = plans_of(project, counted, "customers")
        self.counted: dict[str, Counted] = {
            one.name: one for plan in self.plans for one in plan.counted
        }
        self.how: dict[str, Weighted] = {
            column: weighted(total, self.counted) for column, total in columns.items()
        }
        self.units = tuple(unit_of(how, costs) for how in self.how.values())
        self.snapshot: Snapshot | None = stores.ledger.latest_snapshot()
        self.offset = 0
        if self.snapshot is not None:
            self.offset = self.snapshot.inbox_offset
        self.as_of = AsOf(offset=self.offset)
        self.spine = resolved(project, stores, spine.select(list(KEYS)), self.as_of)
        self.fingerprint = self._fingerprint()
        said = {one: plain_value(metric) for one, metric in counted.items()}
        sums = {column: (total.terms, total.constant) for column, total in columns.items()}
        sections = project.section_hash(EVENTS, ENTITIES, IDENTIFIERS, IDENTITY, PURPOSES)
        buried = len(stores.ledger.buried())
        facts = [said, sums, purpose, costs, sections, project.currency, buried]
        self.version = hashlib.sha256(json.dumps(facts, default=str).encode()).hexdigest()

    def step(self) -> Followed:
        kept = self.folder.read()
        if kept is None or not self._goes_on(kept):
            return self._anew()
        if kept.offset == self.offset and kept.spine == self.fingerprint:
            return self._followed(kept.sums, 0)
        return self._continued(kept)

    def _goes_on(self, kept: Kept) -> bool:
        """Say whether what is kept holds as far as it goes."""
        if kept.version != self.version or kept.offset > self.offset:
            return False
        if kept.changed > kept.units:
            return False
        before = self.stores.ledger.snapshot(kept.snapshot)
        if not has_same_rows(self.stores.ledger, before, self.snapshot):
            return False
        return kept.entities == self._entities(kept.latest)

    def _anew(self) -> Followed:
        cohorts: dict[tuple[str, int], Sums] = {}
        files = []
        latest = 0
        with self._opened() as connection:
            latest = latest_time(connection, self.plans)
            for start in range(0, max(self.spine.num_rows, 1), SLICE):
                table = self._count(connection, self.spine.slice(start, SLICE))
                _add(cohorts, self._sums(table))
                files.append(self.folder.add(_with_gone(table, gone=False)))
        self._commit(tuple(files), (), 0, cohorts, latest)
        return self._followed(cohorts, self.spine.num_rows)

    def _continued(self, kept: Kept) -> Followed:
        cohorts = kept.sums
        changed = touched(
            self.project, self.stores, self.plans, self.purpose, kept.offset, self.as_of
        )
        with connect() as local:
            local.register("_spine", self.spine)
            local.register(TOUCHED, changed)
            local.execute(f"CREATE VIEW _kept AS {self.folder.sql(kept)}")
            old, entered = what_changed(local, kept.spine == self.fingerprint)
            stays = old.filter(pc.field("is_kept"))
            added = stays.filter(~pc.field("restated")).select(self._columns)
            again = stays.filter(pc.field("restated")).select(list(KEYS))
            again = pa.concat_tables([again, entered.select(list(KEYS))])
            tables = [self._count_again(again), self._count_added(local, added, kept.offset)]
        new = pa.concat_tables(tables)
        _add(cohorts, self._sums(old.select(self._columns)), -1)
        _add(cohorts, self._sums(new))
        latest = max(kept.latest, self._latest_behind(kept.offset))
        gone = old.filter(~pc.field("is_kept")).select(self._columns)
        rows = pa.concat_tables([_with_gone(new, gone=False), _with_gone(gone, gone=True)])
        later = kept.later
        if rows.num_rows:
            later = (*later, self.folder.add(last_word(rows)))
        self._commit(kept.base, later, kept.changed + rows.num_rows, cohorts, latest)
        return self._followed(cohorts, new.num_rows)

    def _opened(
        self, leaves: pa.Array | None = None, after_offset: int | None = None
    ) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        # What was imported of entities stands behind the last event that there was by then.
        return opened(
            self.project,
            self.stores,
            self.plans,
            self.purpose,
            self.as_of,
            leaves,
            after_offset,
            NOW,
        )

    @property
    def _columns(self) -> list[str]:
        return [*KEYS, *(_state(name) for name in self.counted)]

    def _count(self, connection: duckdb.DuckDBPyConnection, rows: pa.Table) -> pa.Table:
        """Count units: their keys, and an exact state of each metric."""
        asked = pa.table(
            {
                "_row": pa.array(np.arange(rows.num_rows)),
                "customer": rows.column("customer"),
                "time": rows.column("time"),
            }
        )
        table = rows
        connection.register("_spine", asked)
        try:
            for plan in self.plans:
                check_currency(connection, plan.event, plan.money, self.project.currency)
                found = exact_states(connection, plan.event, plan.sql)
                for one in plan.counted:
                    table = table.append_column(
                        _state(one.name), found.column(one.name).cast(_STATE)
                    )
        finally:
            connection.unregister("_spine")
        return table

    def _count_again(self, rows: pa.Table) -> pa.Table:
        leaves = all_leaves(self.project, self.stores, rows.column("customer"), self.as_of)
        with self._opened(leaves=leaves) as connection:
            return self._count(connection, rows)

    def _count_added(
        self, local: duckdb.DuckDBPyConnection, rows: pa.Table, offset: int
    ) -> pa.Table:
        """Add what is behind an offset to what was counted up to it."""
        with self._opened(after_offset=offset) as connection:
            more = self._count(connection, rows.select(list(KEYS)))
        place = pa.array(np.arange(rows.num_rows))
        local.register("_before", rows.append_column("_row", place))
        local.register("_more", more.append_column("_row", place))
        merged = []
        for one in self.counted.values():
            a, b = f"b.{quoted(_state(one.name))}", f"m.{quoted(_state(one.name))}"
            sql = f"{one.merge}({a}, {b})"
            if one.merge == "add":
                # Nothing stays nothing: it is written as no number at all.
                sql = f"CASE WHEN {a} IS NULL THEN {b} ELSE {a} + coalesce({b}, 0) END"
            merged.append(f"CAST({sql} AS DECIMAL(38, 0)) AS {quoted(_state(one.name))}")
        keys = ", ".join(f"b.{name}" for name in KEYS)
        return (
            local.sql(
                f"SELECT {', '.join([keys, *merged])}"
                " FROM _before AS b JOIN _more AS m USING (_row) ORDER BY _row"
            )
            .to_arrow_table()
            .cast(more.schema)
        )

    def _sums(self, table: pa.Table) -> dict[tuple[str, int], Sums]:
        """Add up units by arm and day of assignment."""
        asked_at = microseconds(table.column("time"))
        own = table.select([_state(name) for name in self.counted])
        states = states_of(own.rename_columns(list(self.counted)), self.counted.values(), asked_at)
        arms = dictionary(table.column("arm"))
        columns = [wholly(how, states, arms, self.costs) for how in self.how.values()]
        days = asked_at // DAY
        places = arms.indices.to_numpy().astype(np.int64)
        order = np.lexsort((days, places))
        days, places = days[order], places[order]
        ends = np.flatnonzero((np.diff(days) != 0) | (np.diff(places) != 0)) + 1
        bounds = [0, *ends.tolist(), len(order)]
        found = {}
        for start, end in itertools.pairwise(bounds):
            if start == end:
                continue
            rows = order[start:end]
            key = (str(arms.dictionary[int(places[start])]), int(days[start]))
            found[key] = Sums.of([column[rows] for column in columns])
        return found

    def _entities(self, until: int) -> dict[str, str]:
        """Fingerprint what the entities that are read were like up to a time."""
        names = list(dict.fromkeys(name for plan in self.plans for name in plan.entities))
        if not names:
            return {}
        with self._opened(after_offset=self.offset) as connection:
            return {
                name: fingerprint(
                    connection,
                    f"SELECT * EXCLUDE (valid_to, known_at) FROM {quoted(name)}"
                    f" WHERE epoch_us(valid_from) <= {until}",
                )
                for name in names
            }

    def _fingerprint(self) -> str:
        with connect() as local:
            local.register("_spine", self.spine)
            return fingerprint(local, "SELECT unit, customer, time, arm FROM _spine")

    def _latest_behind(self, offset: int) -> int:
        if not any(plan.entities for plan in self.plans):
            return 0
        with self._opened(after_offset=offset) as connection:
            return latest_time(connection, self.plans)

    def _commit(
        self,
        base: tuple[str, ...],
        later: tuple[str, ...],
        changed: int,
        cohorts: Cohorts,
        latest: int,
    ) -> None:
        snapshot = ""
        if self.snapshot is not None:
            snapshot = self.snapshot.id
        self.folder.commit(
            Kept(
                version=self.version,
                snapshot=snapshot,
                offset=self.offset,
                latest=latest,
                entities=self._entities(latest),
                spine=self.fingerprint,
                units=self.spine.num_rows,
                base=base,
                later=later,
                changed=changed,
                cohorts=written(cohorts),
            )
        )

    def _followed(self, cohorts: Cohorts, counted: int) -> Followed:
        whole = {key: sums for key, sums in cohorts.items() if sums.n}
        return Followed(tuple(self.how), self.units, whole, self.offset, counted)


def _add(
    cohorts: dict[tuple[str, int], Sums], more: Mapping[tuple[str, int], Sums], times: int = 1
) -> None:
    for key, sums in more.items():
        before = cohorts.get(key, Sums.none(len(sums.sums)))
        cohorts[key] = before.plus(sums, times)


def _with_gone(table: pa.Table, *, gone: bool) -> pa.Table:
    return table.append_column("gone", pa.repeat(gone, table.num_rows))


def _state(name: str) -> str:
    """Name a metric's state among the keys, which it may not hide."""
    return f"state.{name}"

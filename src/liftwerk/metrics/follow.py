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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

from liftwerk.definitions.project import Project, plain_value
from liftwerk.events.definition import EVENTS
from liftwerk.events.engine import bound, connect, quoted
from liftwerk.events.entities.definition import ENTITIES
from liftwerk.events.identifiers import IDENTIFIERS
from liftwerk.events.state import has_same_rows
from liftwerk.features.finalise import Whole, nearest
from liftwerk.identity.definition import IDENTITY
from liftwerk.metrics.changed import KEYS, fingerprint, last_word, latest_time, what_changed
from liftwerk.metrics.definition import MetricDefinition
from liftwerk.metrics.formula import Sum
from liftwerk.metrics.kept import Cohorts, Folder, Kept, written
from liftwerk.metrics.parted import MEGABYTES
from liftwerk.metrics.read import plans_of
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
from liftwerk.metrics.tally import Tally, state_column
from liftwerk.metrics.touched import TOUCHED, resolved, touched
from liftwerk.metrics.units import asked_columns, counted_by
from liftwerk.privacy.definition import PURPOSES
from liftwerk.privacy.permitted import AsOf
from liftwerk.stats.moments import Moments
from liftwerk.store.ledger.protocol import Snapshot
from liftwerk.store.stores import Stores

DAY = 86_400_000_000

MOST = 1_000_000
"""Where more units changed, all are counted anew: part by part, which takes less memory."""

ROWS = 250_000
"""Units whose values are made at one time."""


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
    columns = asked_columns(project, metrics)
    counted = counted_by(project, columns.values())
    with Folder(stores, name).held() as folder, stores.tables.reading():
        told = (project, stores, folder, spine, columns, counted, purpose, costs or {})
        return Following(*told, adds_up=True).step()


class Following:
    """One step, while the folder and the tables are held.

    Parameters
    ----------
    project : Project
    stores : Stores
    folder : Folder
        Where totals are kept.
    spine, purpose, costs : as of `follow`
    columns : mapping of str to Sum
        What a unit is asked for -> the metrics that it adds up.
    counted : mapping of str to MetricDefinition
        These metrics.
    adds_up : bool
        Whether sums over the units are kept beside them, which takes its time, too.
    """

    def __init__(
        self,
        project: Project,
        stores: Stores,
        folder: Folder,
        spine: pa.Table,
        columns: Mapping[str, Sum],
        counted: Mapping[str, MetricDefinition],
        purpose: str,
        costs: Mapping[str, Decimal],
        *,
        adds_up: bool,
    ) -> None:
        self.project = project
        self.stores = stores
        self.folder = folder
        self.purpose = purpose
        self.costs = costs
        self.adds_up = adds_up
        self.snapshot: Snapshot | None = stores.ledger.latest_snapshot()
        self.offset = 0
        if self.snapshot is not None:
            self.offset = self.snapshot.inbox_offset
        self.as_of = AsOf(offset=self.offset)
        self.plans = plans_of(project, counted, "customers")
        self.tally = Tally(project, stores, self.plans, purpose, self.as_of)
        self.how: dict[str, Weighted] = {
            column: weighted(total, self.tally.counted) for column, total in columns.items()
        }
        self.units = tuple(unit_of(how, costs) for how in self.how.values())
        self.spine = resolved(project, stores, spine.select(list(KEYS)), self.as_of)
        self.fingerprint = self._fingerprint()
        said = {one: plain_value(metric) for one, metric in counted.items()}
        sections = project.section_hash(EVENTS, ENTITIES, IDENTIFIERS, IDENTITY, PURPOSES)
        buried = len(stores.ledger.buried())
        facts: list[object] = [said, purpose, sections, project.currency, buried]
        if adds_up:
            sums = {column: (total.terms, total.constant) for column, total in columns.items()}
            facts += [sums, costs]
        self.version = hashlib.sha256(json.dumps(facts, default=str).encode()).hexdigest()

    def step(self) -> Followed:
        """Bring what is kept up to the latest snapshot."""
        kept = self.folder.read()
        if kept is None or not self._goes_on(kept):
            return self._anew()
        if kept.offset == self.offset and kept.spine == self.fingerprint:
            return self._followed(kept.sums, 0)
        return self._continued(kept)

    def values(self) -> pa.Table:
        """Return the columns of every unit after a step, in the order of the spine's rows."""
        kept = self.folder.read()
        assert kept is not None  # a step was made
        found = {name: np.empty(self.spine.num_rows) for name in self.how}
        place = pa.array(np.arange(self.spine.num_rows))
        with self._beside() as local:
            local.register("_spine", self.spine.append_column("_row", place))
            told = local.sql(
                f"SELECT s._row, k.* FROM ({self.folder.sql(kept)}) AS k"
                " JOIN (SELECT unit, time, _row FROM _spine) AS s USING (unit, time)"
            )
            for batch in told.to_arrow_reader(ROWS):
                table = pa.table(batch)
                rows = table.column("_row").to_numpy()
                values = zip(self.how, self._wholly(table), self.units, strict=True)
                for name, whole, unit in values:
                    found[name][rows] = nearest(whole, unit)
        return pa.table(found)

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
        with self.tally.opened() as connection:
            latest = latest_time(connection, self.plans)
            for table in self.tally.all(connection, self.spine, self.folder):
                _add(cohorts, self._sums(table))
                files.append(self.folder.add(_with_gone(table, gone=False)))
        self._commit(tuple(files), (), 0, cohorts, latest)
        return self._followed(cohorts, self.spine.num_rows)

    def _continued(self, kept: Kept) -> Followed:
        cohorts = kept.sums
        changed = touched(
            self.project, self.stores, self.plans, self.purpose, kept.offset, self.as_of
        )
        number = abs(self.spine.num_rows - kept.units) + min(changed.num_rows, kept.units)
        if number > MOST:
            return self._anew()
        with self._beside() as local:
            local.register("_spine", self.spine)
            local.register(TOUCHED, changed)
            local.execute(f"CREATE VIEW _kept AS {self.folder.sql(kept)}")
            old, entered = what_changed(local, kept.spine == self.fingerprint)
            stays = old.filter(pc.field("is_kept"))
            added = stays.filter(~pc.field("restated")).select(self.tally.columns)
            again = stays.filter(pc.field("restated")).select(list(KEYS))
            again = pa.concat_tables([again, entered.select(list(KEYS))])
            tables = [self.tally.again(again), self.tally.added(added, kept.offset)]
        new = pa.concat_tables(tables)
        _add(cohorts, self._sums(old.select(self.tally.columns)), -1)
        _add(cohorts, self._sums(new))
        latest = max(kept.latest, self._latest_behind(kept.offset))
        gone = old.filter(~pc.field("is_kept")).select(self.tally.columns)
        rows = pa.concat_tables([_with_gone(new, gone=False), _with_gone(gone, gone=True)])
        later = kept.later
        if rows.num_rows:
            later = (*later, self.folder.add(last_word(rows)))
        self._commit(kept.base, later, kept.changed + rows.num_rows, cohorts, latest)
        return self._followed(cohorts, new.num_rows)

    @contextmanager
    def _beside(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open an engine that compares units with units, and does not grow with them."""
        with self.folder.aside() as path, connect() as local:
            bound(local, MEGABYTES, path)
            yield local

    def _wholly(self, table: pa.Table) -> list[Whole]:
        """Make the columns of units of their states, in whole numbers."""
        counted = self.tally.counted
        asked_at = microseconds(table.column("time"))
        own = table.select([state_column(name) for name in counted])
        states = states_of(own.rename_columns(list(counted)), counted.values(), asked_at)
        arms = dictionary(table.column("arm"))
        return [wholly(how, states, arms, self.costs) for how in self.how.values()]

    def _sums(self, table: pa.Table) -> dict[tuple[str, int], Sums]:
        """Add up units by arm and day of assignment."""
        if not self.adds_up:
            return {}
        columns = self._wholly(table)
        arms = dictionary(table.column("arm"))
        days = microseconds(table.column("time")) // DAY
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
        with self.tally.opened(after_offset=self.offset) as connection:
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
        with self.tally.opened(after_offset=offset) as connection:
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

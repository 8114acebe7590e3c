"""Training sets: taken, saved with what they were made of, and made again to the last byte.

What a set knew is said by an offset of the log, that of the snapshot it was made from: whatever
came in later, however early it says it was known, is not in it when it is made again. Only what is
gone can't come back: customers who were erased, and what was kept no longer.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from msgspec import Struct

from liftwerk.definitions.project import Project
from liftwerk.errors import EnvironmentFault, InputError, ProjectError, Refused, UnknownName
from liftwerk.events.identifiers import IDENTIFIERS
from liftwerk.features.as_of import events_of, training_set
from liftwerk.features.definition import FEATURES
from liftwerk.features.digest import table_hash
from liftwerk.features.spine import PEOPLE, TIME, Spine, spine_of
from liftwerk.features.version import feature_versions
from liftwerk.identity.definition import IDENTITY
from liftwerk.privacy.definition import PURPOSES
from liftwerk.privacy.permitted import AsOf
from liftwerk.store.durable import sync_file, sync_folder
from liftwerk.store.ledger.protocol import Snapshot
from liftwerk.store.stores import Stores

METADATA = b"liftwerk"
RETAINED = "events.retain"
"""The audit entry of what was kept no longer."""

ENDING = ".parquet"
_EVERY = 1_000_000


class Origin(Struct, frozen=True):
    """What a set was made of.

    Attributes
    ----------
    snapshot : str
        The id of the snapshot.
    offset : int
        The last offset of the log that it knows of.
    purpose : str
    features : dict of str to str
        Feature -> its version.
    settings : str
        A hash of the purposes, the identifiers and ``[identity]``.
    time : str
        The column that says as of when.
    customer : str or None
        The column that was named as the customers'.
    timezone : str
        The zone of times that name none.
    """

    snapshot: str
    offset: int
    purpose: str
    features: dict[str, str]
    settings: str
    time: str
    customer: str | None
    timezone: str


class TrainingSet(Struct, frozen=True):
    """Rows with what was known at their times.

    Attributes
    ----------
    table : pyarrow.Table
        The rows in their order, and a column a feature.
    origin : Origin
    sha256 : str
        Of the Arrow stream of the rows, sorted.
    erased : int
        Rows of customers who are erased, of whom nothing is known any more.
    expired : dict of str to int
        Event that is read -> how many of its rows, or values, were kept no longer since then.
    without_zone : int
        Times that named no zone.
    waiting : int
        Events that were collected and are in no snapshot yet.
    """

    table: pa.Table
    origin: Origin
    sha256: str
    erased: int
    expired: dict[str, int]
    without_zone: int
    waiting: int

    def __repr__(self) -> str:
        rows, columns = self.table.shape
        return f"<training set of {rows:,} rows, {columns} columns, sha256 {self.sha256[:16]}>"

    def save(self, path: Path | str) -> None:
        """Write it to a Parquet file, whole or not at all, with what it was made of.

        The same set makes the same bytes. It is a file of yours: no erasure reaches it.

        Raises
        ------
        ProjectError
            If the name does not end in .parquet, or its folder is not there.
        EnvironmentFault
            If it cannot be written.
        """
        target = Path(path)
        demand_target(target)
        said = msgspec.json.encode({"origin": self.origin, "sha256": self.sha256})
        metadata = {**(self.table.schema.metadata or {}), METADATA: said}
        beside = target.with_name(f"{target.name}.part")
        try:
            pq.write_table(self.table.replace_schema_metadata(metadata), beside, compression="zstd")
            sync_file(beside)
            os.replace(beside, target)
            sync_folder(target.absolute().parent)
        except OSError as error:
            beside.unlink(missing_ok=True)
            what = f"cannot be written ({(error.strerror or str(error)).lower()})"
            raise EnvironmentFault(what, str(target), "make room, or name another file") from None


def demand_target(target: Path) -> None:
    """Refuse a file that no set can be written to, before one is made.

    Raises
    ------
    ProjectError
    """
    if target.suffix != ENDING:
        what = f"a training set is written to a {ENDING} file"
        raise ProjectError(what, str(target), f"name it {target.stem}{ENDING}")
    if not target.absolute().parent.is_dir():
        raise ProjectError("no such folder", str(target.absolute().parent), "make it first")


def take_training_set(
    project: Project,
    stores: Stores,
    rows: pa.Table,
    features: Sequence[str],
    purpose: str,
    *,
    label: str = "the rows",
    time: str = TIME,
    customer: str | None = None,
    snapshot: str | None = None,
) -> TrainingSet:
    """Add to each row what was known of its customer at its time.

    Parameters
    ----------
    project : Project
    stores : Stores
    rows : pyarrow.Table
        Each with a time and an identifier, as `liftwerk.features.spine.spine_of` reads them;
        further columns, such as labels, are kept.
    features : sequence of str
    purpose : str
    label : str
        What to call the rows in messages.
    time, customer : str
        The columns.
    snapshot : str, optional
        The id of an older snapshot: what it did not know is left out. By default the latest.

    Returns
    -------
    TrainingSet

    Raises
    ------
    UnknownName
        If a feature, the purpose or the snapshot is not known.
    InputError
        If a row has no time or nobody, or a column is called like a feature.
    Refused
        If nothing was sorted into tables yet, or as of
        `liftwerk.features.as_of.training_set`.
    """
    known = _snapshot(stores, snapshot)
    spine = _spine(project, rows, features, label, time, customer)
    return _taken(project, stores, spine, features, purpose, known, customer)


def _spine(
    project: Project,
    rows: pa.Table,
    features: Sequence[str],
    label: str,
    time: str,
    customer: str | None,
) -> Spine:
    about = {project.lookup(FEATURES, name).entity for name in features}
    for name in features:
        if name in rows.column_names:
            hint = "leave the column out, or call it otherwise"
            raise InputError(f"a column is called like the feature {name!r}", label, hint)
    people = [name for name in PEOPLE if name in about]
    return spine_of(project, rows, label, people, time, customer)


def _taken(
    project: Project,
    stores: Stores,
    spine: Spine,
    features: Sequence[str],
    purpose: str,
    known: Snapshot,
    customer: str | None,
) -> TrainingSet:
    as_of = AsOf(offset=known.inbox_offset)
    made = training_set(project, stores, spine.asked, features, purpose, as_of)
    table = spine.rows
    for name in features:
        table = table.append_column(name, made.column(name))
    origin = Origin(
        known.id,
        known.inbox_offset,
        purpose,
        feature_versions(project, features),
        project.section_hash(PURPOSES, IDENTIFIERS, IDENTITY),
        spine.time,
        customer,
        project.timezone.key,
    )
    return TrainingSet(
        table,
        origin,
        table_hash(table),
        _count(is_erased(stores, spine)),
        _expired(project, stores, known, features),
        spine.without_zone,
        max(0, stores.inbox.last_offset() - known.inbox_offset),
    )


def is_erased(stores: Stores, spine: Spine) -> pa.ChunkedArray:
    """Say of each row whether it is about somebody who is erased."""
    buried = pa.array(sorted(stores.ledger.buried()), pa.binary())
    found = pa.chunked_array([pa.array([False] * spine.rows.num_rows, pa.bool_())])
    for name in spine.people:
        found = pc.or_(found, pc.is_in(spine.asked.column(name), value_set=buried))
    return found


def load_training_set(path: Path | str) -> TrainingSet:
    """Read a set that was saved.

    Raises
    ------
    InputError
        If the file is none, or was changed since.
    """
    label = str(path)
    try:
        table = pq.read_table(path, partitioning=None)
    except FileNotFoundError:
        raise InputError("no such file", label, "name a training set that was saved") from None
    except (pa.ArrowException, OSError) as error:
        what = f"not a whole Parquet file ({str(error).partition(chr(10))[0]})"
        raise InputError(what, label, "take the training set again") from None
    metadata = dict(table.schema.metadata or {})
    if METADATA not in metadata:
        hint = "name one that `features training-set` has written"
        raise InputError("a Parquet file, and no training set", label, hint)
    said = msgspec.json.decode(metadata.pop(METADATA), type=_Saved)
    table = table.replace_schema_metadata(metadata or None)
    if table_hash(table) != said.sha256:
        hint = "only what was not touched can be compared"
        raise InputError("the rows were changed since they were saved", label, hint)
    return TrainingSet(table, said.origin, said.sha256, 0, {}, 0, 0)


class _Saved(Struct, frozen=True):
    origin: Origin
    sha256: str


class Rebuilt(Struct, frozen=True):
    """A set that was made again, beside what it was.

    Attributes
    ----------
    again : TrainingSet
        As it is made today.
    same : bool
        Whether all rows but those of the erased are what they were, by their hash.
    differing : int
        How many of these rows are not.
    versions : dict of str to tuple of str
        Feature that is declared otherwise now -> its version then and now.
    settings_changed : bool
        Whether purposes, identifiers or ``[identity]`` are declared otherwise now.
    erasures : int
        Erasures since its snapshot: a customer who shared events with one who is gone may have
        other values.
    """

    again: TrainingSet
    same: bool
    differing: int
    versions: dict[str, tuple[str, str]]
    settings_changed: bool
    erasures: int


def rebuild(project: Project, stores: Stores, before: TrainingSet, label: str) -> Rebuilt:
    """Make a set again from its own rows, and hold it against what it was.

    Parameters
    ----------
    project : Project
    stores : Stores
    before : TrainingSet
    label : str
        What to call it in messages.

    Returns
    -------
    Rebuilt

    Raises
    ------
    UnknownName
        If its snapshot is not of this home, or a feature is declared no more.
    """
    origin, features = before.origin, list(before.origin.features)
    known = _snapshot(stores, origin.snapshot)
    rows = before.table.drop_columns(features)
    spine = _spine(project, rows, features, label, origin.time, origin.customer)
    again = _taken(project, stores, spine, features, origin.purpose, known, origin.customer)
    kept = pc.invert(is_erased(stores, spine))
    then, now = before.table.filter(kept), again.table.filter(kept)
    same = before.sha256 == again.sha256
    if again.erased:
        same = table_hash(then) == table_hash(now)
    versions = {
        name: (version, again.origin.features[name])
        for name, version in origin.features.items()
        if version != again.origin.features[name]
    }
    return Rebuilt(
        again,
        same,
        _differing(then, now, features),
        versions,
        origin.settings != again.origin.settings,
        _erasures_since(stores, known),
    )


def _differing(then: pa.Table, now: pa.Table, features: Sequence[str]) -> int:
    differs = pa.chunked_array([pa.array([False] * then.num_rows, pa.bool_())])
    for name in features:
        equal = pc.equal(then.column(name), now.column(name))
        missing = pc.and_(pc.is_null(then.column(name)), pc.is_null(now.column(name)))
        differs = pc.or_(differs, pc.invert(pc.coalesce(equal, missing)))
    return _count(differs)


def _count(flags: pa.ChunkedArray) -> int:
    return pc.sum(pc.cast(flags, pa.int64())).as_py() or 0


def _snapshot(stores: Stores, snapshot: str | None) -> Snapshot:
    if snapshot is None:
        latest = stores.ledger.latest_snapshot()
        if latest is None:
            what = "no event was sorted into tables yet"
            raise Refused(what, "training-set", "run liftwerk events compact, or import events")
        return latest
    known = stores.ledger.snapshot(snapshot)
    if known is None:
        hint = "a training set names the one that it was made from"
        raise UnknownName(f"no snapshot {snapshot!r}", "training-set", hint)
    return known


def _expired(
    project: Project, stores: Stores, known: Snapshot, features: Sequence[str]
) -> dict[str, int]:
    """Count what was kept no longer since a snapshot, of the events that features read."""
    if stores.ledger.latest_snapshot() == known:
        return {}
    read = events_of(project, features)
    found: Counter[str] = Counter()
    for entry in stores.ledger.audit(limit=_EVERY, action=RETAINED):
        if entry.at >= known.at:
            for field, rows in entry.detail.items():
                event = field.partition(".")[0]
                if event in read:
                    found[event] += rows
    return dict(sorted(found.items()))


def _erasures_since(stores: Stores, known: Snapshot) -> int:
    erasures = stores.ledger.erasures(_EVERY)
    return sum(one.finished is None or one.finished >= known.at for one in erasures)

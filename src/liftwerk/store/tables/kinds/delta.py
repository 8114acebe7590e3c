"""Tables as Delta Lake on a local path, synced by us."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow
import pyarrow.compute
import pyarrow.parquet
from deltalake import (
    BloomFilterProperties,
    ColumnProperties,
    DeltaTable,
    PostCommitHookProperties,
    WriterProperties,
    write_deltalake,
)
from deltalake.exceptions import DeltaError

from liftwerk.errors import StoreFault
from liftwerk.faults import fault
from liftwerk.store.durable import make_folder, sync_folder
from liftwerk.store.flock import exclusive, shared
from liftwerk.store.tables.kinds import delta_log
from liftwerk.store.tables.kinds.parquet_search import rows_holding, search
from liftwerk.store.tables.kinds.small_files import to_merge
from liftwerk.store.tables.protocol import PARTITION, Deletion, Rewrite

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_STATISTICS = ("time", "known_at", "received", "offset")
"""Columns whose smallest and largest values may stand in the log; identifiers must not."""

# Delta's own cleaning goes by age and knows nothing of our snapshots: `purge` does it instead.
_NO_CLEANING = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)

KEY = "leaf"
"""What the names of columns of customers' keys begin with."""

GROUP_ROWS = 8_192
"""Rows of a row group: what is read at least to look for a key."""

FILE_ROWS = 65_536
"""Most rows of a file that is written anew."""

MOST_ROWS = 1_000_000
"""Rows that are held in memory to be written anew."""

LOG_ENTRIES = 32
"""So many versions are kept, and the files that only they need, before a table is vacuumed."""

_MISTAKEN = 0.01
"""How often a filter may say that a key could be there when it is not."""

_ORDER = ("customer_bucket", "leaf", "time", "offset")
"""How rows lie, by those of these columns that a table has."""


class DeltaTables:
    """Keeps the promises of `liftwerk.store.tables.Tables` in one folder."""

    def __init__(self, folder: Path) -> None:
        make_folder(folder)
        self.folder = folder
        self._opened: dict[str, tuple[int, DeltaTable]] = {}

    def names(self) -> list[str]:
        """Return the tables that are there, in order."""
        return sorted(path.name for path in self.folder.iterdir() if path.is_dir())

    def append(self, name: str, rows: pyarrow.Table) -> int:
        """Add rows, making the table when it isn't there; returns the new version."""
        return self._append(name, self.version(name), _prepared(rows))

    def version(self, name: str) -> int | None:
        """Return the newest version on the disk, None without the table."""
        return delta_log.newest(self._path(name))

    def files(self, name: str, version: int) -> list[str]:
        """Return the Parquet files of a version as absolute paths, in order."""
        return sorted(map(str, self._files(name, self._open(name, version))))

    def files_holding(
        self, name: str, version: int, columns: Sequence[str], values: Sequence[bytes]
    ) -> list[str]:
        """Return the files of which some row holds one of a few values in one of the columns."""
        with _in_one_line(self._path(name)):
            return search(self._files(name, self._open(name, version)), columns, values).files

    def schema(self, name: str, version: int) -> pyarrow.Schema:
        """Return the columns of a version, ``month`` included."""
        return pyarrow.schema(self._open(name, version).schema().to_arrow())

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Keep files from being removed while they are read."""
        with _patient(self.folder), shared(self.folder):
            yield

    def restore(self, versions: Mapping[str, int]) -> None:
        """Make every table what a snapshot says."""
        for name in sorted({*self.names(), *versions}):
            self.restore_to(name, versions.get(name))

    def restore_to(self, name: str, version: int | None) -> None:
        """Drop what is newer than a version of one table; None drops the table."""
        self._opened.pop(name, None)
        path = self._path(name)
        if version is None:
            if path.exists():
                with self._alone():
                    shutil.rmtree(path)
                    sync_folder(self.folder)
            return
        newest = delta_log.newest(path)
        if newest is None or newest < version:
            raise StoreFault(
                f"version {version} is gone", str(path), "restore the home from a backup"
            )
        # Readers are waited for only where there is something to remove.
        if newest == version and self._is_whole(name, version):
            return
        with self._alone():
            delta_log.cut_after(path, version)
            delta_log.remove_data_except(path, self._named(name, version))

    def delete_rows(
        self,
        name: str,
        columns: Sequence[str],
        values: Sequence[bytes],
        instead: Rewrite | None = None,
    ) -> Deletion:
        """Make a version without the rows of which one of the columns holds one of the values."""
        # Delta's own delete writes its predicate, and so the values, into the log: we put back
        # what stays of each file concerned instead.
        before = self.version(name)
        if before is None:
            return Deletion()
        known = [column for column in columns if column in self.schema(name, before).names]
        with _in_one_line(self._path(name)):
            found = search(self._files(name, self._open(name, before)), known, values)
        if not found.files:
            return Deletion(searched=found.read, of=found.of)
        gone: Counter[str] = Counter()
        seen: Counter[str] = Counter()

        def without(rows: pyarrow.Table) -> pyarrow.Table:
            unwanted, counts = rows_holding(rows, known, values)
            gone.update(counts)
            seen["rows"] += rows.num_rows
            left = rows.filter(pyarrow.compute.invert(unwanted))
            if instead is None:
                return left
            return pyarrow.concat_tables([left, instead(rows.filter(unwanted))])

        version = self.rewrite(name, found.files, without)
        return Deletion(version, dict(gone), found.read, seen["rows"], found.of)

    def rewrite(self, name: str, files: Sequence[str], change: Rewrite) -> int:
        """Make a version in which the rows of some files of the newest one are changed."""
        before = self.version(name)
        if before is None:
            raise ValueError(f"there is no table {name!r}")
        schema = self.schema(name, before)
        latest = before
        for group in _by_month(files):
            with _in_one_line(self._path(name)):
                # In one expression: nothing holds the rows in the order that they came in.
                ordered = _sorted(change(_whole_rows(group, schema)))
            # Short files: the next customer's rows are in few of them, for each has few buckets.
            for first in range(0, ordered.num_rows, FILE_ROWS):
                latest = self._append(name, latest, ordered.slice(first, FILE_ROWS))
        # The rows are there twice until this entry; no snapshot ever names the versions between.
        with fault("table_write"):
            path = self._path(name)
            delta_log.add_removal(path, latest + 1, [Path(file) for file in files])
        with fault("table_sync"):
            delta_log.sync_since(path, latest)
        return latest + 1

    def merge(self, name: str) -> int | None:
        """Make a version in which many small files are one."""
        version = self.version(name)
        if version is None:
            return None
        path = self._path(name)
        added = pyarrow.table(self._open(name, version).get_add_actions(flatten=True))
        counts = zip(
            added.column("path").to_pylist(), added.column("num_records").to_pylist(), strict=True
        )
        group = [str(path / unquote(file)) for file in to_merge(counts)]
        if not group:
            return None
        return self.rewrite(name, group, _unchanged)

    def purge(self, name: str) -> None:
        """Remove every file that the newest version doesn't need, and the log behind it."""
        version = self.version(name)
        if version is not None:
            with self._alone():
                self._purge(name, version)

    def vacuum(self, name: str) -> bool:
        """Purge a table with much to remove, unless somebody reads just now."""
        version = self.version(name)
        if version is None or delta_log.count(self._path(name)) < LOG_ENTRIES:
            return False
        try:
            with exclusive(self.folder, patience=0):
                self._purge(name, version)
        except TimeoutError:
            return False
        return True

    def _purge(self, name: str, version: int) -> None:
        path = self._path(name)
        with _in_one_line(path):
            table = self._open(name, version)
            delta_log.remove_data_except(path, set(self._files(name, table)))
            table.create_checkpoint()
            delta_log.cut_before(path, version)

    def damage(self) -> list[str]:
        """Check every byte that is kept; returns a line for each thing that is wrong."""
        found = []
        for name in self.names():
            try:
                self._read_through(name)
            except StoreFault as fault:
                found.append(f"{fault.where}: {fault.what}")
        return found

    def close(self) -> None:
        """Nothing is open between calls."""

    def _read_through(self, name: str) -> None:
        version = self.version(name)
        if version is None:
            return  # made by a write that was killed; `restore` drops it
        for file in self.files(name, version):
            with _in_one_line(Path(file)):
                for _ in pyarrow.parquet.ParquetFile(file).iter_batches():
                    pass

    def _append(self, name: str, before: int | None, rows: pyarrow.Table) -> int:
        options: dict[str, Any] = {"mode": "append", "schema_mode": "merge"}
        if before is None:
            known = [column for column in _STATISTICS if column in rows.column_names]
            options = {
                "mode": "error",
                "partition_by": [PARTITION],
                "configuration": {"delta.dataSkippingStatsColumns": ",".join(known)},
            }
        path = self._path(name)
        with _in_one_line(path):
            with fault("table_write"):
                write_deltalake(
                    str(path),
                    rows,
                    writer_properties=_writer(rows),
                    post_commithook_properties=_NO_CLEANING,
                    **options,
                )
            with fault("table_sync"):
                delta_log.sync_since(path, before)
        version = delta_log.newest(path)
        if version is None:
            raise StoreFault("the table has no log", str(path), "check the disk")
        return version

    def _open(self, name: str, version: int) -> DeltaTable:
        known = self._opened.get(name)
        if known is not None and known[0] == version:
            return known[1]
        path = self._path(name)
        with _in_one_line(path):
            opened = DeltaTable(str(path), version=version)
        self._opened[name] = version, opened
        return opened

    def _files(self, name: str, table: DeltaTable) -> list[Path]:
        """Return the files as they are on the disk.

        Delta tells them as addresses, in which a space of the home's own path is ``%20``; only what
        comes behind the table's name is taken from there.
        """
        inside = (uri.rpartition(f"/{name}/")[2] for uri in table.file_uris())
        return [self._path(name) / unquote(file) for file in inside]

    def _is_whole(self, name: str, version: int) -> bool:
        path = self._path(name)
        return delta_log.is_whole(path) and not delta_log.strays(path, self._named(name, version))

    def _named(self, name: str, version: int) -> set[Path]:
        """Return the files of a version, and of those that the log still has before it."""
        path = self._path(name)
        return {Path(file) for file in self.files(name, version)} | delta_log.named(path)

    def _path(self, name: str) -> Path:
        if _NAME.fullmatch(name) is None:
            raise ValueError(f"{name!r} is not a table name")
        return self.folder / name

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with _patient(self.folder), exclusive(self.folder):
            yield


def _prepared(rows: pyarrow.Table) -> pyarrow.Table:
    """Give rows their month, and Delta's types: it has no fixed-size binary."""
    if PARTITION not in rows.column_names:
        month = pyarrow.compute.strftime(rows.column("time"), format="%Y-%m")
        rows = rows.append_column(PARTITION, month)
    if rows.column(PARTITION).null_count:
        raise ValueError("every row needs a time")
    fields = []
    for field in rows.schema:
        if pyarrow.types.is_fixed_size_binary(field.type):
            field = field.with_type(pyarrow.binary())
        fields.append(field)
    return rows.cast(pyarrow.schema(fields))


def _writer(rows: pyarrow.Table) -> WriterProperties:
    """Let each row group know by a filter which keys it holds, wherever they lie in it."""
    most = min(rows.num_rows, GROUP_ROWS)
    filtered = ColumnProperties(
        bloom_filter_properties=BloomFilterProperties(True, fpp=_MISTAKEN, ndv=most)
    )
    keys = [name for name in rows.column_names if name.startswith(KEY)]
    return WriterProperties(
        compression="ZSTD",
        max_row_group_size=GROUP_ROWS,
        column_properties=dict.fromkeys(keys, filtered),
    )


def _unchanged(rows: pyarrow.Table) -> pyarrow.Table:
    return rows


def _by_month(files: Sequence[str]) -> Iterator[list[str]]:
    """Put files of one month together, as many as can be held in memory at once."""
    months: dict[str, list[str]] = {}
    for file in sorted(files):
        months.setdefault(_month_of(file), []).append(file)
    for listed in months.values():
        group: list[str] = []
        rows = 0
        for file in listed:
            here = pyarrow.parquet.read_metadata(file).num_rows
            if group and rows + here > MOST_ROWS:
                yield group
                group, rows = [], 0
            group.append(file)
            rows += here
        yield group


def _month_of(file: str) -> str:
    return Path(file).parent.name.removeprefix(f"{PARTITION}=")


def _whole_rows(files: Sequence[str], schema: pyarrow.Schema) -> pyarrow.Table:
    batches = [
        _aligned(batch, _month_of(file), schema)
        for file in files
        for batch in pyarrow.parquet.ParquetFile(file).iter_batches()
    ]
    return pyarrow.Table.from_batches(batches, schema=schema)


def _sorted(rows: pyarrow.Table) -> pyarrow.Table:
    order = [(column, "ascending") for column in _ORDER if column in rows.column_names]
    if not order:
        return rows
    return rows.take(pyarrow.compute.sort_indices(rows, order))


def _aligned(batch: pyarrow.RecordBatch, month: str, schema: pyarrow.Schema) -> pyarrow.RecordBatch:
    """Give a file's batch the table's columns: its month, and nulls for what came later."""
    columns = []
    for field in schema:
        if field.name == PARTITION:
            column = pyarrow.array([month] * batch.num_rows, type=field.type)
        elif field.name in batch.schema.names:
            column = batch.column(field.name).cast(field.type)
        else:
            column = pyarrow.nulls(batch.num_rows, type=field.type)
        columns.append(column)
    return pyarrow.RecordBatch.from_arrays(columns, schema=schema)


@contextmanager
def _in_one_line(path: Path) -> Iterator[None]:
    try:
        yield
    except (DeltaError, OSError, pyarrow.ArrowException) as error:
        reason = str(error).partition("\n")[0]
        what = f"the table cannot be read or written ({reason})"
        raise StoreFault(what, str(path), "check space and permissions; run again") from error


@contextmanager
def _patient(folder: Path) -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        hint = "wait for the reader or stop it"
        raise StoreFault("the tables are being read", str(folder), hint) from None

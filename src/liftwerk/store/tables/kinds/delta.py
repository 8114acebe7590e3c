"""Tables as Delta Lake on a local path, synced by us."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow
import pyarrow.compute
import pyarrow.parquet
from deltalake import DeltaTable, PostCommitHookProperties, WriterProperties, write_deltalake
from deltalake.exceptions import DeltaError

from liftwerk.errors import StoreFault
from liftwerk.faults import fault
from liftwerk.store.durable import make_folder, sync_folder
from liftwerk.store.flock import exclusive, shared
from liftwerk.store.tables.kinds import delta_log
from liftwerk.store.tables.protocol import PARTITION

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_STATISTICS = ("time", "known_at", "received", "offset")
"""Columns whose smallest and largest values may stand in the log; identifiers must not."""

# Delta's own cleaning goes by age and knows nothing of our snapshots: `purge` does it instead.
_NO_CLEANING = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
_WRITER = WriterProperties(compression="ZSTD")


class DeltaTables:
    """Keeps the promises of `liftwerk.store.tables.Tables` in one folder."""

    def __init__(self, folder: Path) -> None:
        make_folder(folder)
        self.folder = folder

    def names(self) -> list[str]:
        """Return the tables that are there, in order."""
        return sorted(path.name for path in self.folder.iterdir() if path.is_dir())

    def append(self, name: str, rows: pyarrow.Table) -> int:
        """Add rows, making the table when it isn't there; returns the new version."""
        prepared = _prepared(rows)
        before = self.version(name)
        options: dict[str, Any] = {"mode": "append", "schema_mode": "merge"}
        if before is None:
            known = [column for column in _STATISTICS if column in prepared.column_names]
            options = {
                "mode": "error",
                "partition_by": [PARTITION],
                "configuration": {"delta.dataSkippingStatsColumns": ",".join(known)},
            }
        return self._write(name, before, prepared, options)

    def version(self, name: str) -> int | None:
        """Return the newest version on the disk, None without the table."""
        return delta_log.newest(self._path(name))

    def files(self, name: str, version: int) -> list[str]:
        """Return the Parquet files of a version as absolute paths, in order."""
        return sorted(map(str, self._files(name, self._open(name, version))))

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
        with self._alone():
            delta_log.cut_after(path, version)
            current = {Path(file) for file in self.files(name, version)}
            delta_log.remove_data_except(path, current | delta_log.named(path))

    def delete_rows(self, name: str, column: str, values: Sequence[bytes]) -> int | None:
        """Make a version without the rows whose column holds one of the values."""
        # Delta's own delete writes its predicate, and so the values, into the log: we put back
        # what stays of each month concerned instead.
        before = self.version(name)
        if before is None:
            return None
        schema = self.schema(name, before)
        if column not in schema.names:
            return None
        unwanted = pyarrow.array(values, type=schema.field(column).type)
        months: dict[str, list[str]] = {}
        for file in self.files(name, before):
            month = Path(file).parent.name.removeprefix(f"{PARTITION}=")
            months.setdefault(month, []).append(file)
        latest = before
        for month, files in months.items():
            if not any(_holds(file, column, unwanted) for file in files):
                continue
            kept = _kept(files, month, schema, column, unwanted)
            reader = pyarrow.RecordBatchReader.from_batches(schema, kept)
            options = {"mode": "overwrite", "predicate": f"{PARTITION} = '{month}'"}
            latest = self._write(name, latest, reader, options)
        if latest == before:
            return None
        return latest

    def purge(self, name: str) -> None:
        """Remove every file that the newest version doesn't need, and the log behind it."""
        version = self.version(name)
        if version is None:
            return
        path = self._path(name)
        with self._alone(), _in_one_line(path):
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

    def _write(self, name: str, before: int | None, data: Any, options: Mapping[str, Any]) -> int:
        path = self._path(name)
        with _in_one_line(path):
            with fault("table_write"):
                write_deltalake(
                    str(path),
                    data,
                    writer_properties=_WRITER,
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
        path = self._path(name)
        with _in_one_line(path):
            return DeltaTable(str(path), version=version)

    def _files(self, name: str, table: DeltaTable) -> list[Path]:
        """Return the files as they are on the disk.

        Delta tells them as addresses, in which a space of the home's own path is ``%20``; only what
        comes behind the table's name is taken from there.
        """
        inside = (uri.rpartition(f"/{name}/")[2] for uri in table.file_uris())
        return [self._path(name) / unquote(file) for file in inside]

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


def _holds(file: str, column: str, values: pyarrow.Array) -> bool:
    parquet = pyarrow.parquet.ParquetFile(file)
    if column not in parquet.schema_arrow.names:
        return False
    batches = parquet.iter_batches(columns=[column])
    return any(
        pyarrow.compute.any(pyarrow.compute.is_in(batch.column(0), values)).as_py()
        for batch in batches
    )


def _kept(
    files: Sequence[str], month: str, schema: pyarrow.Schema, column: str, values: pyarrow.Array
) -> Iterator[pyarrow.RecordBatch]:
    for file in files:
        for batch in pyarrow.parquet.ParquetFile(file).iter_batches():
            whole = _aligned(batch, month, schema)
            unwanted = pyarrow.compute.is_in(whole.column(column), values)
            yield whole.filter(pyarrow.compute.invert(unwanted))


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

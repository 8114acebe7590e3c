"""The files of a Delta table's log, as far as we look after them ourselves.

``deltalake`` syncs nothing. After a power cut an entry newer than the snapshot may be torn, so what
lies behind the snapshot is removed by name, without opening the table.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow
import pyarrow.parquet

from liftwerk.store.durable import sync_file, sync_folder

_ENTRY = re.compile(r"(\d{20})\.(json|checkpoint\b.*parquet)")
_LAST_CHECKPOINT = "_last_checkpoint"


def folder(table: Path) -> Path:
    """Return the folder of the log."""
    return table / "_delta_log"


def newest(table: Path) -> int | None:
    """Return the newest version that the log has an entry of, None without any."""
    return max(
        (version for version, path in _entries(table) if path.suffix == ".json"), default=None
    )


def count(table: Path) -> int:
    """Return how many versions the log has an entry of."""
    return sum(path.suffix == ".json" for _, path in _entries(table))


def is_whole(table: Path) -> bool:
    """Say whether nothing in the log's folder is torn or half written."""
    return all(
        path.name == _LAST_CHECKPOINT
        or (_ENTRY.fullmatch(path.name) is not None and not _torn_checkpoint(path))
        for path in folder(table).iterdir()
    )


def strays(table: Path, kept: set[Path]) -> list[Path]:
    """Return the Parquet files that aren't kept."""
    found = sorted(table.glob("*/*.parquet"))
    return [path for path in found if path.parent != folder(table) and path not in kept]


def sync_since(table: Path, version: int | None) -> None:
    """Put every file and folder that came after a version onto the disk, data before log."""
    after = -1
    if version is not None:
        after = version
    entries = [(number, path) for number, path in _entries(table) if number > after]
    data = [table / added for number, path in entries for added in _added(path)]
    for path in data:
        sync_file(path)
    for parent in sorted({path.parent for path in data}):
        sync_folder(parent)
    for _, path in entries:
        sync_file(path)
    sync_folder(folder(table))
    sync_folder(table)
    sync_folder(table.parent)


def add_removal(table: Path, version: int, files: Sequence[Path]) -> None:
    """Write the entry of a version that lacks some data files and adds none."""
    lines: list[dict[str, object]] = [{"commitInfo": {"operation": "DELETE"}}]
    for path in sorted(files):
        column, _, value = path.parent.name.partition("=")
        removed = {
            "path": path.relative_to(table).as_posix(),
            "dataChange": True,
            "extendedFileMetadata": True,
            "partitionValues": {column: value},
            "size": path.stat().st_size,
        }
        lines.append({"remove": removed})
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder(table) / f"{version:020}.json").write_text(text, encoding="utf-8")


def cut_after(table: Path, version: int) -> None:
    """Remove log entries newer than a version, torn checkpoints, and files half written."""
    log = folder(table)
    for path in log.iterdir():
        if _ENTRY.fullmatch(path.name) is None and path.name != _LAST_CHECKPOINT:
            path.unlink()
    # Newest first: a kill half-way leaves a log without gaps.
    for number, path in sorted(_entries(table), reverse=True):
        if number > version or _torn_checkpoint(path):
            path.unlink()
    # Only a hint where to begin reading; it may name what we have just removed.
    (log / _LAST_CHECKPOINT).unlink(missing_ok=True)
    sync_folder(log)


def cut_before(table: Path, version: int) -> None:
    """Remove log entries older than a version, which must have a checkpoint."""
    log = folder(table)
    for path in log.iterdir():
        if path.is_file():
            sync_file(path)
    sync_folder(log)
    for number, path in sorted(_entries(table)):
        if number < version:
            path.unlink()
    sync_folder(log)


def named(table: Path) -> set[Path]:
    """Return the data files that some entry of the log added."""
    return {table / added for _, path in _entries(table) for added in _added(path)}


def remove_data_except(table: Path, kept: set[Path]) -> None:
    """Remove the Parquet files that aren't kept, and folders left empty."""
    for path in strays(table, kept):
        path.unlink()
        if any(path.parent.iterdir()):
            sync_folder(path.parent)
        else:
            path.parent.rmdir()
    sync_folder(table)


def _entries(table: Path) -> Iterator[tuple[int, Path]]:
    if not folder(table).is_dir():
        return
    for path in folder(table).iterdir():
        match = _ENTRY.fullmatch(path.name)
        if match is not None:
            yield int(match[1]), path


def _added(entry: Path) -> Iterator[str]:
    if entry.suffix != ".json":
        return
    for line in entry.read_text(encoding="utf-8").splitlines():
        action = json.loads(line)
        if "add" in action:
            yield action["add"]["path"]


def _torn_checkpoint(path: Path) -> bool:
    if path.suffix == ".json":
        return False
    try:
        pyarrow.parquet.read_table(path)
    except (OSError, pyarrow.ArrowException):
        return True
    return False

"""Which small files are put together: those of a month that are about equally long.

Every few seconds a table gets a file, and a scan opens each of them. Files are merged only with
others of their class of length, so that a row is written anew no more often than there are classes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

FEW = 8
"""So many files of one class may stay; each class is so many times as long as the one before."""

FULL_ROWS = 50_000
"""A file of so many rows is never merged."""

MERGED_ROWS = 65_536
"""Most rows of a merged file; so many are held in memory at once."""


def to_merge(rows: Iterable[tuple[str, int]]) -> list[str]:
    """Say which files are to become one: those that help most, and none if there are few.

    One group at a time is enough where one file was added, and makes nobody wait for many.

    Parameters
    ----------
    rows : iterable of (str, int)
        Each file's path, in its month's folder, and its number of rows.

    Returns
    -------
    list of str
        Two or more files of one month, or none.

    Examples
    --------
    >>> to_merge([(f"month=2026-03/{number}.parquet", 10) for number in range(7)])
    []
    >>> len(to_merge([(f"month=2026-03/{number}.parquet", 10) for number in range(8)]))
    8
    """
    classes: dict[tuple[str, int], list[tuple[str, int]]] = {}
    for file, count in sorted(rows):
        if count < FULL_ROWS:
            month = Path(file).parent.name
            length = int(math.log(max(count, 1), FEW))
            classes.setdefault((month, length), []).append((file, count))
    groups = [
        group
        for files in classes.values()
        if len(files) >= FEW
        for group in _packed(files)
        if len(group) > 1
    ]
    return max(groups, key=len, default=[])


def _packed(files: Iterable[tuple[str, int]]) -> Iterator[list[str]]:
    group: list[str] = []
    held = 0
    for file, count in files:
        if group and held + count > MERGED_ROWS:
            yield group
            group, held = [], 0
        group.append(file)
        held += count
    yield group

"""What tables promise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    import pyarrow

Rewrite = Callable[["pyarrow.Table"], "pyarrow.Table"]
"""What is made of some rows."""

PARTITION = "month"
"""The column that tables are partitioned by, such as ``2008-03``; not inside the files."""


class Deletion(Struct, frozen=True):
    """What deleting rows did.

    Attributes
    ----------
    version : int or None
        The new version; None when there was no such row.
    rows : dict of str to int
        Column -> rows that went, or became others, because of it, each counted once.
    searched : int
        Rows whose keys were looked at.
    rewritten : int
        Rows of the files that were written anew.
    of : int
        Rows that the table had.
    """

    version: int | None = None
    rows: dict[str, int] = {}
    searched: int = 0
    rewritten: int = 0
    of: int = 0


class Tables(Protocol):
    """Versioned tables of Parquet files.

    One process writes (it holds the home), many read. A version that was returned is on the disk:
    only then may the ledger's snapshot name it. What no snapshot names is dropped by `restore`.
    """

    def names(self) -> list[str]:
        """Return the tables that are there, in order."""
        ...

    def append(self, name: str, rows: pyarrow.Table) -> int:
        """Add rows, making the table when it isn't there; returns the new version.

        Parameters
        ----------
        name : str
            Lower-case letters, digits and underscores.
        rows : pyarrow.Table
            Sorted as they should lie. Its ``month`` column is made from ``time`` when missing; a
            column that the table doesn't have yet is added to it.
        """
        ...

    def version(self, name: str) -> int | None:
        """Return the newest version on the disk, None without the table."""
        ...

    def files(self, name: str, version: int) -> list[str]:
        """Return the Parquet files of a version as absolute paths, in order.

        Read them with ``union_by_name``: a file written before a column was added lacks it.
        """
        ...

    def files_holding(
        self, name: str, version: int, columns: Sequence[str], values: Sequence[bytes]
    ) -> list[str]:
        """Return the files of which some row holds one of a few values in one of the columns.

        Which these are is found without reading the others.
        """
        ...

    def schema(self, name: str, version: int) -> pyarrow.Schema:
        """Return the columns of a version, ``month`` included."""
        ...

    def reading(self) -> AbstractContextManager[None]:
        """Keep files from being removed while they are read; `purge` and `restore` wait."""
        ...

    def restore(self, versions: Mapping[str, int]) -> None:
        """Make every table what a snapshot says: newer versions and unknown tables are dropped."""
        ...

    def restore_to(self, name: str, version: int | None) -> None:
        """Drop what is newer than a version of one table; None drops the table."""
        ...

    def delete_rows(
        self,
        name: str,
        columns: Sequence[str],
        values: Sequence[bytes],
        instead: Rewrite | None = None,
    ) -> Deletion:
        """Make a version without the rows of which one of the columns holds one of the values.

        What ``instead`` makes of them, some at a time, takes their place; by default nothing does.

        Only the files that hold such a row are written anew; which these are is found without
        reading the others. The old files stay, for the snapshot that still names them, until
        `purge`.
        """
        ...

    def rewrite(self, name: str, files: Sequence[str], change: Rewrite) -> int:
        """Make a version in which the rows of some files of the newest one are changed.

        Parameters
        ----------
        name : str
        files : sequence of str
            At least one, as `files` names them; all of a month together if their order counts.
        change : callable
            From some whole rows, ``month`` included, to what takes their place.
        """
        ...

    def merge(self, name: str) -> int | None:
        """Make a version in which many small files of a month are one; None if there are few.

        The rows are the same. The old files stay, for the snapshot that still names them.
        """
        ...

    def vacuum(self, name: str) -> bool:
        """Purge a table that keeps many old versions, unless somebody reads just now.

        Only after a snapshot names the newest version. Returns whether it was done.
        """
        ...

    def purge(self, name: str) -> None:
        """Remove every file that the newest version doesn't need, and the log behind it.

        Only after a snapshot names the newest version. Afterwards older versions can't be read.
        """
        ...

    def damage(self) -> list[str]:
        """Check every byte that is kept; returns a line for each thing that is wrong."""
        ...

    def close(self) -> None:
        """Close what is open."""
        ...

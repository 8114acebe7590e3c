"""What tables promise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pyarrow

PARTITION = "month"
"""The column that tables are partitioned by, such as ``2008-03``; not inside the files."""


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

    def delete_rows(self, name: str, column: str, values: Sequence[bytes]) -> int | None:
        """Make a version without the rows whose column holds one of the values.

        The old files stay, for the snapshot that still names them, until `purge`.

        Returns
        -------
        int or None
            The new version; None when no row holds one.
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

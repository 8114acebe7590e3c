"""Totals of units as they lie in the home: Parquet files, and a page that says which ones count.

    totals/NAME/kept.json     what they are of, up to which offset, and the sums over them
    totals/NAME/*.parquet     the first holds all units, each later one those that changed
    totals/NAME/aside-*       what is counted, while it is

Everything in it can be made again from the log: what cannot be read, or is of other definitions, is
made anew.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pyarrow.parquet as pq
from msgspec import Struct

from liftwerk.errors import StoreFault
from liftwerk.events.sequence import parquet
from liftwerk.metrics.sums import Sums
from liftwerk.store.catalogue import Subject, Taken
from liftwerk.store.durable import make_folder, sync_file, sync_folder, write_atomically
from liftwerk.store.flock import exclusive
from liftwerk.store.stores import Stores

TOTALS = "totals"

PATIENCE = 600.0
"""Seconds that are waited for another process: it counts what one would count oneself."""
_PAGE = "kept.json"
_ASIDE = "aside-"


class Written(Struct, frozen=True):
    """Sums as text."""

    n: int
    sums: tuple[str, ...]
    cross: tuple[tuple[str, ...], ...]
    cubes: tuple[str, ...]


Cohorts: TypeAlias = Mapping[tuple[str, int], Sums]
"""Arm, and day of assignment (days since 1970, UTC) -> sums over its units."""


class Kept(Struct, frozen=True):
    """What is kept of one experiment.

    Attributes
    ----------
    version : str
        Hash of all that the totals depend on beside the log.
    snapshot : str
        The snapshot that was counted.
    offset : int
        The last offset that was counted.
    latest : int
        The latest time of an event that entities were read as of, in microseconds.
    entities : dict of str to str
        Entity -> fingerprint of what it was like up to then.
    spine : str
        Fingerprint of the units.
    units : int
        How many there are.
    base : tuple of str
        Files that hold all units.
    later : tuple of str
        Each holds units that changed since.
    changed : int
        Rows of these.
    cohorts : tuple
        Arm, day and sums; whole numbers as text, since JSON's readers round the largest. None of
        them where nobody asks for sums.
    """

    version: str
    snapshot: str
    offset: int
    latest: int
    entities: dict[str, str]
    spine: str
    units: int
    base: tuple[str, ...]
    later: tuple[str, ...]
    changed: int
    cohorts: tuple[tuple[str, int, Written], ...]

    @property
    def sums(self) -> dict[tuple[str, int], Sums]:
        """The sums by arm and day."""
        return {
            (arm, day): Sums(
                one.n,
                tuple(map(int, one.sums)),
                tuple(tuple(map(int, row)) for row in one.cross),
                tuple(map(int, one.cubes)),
            )
            for arm, day, one in self.cohorts
        }


def written(sums: Cohorts) -> tuple[tuple[str, int, Written], ...]:
    """Write sums as `Kept` holds them, without cohorts of nobody."""
    return tuple(
        (
            arm,
            day,
            Written(
                one.n,
                tuple(map(str, one.sums)),
                tuple(tuple(map(str, row)) for row in one.cross),
                tuple(map(str, one.cubes)),
            ),
        )
        for (arm, day), one in sorted(sums.items())
        if one.n
    )


class Folder:
    """The totals of one experiment.

    Parameters
    ----------
    stores : Stores
    name : str
        The experiment's.
    """

    def __init__(self, stores: Stores, name: str) -> None:
        self.path = stores.home.path / TOTALS / name

    @contextmanager
    def held(self) -> Iterator[Folder]:
        """Hold it alone: two processes would count the same events twice."""
        make_folder(self.path.parent)
        make_folder(self.path)
        try:
            with exclusive(self.path, PATIENCE):
                self._clear()
                yield self
        except TimeoutError:
            hint = "wait until it is done"
            raise StoreFault(
                "another process counts the same totals", str(self.path), hint
            ) from None

    @contextmanager
    def aside(self) -> Iterator[Path]:
        """Give a place for what is needed meanwhile; what a kill leaves there goes next time."""
        path = self.path / f"{_ASIDE}{secrets.token_hex(8)}"
        make_folder(path)
        try:
            yield path
        finally:
            shutil.rmtree(path)

    def _clear(self) -> None:
        for left in self.path.glob(f"{_ASIDE}*"):
            shutil.rmtree(left)

    def read(self) -> Kept | None:
        """Return what is kept; None if it is not whole."""
        try:
            kept = msgspec.json.decode((self.path / _PAGE).read_bytes(), type=Kept)
        except (OSError, msgspec.MsgspecError):
            return None
        if all((self.path / name).is_file() for name in (*kept.base, *kept.later)):
            return kept
        return None

    def add(self, table: pa.Table) -> str:
        """Write a file durably; it counts once a page names it."""
        name = f"{secrets.token_hex(8)}.parquet"
        pq.write_table(table, self.path / name, compression="zstd", compression_level=1)
        sync_file(self.path / name)
        return name

    def commit(self, kept: Kept) -> None:
        """Let a page count, and remove what it does not name."""
        page = self.path / _PAGE
        write_atomically(page, msgspec.json.encode(kept), self.path / f"{_PAGE}.new")
        for entry in self.path.glob("*.parquet"):
            if entry.name not in (*kept.base, *kept.later):
                entry.unlink()

    def empty(self) -> None:
        """Remove all; the folder stays, since somebody may wait for it."""
        for entry in self.path.iterdir():
            entry.unlink()
        sync_folder(self.path)

    def sql(self, kept: Kept) -> str:
        """Write a SELECT of the units as they are now; the last word on each counts."""
        layers = [kept.base, *((name,) for name in kept.later)]
        selects = []
        for place, names in enumerate(layers):
            select = f"SELECT * FROM {self._files(names)}"
            behind = [name for layer in layers[place + 1 :] for name in layer]
            if behind:
                select += f" ANTI JOIN (SELECT unit, time FROM {self._files(behind)})"
                select += " USING (unit, time)"
            selects.append(f"SELECT * EXCLUDE (gone) FROM ({select}) WHERE NOT gone")
        return " UNION ALL ".join(selects)

    def _files(self, names: Sequence[str]) -> str:
        return parquet([str(self.path / name) for name in names])


def forget(stores: Stores, subject: Subject) -> Taken:
    """Remove the totals of every experiment that somebody is a unit of: they are made anew."""
    units = 0
    for path in _folders(stores):
        folder = Folder(stores, path.name)
        # Whoever is counting read the log before: what comes of it has to go, too.
        with folder.held():
            found = _theirs(path, subject).num_rows
            if found:
                units += found
                folder.empty()
    return Taken({"unit": units})


def tell(stores: Stores, subject: Subject) -> list[dict[str, Any]]:
    """Tell what is kept of somebody."""
    return [
        {
            "experiment": folder.name,
            "assigned": row["time"].isoformat(),
            **{name: str(one) for name, one in row.items() if name not in _OWN and one is not None},
        }
        for folder in _folders(stores)
        for row in _theirs(folder, subject).to_pylist()
    ]


_OWN = ("unit", "customer", "time", "gone")


def _folders(stores: Stores) -> list[Path]:
    path = stores.home.path / TOTALS
    if not path.is_dir():
        return []
    return sorted(path.iterdir())


def _theirs(folder: Path, subject: Subject) -> pa.Table:
    keys = pa.array(subject.keys, pa.binary())
    theirs = pc.is_in(pc.field("unit"), keys) | pc.is_in(pc.field("customer"), keys)
    files = [str(path) for path in sorted(folder.glob("*.parquet"))]
    if not files:
        return pa.table({})
    return pads.dataset(files, format="parquet", exclude_invalid_files=True).to_table(filter=theirs)

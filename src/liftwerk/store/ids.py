"""Which events the tables hold, by id: found without reading the tables.

Sorted runs of 16 bytes an event, in files: a key made of the id, and the digest of the content. New
events are a new run; runs of like length are merged, so that there are few. It is derived: it says
of which snapshot it was made, and whoever finds another one there makes it anew.

After O'Neil et al. (1996), "The log-structured merge-tree".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from liftwerk.store.durable import make_folder, sync_file, write_atomically

Keys = NDArray[np.uint64]

MANIFEST = "manifest.json"
CHUNK = 1_000_000
"""Keys that are held in memory at once."""

FEW = 4
"""So many runs of one class of length are merged; each class is so many times as long."""

_WIDTH = np.dtype(np.uint64).itemsize


class _Run(Struct, frozen=True):
    """A file: so many keys in ascending order, then as many digests."""

    file: str
    count: int


class _Manifest(Struct, frozen=True):
    snapshot: str = ""
    runs: tuple[_Run, ...] = ()
    made: int = 0


class Ids:
    r"""The ids of one snapshot's events.

    Parameters
    ----------
    folder : pathlib.Path
        Its own.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ids = Ids(Path(folder) / "ids")
    ...     ids.add(keys_of([bytes(16), b"\1" + bytes(15)]), keys_of_digests([bytes(8)] * 2), "s1")
    ...     known, _ = ids.find(keys_of([b"\1" + bytes(15), b"\2" + bytes(15)]))
    ...     known.tolist(), ids.snapshot
    ([True, False], 's1')
    """

    def __init__(self, folder: Path) -> None:
        make_folder(folder)
        self.folder = folder

    @property
    def snapshot(self) -> str:
        """The snapshot whose events it knows; empty for none."""
        return self._manifest().snapshot

    def find(self, keys: Keys) -> tuple[NDArray[np.bool_], Keys]:
        """Look for keys.

        Parameters
        ----------
        keys : uint64 of shape (n,)

        Returns
        -------
        known : bool of shape (n,)
        digests : uint64 of shape (n,)
            Of the content that is known by the key; 0 where none is.
        """
        order = np.argsort(keys, kind="stable")
        wanted = keys[order]
        known = np.zeros(len(keys), np.bool_)
        digests = np.zeros(len(keys), np.uint64)
        for run in self._manifest().runs:
            for start in range(0, run.count, CHUNK):
                here = self._read(run, start, min(CHUNK, run.count - start))
                first = np.searchsorted(wanted, here[0], side="left")
                last = np.searchsorted(wanted, here[-1], side="right")
                asked = wanted[first:last]
                place = np.searchsorted(here, asked)
                hit = here[np.minimum(place, len(here) - 1)] == asked
                if not hit.any():
                    continue
                rows = order[first:last][hit]
                known[rows] = True
                digests[rows] = self._digests(run, start + place[hit])
        return known, digests

    def add(self, keys: Keys, digests: Keys, snapshot: str) -> None:
        """Know some more, which makes it the ids of a later snapshot.

        Parameters
        ----------
        keys, digests : uint64 of shape (n,)
        snapshot : str
            The later one.
        """
        manifest = self._manifest()
        if len(keys):
            order = np.argsort(keys, kind="stable")
            manifest = self._written(manifest, [(keys[order], digests[order])])
        while True:
            like = _alike(manifest.runs)
            if not like:
                break
            kept = tuple(run for run in manifest.runs if run not in like)
            merged = self._merged(like)
            manifest = self._written(_Manifest("", kept, manifest.made), merged)
        self._put(_Manifest(snapshot, manifest.runs, manifest.made))

    def remake(self, parts: Iterable[tuple[Keys, Keys]], snapshot: str) -> None:
        """Forget everything, and know the keys and digests of some parts instead."""
        self.clear()
        for keys, digests in parts:
            self.add(keys, digests, "")
        self.add(np.empty(0, np.uint64), np.empty(0, np.uint64), snapshot)

    def clear(self) -> None:
        """Forget everything."""
        self._put(_Manifest())

    def damage(self) -> list[str]:
        """Return nothing: what is damaged is made anew."""
        return []

    def close(self) -> None:
        """Nothing is open between calls."""

    def _manifest(self) -> _Manifest:
        try:
            text = (self.folder / MANIFEST).read_bytes()
            manifest = msgspec.json.decode(text, type=_Manifest)
        except (FileNotFoundError, msgspec.DecodeError):
            return _Manifest()
        sizes = ((self.folder / run.file, 2 * _WIDTH * run.count) for run in manifest.runs)
        if any(not path.is_file() or path.stat().st_size != size for path, size in sizes):
            return _Manifest()
        return manifest

    def _put(self, manifest: _Manifest) -> None:
        """Make a state the current one, and remove what it does not name."""
        data = msgspec.json.encode(manifest)
        write_atomically(self.folder / MANIFEST, data, self.folder / f"{MANIFEST}.new")
        named = {MANIFEST, *(run.file for run in manifest.runs)}
        for path in self.folder.iterdir():
            if path.name not in named:
                path.unlink()

    def _written(self, manifest: _Manifest, parts: Iterable[tuple[Keys, Keys]]) -> _Manifest:
        """Write a run of parts that follow each other."""
        made = manifest.made + 1
        name = f"{made:08}.run"
        path, behind = self.folder / name, self.folder / f"{name}.digests"
        count = 0
        with open(path, "wb") as keys_file, open(behind, "wb") as digests_file:
            for keys, digests in parts:
                keys.tofile(keys_file)
                digests.tofile(digests_file)
                count += len(keys)
        with open(path, "ab") as keys_file, open(behind, "rb") as digests_file:
            while piece := digests_file.read(_WIDTH * CHUNK):
                keys_file.write(piece)
        behind.unlink()
        sync_file(path)
        return _Manifest("", (*manifest.runs, _Run(name, count)), made)

    def _merged(self, runs: Sequence[_Run]) -> Iterator[tuple[Keys, Keys]]:
        """Merge runs range by range of keys, a few at a time in memory."""
        total = sum(run.count for run in runs)
        ranges = total // CHUNK + 1
        bounds = [2**64 * number // ranges for number in range(ranges + 1)]
        starts = [0] * len(runs)
        for bound in bounds[1:]:
            keys, digests = [], []
            for number, run in enumerate(runs):
                start, end = starts[number], run.count
                if bound < 2**64:
                    # Mapped anew each time: looking up touches pages, which stay while it is.
                    end = int(np.searchsorted(self._map(run)[: run.count], np.uint64(bound)))
                # Read, not mapped: mapped pages would count as memory of this process.
                keys.append(self._read(run, start, end - start))
                digests.append(self._read(run, run.count + start, end - start))
                starts[number] = end
            together = np.concatenate(keys)
            order = np.argsort(together, kind="stable")
            yield together[order], np.concatenate(digests)[order]

    def _map(self, run: _Run) -> Keys:
        return np.memmap(self.folder / run.file, np.uint64, "r", shape=(2 * run.count,))

    def _read(self, run: _Run, start: int, count: int) -> Keys:
        return np.fromfile(self.folder / run.file, np.uint64, count, offset=_WIDTH * start)

    def _digests(self, run: _Run, places: NDArray[np.intp]) -> Keys:
        return np.array(self._map(run)[run.count + places])


def keys_of(ids: Sequence[bytes]) -> Keys:
    """Make a key of each id: both halves of its 16 bytes, one over the other.

    Random in each bit that is random in the id, also where the first half is a time (version 7).

    Parameters
    ----------
    ids : sequence of bytes

    Returns
    -------
    uint64 of shape (n,)
    """
    halves = np.frombuffer(b"".join(ids), np.uint64).reshape(-1, 2)
    return np.asarray(halves[:, 0] ^ halves[:, 1])


def keys_of_digests(digests: Sequence[bytes]) -> Keys:
    """Read digests of 8 bytes as numbers."""
    return np.frombuffer(b"".join(digests), np.uint64)


def _alike(runs: Sequence[_Run]) -> list[_Run]:
    """Return the runs of a class of which there are many; none if there is no such class."""
    classes: dict[int, list[_Run]] = {}
    for run in runs:
        classes.setdefault(run.count.bit_length() // 2, []).append(run)
    return next((like for _, like in sorted(classes.items()) if len(like) >= FEW), [])

"""Looking into files for many short byte strings at once; what is compressed is decoded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow
import pyarrow.compute
import pyarrow.ipc
import pyarrow.parquet

_ARROW = b"ARROW1"
_STREAM = b"\xff\xff\xff\xff"
_PARQUET = b"PAR1"

HEAD = 3
WINDOW = 6
"""Bytes by which most places are ruled out in one look at a table, and nearly all in a second."""

AT_ONCE = 1 << 24
"""Bytes that are looked at in one go."""


class Needles:
    """Byte strings to look for.

    Parameters
    ----------
    wanted : mapping of bytes to int
        Byte string, of six bytes or more, and where in it that begins which few others share.

    Examples
    --------
    >>> needles = Needles({b"to: ada@example": 4, b"to: bob@example": 4})
    >>> needles.found_within(b"from: ada@example to: ada@example.com")
    {b'to: ada@example'}
    """

    def __init__(self, wanted: Mapping[bytes, int]) -> None:
        self._at: dict[int, list[tuple[bytes, int]]] = {}
        self._heads = np.zeros(256**HEAD, np.bool_)
        for one, begin in wanted.items():
            if len(one) < WINDOW:
                raise ValueError(f"what is looked for has at least {WINDOW} bytes")
            begin = min(begin, len(one) - WINDOW)
            window = one[begin : begin + WINDOW]
            self._at.setdefault(int.from_bytes(window, "big"), []).append((one, begin))
            self._heads[int.from_bytes(window[:HEAD], "big")] = True
        self._windows = np.array(sorted(self._at), np.uint64)
        self._longest = max(map(len, wanted), default=0)

    def found_in(self, path: Path) -> set[bytes]:
        """Return which are in a file, as it lies on the disk or in its decoded columns."""
        raw = path.read_bytes()
        found = self.found_within(raw)
        for column in _columns(path, raw):
            for buffer in _buffers(column):
                found |= self.found_within(buffer)
        return found

    def found_within(self, raw: bytes | memoryview) -> set[bytes]:
        """Return which are in some bytes."""
        found: set[bytes] = set()
        if not self._at:
            return found
        view = memoryview(raw).cast("B")
        for first in range(0, len(view), AT_ONCE):
            # A little of what comes before and behind: one may lie across two parts.
            part = view[max(first - self._longest, 0) : first + AT_ONCE + self._longest]
            found |= self._within(np.frombuffer(part, np.uint8), part)
        return found

    def _within(self, values: npt.NDArray[np.uint8], view: memoryview) -> set[bytes]:
        if len(values) < WINDOW:
            return set()
        head = values[:-2].astype(np.uint32) << 16
        head |= values[1:-1].astype(np.uint32) << 8
        head |= values[2:]
        places = np.flatnonzero(self._heads[head])
        places = places[places <= len(values) - WINDOW]
        windows = np.zeros(len(places), np.uint64)
        for number in range(WINDOW):
            windows = (windows << np.uint64(8)) | values[places + number]
        likely = np.isin(windows, self._windows)
        return {
            one
            for place, window in zip(places[likely].tolist(), windows[likely].tolist(), strict=True)
            for one, begin in self._at[window]
            if place >= begin and view[place - begin : place - begin + len(one)] == one
        }


def needles(keys: Iterable[bytes]) -> dict[bytes, int]:
    """Return the byte strings that give a key away: itself, in hexadecimal, and as a UUID."""
    return {needle: 0 for key in keys for needle in (key, *spelled(key))}


def spelled(key: bytes) -> tuple[bytes, bytes]:
    """Write a key as text does.

    Examples
    --------
    >>> spelled(bytes(16))[1]
    b'00000000-0000-0000-0000-000000000000'
    """
    text = key.hex()
    parts = (text[:8], text[8:12], text[12:16], text[16:20], text[20:])
    return text.encode(), "-".join(parts).encode()


def rows_of(path: Path, keys: Sequence[bytes]) -> list[dict[str, Any]]:
    """Return the rows of a columnar file of which a column is one of the keys, as plain values."""
    found: list[dict[str, Any]] = []
    for batch in _batches(path, path.read_bytes()):
        is_theirs = pyarrow.repeat(False, batch.num_rows)
        for column in batch.columns:
            kind = column.type
            if pyarrow.types.is_binary(kind) or pyarrow.types.is_fixed_size_binary(kind):
                here = pyarrow.compute.is_in(
                    column.cast(pyarrow.binary()), pyarrow.array(keys, pyarrow.binary())
                )
                is_theirs = pyarrow.compute.or_(is_theirs, here)
        for row in batch.filter(is_theirs).to_pylist():
            found.append({name: _plain(value) for name, value in row.items()})
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, (str, int, float, bool)) or value is None:
        return value
    return str(value)


def _columns(path: Path, raw: bytes) -> Iterator[pyarrow.Array]:
    for batch in _batches(path, raw):
        yield from batch.columns


def _batches(path: Path, raw: bytes) -> Iterator[pyarrow.RecordBatch]:
    if raw.startswith(_PARQUET):
        yield from pyarrow.parquet.ParquetFile(path).iter_batches()
    elif raw.startswith(_ARROW):
        yield from pyarrow.ipc.open_file(raw).read_all().to_batches()
    elif raw.startswith(_STREAM):
        yield from pyarrow.ipc.open_stream(raw).read_all().to_batches()


def _buffers(column: pyarrow.Array) -> Iterator[memoryview]:
    """Yield the bytes of a column's values, through lists, structs and dictionaries."""
    kind = column.type
    if pyarrow.types.is_dictionary(kind):
        yield from _buffers(column.dictionary)
    elif pyarrow.types.is_struct(kind):
        for field in column.flatten():
            yield from _buffers(field)
    elif pyarrow.types.is_map(kind):
        yield from _buffers(column.keys)
        yield from _buffers(column.items)
    elif pyarrow.types.is_nested(kind):
        yield from _buffers(column.flatten())
    else:
        for buffer in column.buffers():
            if buffer is not None:
                yield memoryview(buffer)

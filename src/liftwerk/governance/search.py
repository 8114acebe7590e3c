"""Looking into files for a customer's keys; what is columnar is compressed, so it is decoded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow
import pyarrow.compute
import pyarrow.feather
import pyarrow.ipc
import pyarrow.parquet

_ARROW = b"ARROW1"
_STREAM = b"\xff\xff\xff\xff"
_PARQUET = b"PAR1"


def holds_key(path: Path, keys: Sequence[bytes]) -> bool:
    """Say whether a file holds one of the keys, as bytes or in hexadecimal.

    Parameters
    ----------
    path : pathlib.Path
        Parquet, an Arrow file, or anything else.
    keys : sequence of bytes
        Leaf keys and customer keys.
    """
    raw = path.read_bytes()
    if any(needle in raw for needle in needles(keys)):
        return True
    return any(_column_holds(column, keys) for column in _columns(path, raw))


def needles(keys: Iterable[bytes]) -> list[bytes]:
    """Return the byte strings that give a key away."""
    return [needle for key in keys for needle in (key, key.hex().encode(), _dashed(key))]


def _dashed(key: bytes) -> bytes:
    text = key.hex()
    parts = (text[:8], text[8:12], text[12:16], text[16:20], text[20:])
    return "-".join(parts).encode()


def _columns(path: Path, raw: bytes) -> Iterator[pyarrow.Array]:
    if raw.startswith(_PARQUET):
        for batch in pyarrow.parquet.ParquetFile(path).iter_batches():
            yield from batch.columns
    elif raw.startswith(_ARROW):
        for batch in pyarrow.ipc.open_file(raw).read_all().to_batches():
            yield from batch.columns
    elif raw.startswith(_STREAM):
        for batch in pyarrow.ipc.open_stream(raw).read_all().to_batches():
            yield from batch.columns


def _column_holds(column: pyarrow.Array, keys: Sequence[bytes]) -> bool:
    """Look through a column, through lists, structs and dictionaries down to their values."""
    kind = column.type
    if pyarrow.types.is_dictionary(kind):
        return _column_holds(column.dictionary, keys)
    if pyarrow.types.is_struct(kind):
        return any(_column_holds(field, keys) for field in column.flatten())
    if pyarrow.types.is_map(kind):
        return _column_holds(column.keys, keys) or _column_holds(column.items, keys)
    if pyarrow.types.is_nested(kind):
        return _column_holds(column.flatten(), keys)
    if pyarrow.types.is_binary(kind) or pyarrow.types.is_fixed_size_binary(kind):
        return _any_in(column.cast(pyarrow.large_binary()), keys)
    if pyarrow.types.is_large_binary(kind):
        return _any_in(column, keys)
    if pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind):
        text = column.cast(pyarrow.large_string())
        hexes = [needle.decode() for key in keys for needle in needles([key])[1:]]
        return any(
            pyarrow.compute.any(pyarrow.compute.match_substring(text, one)).as_py() or False
            for one in hexes
        )
    return False


def _any_in(column: pyarrow.Array, keys: Sequence[bytes]) -> bool:
    values = pyarrow.array(list(keys), pyarrow.large_binary())
    return bool(pyarrow.compute.any(pyarrow.compute.is_in(column, values)).as_py())

"""Finding canaries in a home, by no code of liftwerk: bytes as they lie, and all that decodes.

A canary is ``cnry`` and 32 random hexadecimal digits, so that one pattern finds every one there is;
whose it is, is looked up afterwards.
"""

from __future__ import annotations

import base64
import gzip
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet

PLAIN = re.compile(rb"cnry[0-9a-f]{32}")
HEXED = re.compile(rb"636e7279(?:3[0-9]|6[1-6]){32}", re.IGNORECASE)
BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{44,}")
PAGE = 4096


def canaries_in(raw: bytes) -> set[bytes]:
    """Every canary in some bytes: plain, in hexadecimal, in base64 at any alignment."""
    found = set(PLAIN.findall(raw))
    found.update(bytes.fromhex(one.decode()) for one in HEXED.findall(raw))
    for run in BASE64.findall(raw):
        for skip in range(4):
            part = run[skip:].translate(_URL)
            found.update(PLAIN.findall(base64.b64decode(part + b"A" * (-len(part) % 4))))
    return found


_URL = bytes.maketrans(b"-_", b"+/")


class Keys:
    """Sixteen random bytes each, looked for at every place, by their first eight."""

    def __init__(self, keys: Iterable[bytes]) -> None:
        self.keys = frozenset(keys)
        self.firsts = np.array(
            sorted({int.from_bytes(one[:8], "big") for one in self.keys}), np.uint64
        )

    def within(self, raw: bytes) -> set[bytes]:
        found: set[bytes] = set()
        if not self.keys or len(raw) < 16:
            return found
        for shift in range(8):
            size = (len(raw) - shift) // 8
            words = np.frombuffer(raw, ">u8", size, shift).astype(np.uint64)
            place = np.searchsorted(self.firsts, words)
            place[place == len(self.firsts)] = 0
            hits = np.flatnonzero(self.firsts[place] == words)
            found.update(raw[shift + 8 * one : shift + 8 * one + 16] for one in hits.tolist())
        found |= {bytes.fromhex(one.decode()) for one in re.findall(rb"[0-9a-f]{32}", raw)}
        return found & self.keys


def forms_of(path: Path) -> Iterator[bytes]:
    """A file's bytes, and what they decode to."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return  # a server that runs has removed it meanwhile
    yield _without_empty_pages(raw)
    if raw.startswith(b"\x1f\x8b"):
        yield gzip.decompress(raw)
    elif raw.startswith(b"PAR1"):
        for batch in pyarrow.parquet.ParquetFile(path).iter_batches():
            yield from _values(batch.columns)
    elif raw.startswith(b"ARROW1"):
        for batch in pa.ipc.open_file(raw).read_all().to_batches():
            yield from _values(batch.columns)


def _without_empty_pages(raw: bytes) -> bytes:
    """Leave out what is all zero: most of a database that was emptied."""
    empty = bytes(PAGE)
    pages = (raw[first : first + PAGE] for first in range(0, len(raw), PAGE))
    return b"".join(page for page in pages if page != empty)


def _values(columns: Iterable[pa.Array]) -> Iterator[bytes]:
    for column in columns:
        while pa.types.is_list(column.type):
            column = column.flatten()
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if pa.types.is_struct(column.type):
            yield from _values(column.flatten())
        elif column.buffers()[-1] is not None:
            yield column.buffers()[-1].to_pybytes()


def search(
    home: Path, canaries: frozenset[bytes], keys: frozenset[bytes]
) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    """Return file -> how many of the canaries, and of the keys, are in it; and bytes by kind."""
    wanted = Keys(keys)
    left: dict[str, int] = {}
    keys_left: dict[str, int] = {}
    sizes: dict[str, int] = {}
    for path in sorted(home.rglob("*")):
        if not path.is_file():
            continue
        name = path.relative_to(home).as_posix()
        kind = name.partition("/")[0]
        for raw in forms_of(path):
            sizes[kind] = sizes.get(kind, 0) + len(raw)
            for found, where in (
                (canaries_in(raw) & canaries, left),
                (wanted.within(raw), keys_left),
            ):
                if found:
                    where[name] = where.get(name, 0) + len(found)
    return left, keys_left, sizes

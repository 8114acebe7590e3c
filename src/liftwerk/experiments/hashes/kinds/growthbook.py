"""GrowthBook's hash, so that whoever comes from there keeps everybody in their arm.

FNV-1a of 32 bits over the UTF-16 code units of a text, as in GrowthBook's clients. The unit is the
identifier as it was written, and one number decides both who enters and the arm: each arm has a
part of the numbers, of which a coverage below 100% uses the beginning. A layer is a *namespace*.
Floats are added and compared in the clients' order, so that both agree on every boundary.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from liftwerk.experiments.draw import Draw, coverage, namespace

OFFSET, PRIME = 0x811C9DC5, 0x01000193
WORD = 0xFFFFFFFF

Words = npt.NDArray[np.uint32]


class GrowthBook:
    """The hash of one ``hashVersion``.

    Parameters
    ----------
    version : int
        2, or 1 for experiments of older clients.
    """

    def __init__(self, version: int) -> None:
        self.version = version

    def one(self, draw: Draw) -> Callable[[str], int]:
        """Return a function of one identifier."""
        ranges, room = bucket_ranges(draw), namespace(draw)

        def place(unit: str) -> int:
            if room is not None:
                layer, low, high = room
                if not low <= number(f"__{layer}", unit, 1) < high:
                    return -1
            found = number(draw.salt, unit, self.version)
            for place, (begin, end) in enumerate(ranges):
                if begin <= found < end:
                    return place
            return -1

        return place

    def many(self, draw: Draw, units: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.int8]:
        """Place many identifiers at once."""
        texts = pc.cast(units, pa.large_string())
        found = numbers(draw.salt, texts, self.version)
        places = np.full(len(texts), -1, np.int8)
        for place, (begin, end) in reversed([*enumerate(bucket_ranges(draw))]):
            places[(begin <= found) & (found < end)] = place
        room = namespace(draw)
        if room is not None:
            layer, low, high = room
            inside = numbers(f"__{layer}", texts, 1)
            places[~((low <= inside) & (inside < high))] = -1
        return places


def number(seed: str, unit: str, version: int) -> float:
    """Return a text's number between 0 and 1, as GrowthBook's ``hash`` does.

    Examples
    --------
    >>> number("", "a", 1), number("seed", "a", 2)
    (0.22, 0.0505)
    """
    if version == 1:
        return fnv1a(unit + seed) % 1000 / 1000
    return fnv1a(str(fnv1a(seed + unit))) % 10_000 / 10_000


def fnv1a(text: str) -> int:
    """Hash a text's UTF-16 code units by FNV-1a, 32 bits.

    Examples
    --------
    >>> hex(fnv1a("")), hex(fnv1a("a"))
    ('0x811c9dc5', '0xe40c292c')
    """
    hashed = OFFSET
    for unit in memoryview(text.encode("utf-16-le")).cast("H"):
        hashed = ((hashed ^ unit) * PRIME) & WORD
    return hashed


def numbers(seed: str, units: pa.Array | pa.ChunkedArray, version: int) -> npt.NDArray[np.float64]:
    """Return what `number` does, of many texts."""
    salt, nothing = (pa.scalar(one, pa.large_string()) for one in (seed, ""))
    if version == 1:
        hashed = fnv1a_many(pc.binary_join_element_wise(units, salt, nothing))
        return np.asarray(hashed % 1000 / 1000, dtype=np.float64)
    hashed = fnv1a_many(pc.binary_join_element_wise(salt, units, nothing))
    again = pc.cast(pa.array(hashed), pa.large_string())
    return np.asarray(fnv1a_many(again) % 10_000 / 10_000, dtype=np.float64)


def fnv1a_many(units: pa.Array | pa.ChunkedArray) -> Words:
    """Hash many texts: the first code unit of all of them, then the second, and so on."""
    if isinstance(units, pa.ChunkedArray):
        units = units.combine_chunks()
    lengths = code_units(units)
    ends = np.cumsum(lengths)
    # The longest first, so that those that still have a code unit are at the beginning.
    order = np.argsort(-lengths, kind="stable")
    begins = (ends - lengths)[order]
    codes = np.frombuffer("".join(units.to_pylist()).encode("utf-16-le"), np.uint16)
    hashed = np.full(len(order), OFFSET, np.uint32)
    for place in range(int(lengths.max(initial=0))):
        left = np.count_nonzero(lengths > place)
        hashed[:left] = (hashed[:left] ^ codes[begins[:left] + place]) * np.uint32(PRIME)
    found = np.empty_like(hashed)
    found[order] = hashed
    return found


def code_units(units: pa.Array) -> npt.NDArray[np.int64]:
    """Count the UTF-16 code units of texts: those beyond U+FFFF take two, and four bytes."""
    characters = pc.utf8_length(units).to_numpy(zero_copy_only=False)
    wide = pc.count_substring_regex(units, "[\\x{10000}-\\x{10FFFF}]")
    return np.asarray(characters + wide.to_numpy(zero_copy_only=False), dtype=np.int64)


def bucket_ranges(draw: Draw) -> list[tuple[float, float]]:
    """Return the part of the numbers that each arm has, as GrowthBook's ``getBucketRanges``."""
    covered = coverage(draw)
    found = []
    so_far = 0.0
    for share in draw.shares:
        weight = float(share)
        begin = so_far
        so_far += weight
        found.append((begin, begin + covered * weight))
    return found

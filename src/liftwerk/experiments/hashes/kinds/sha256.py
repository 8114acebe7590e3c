"""SHA-256, by the rule in `liftwerk.experiments.draw`: one unit in a microsecond, many in SQL."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Callable
from fractions import Fraction
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from liftwerk.events.engine import connect, text
from liftwerk.experiments.draw import RANGE, Draw, hexadecimal, threshold

T = TypeVar("T", bound=np.generic)


class Sha256:
    """The default."""

    def one(self, draw: Draw) -> Callable[[str], int]:
        """Return a function of one unit's text."""
        # Digests are compared as bytes, whose order is that of the numbers they begin with.
        digest_of = hashlib.sha256
        low, high = end_of(threshold(draw.low)), end_of(threshold(draw.high))
        ends = [end_of(end) for end in draw.ends]
        salt = draw.salt.encode() + b"\0"
        entry = draw.entry.encode() + b"\0"

        def by_one_digest(unit: str) -> int:
            digest = digest_of(salt + unit.encode()).digest()
            if low <= digest < high:
                return bisect_right(ends, digest[8:])
            return -1

        def by_two(unit: str) -> int:
            written = unit.encode()
            if low <= digest_of(entry + written).digest() < high:
                return bisect_right(ends, digest_of(salt + written).digest()[8:])
            return -1

        if entry == salt:
            return by_one_digest
        return by_two

    def many(self, draw: Draw, units: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.int8]:
        """Place many units at once: texts, or leaf keys in binary."""
        arms = str(len(draw.ends))
        for place in reversed(range(len(draw.ends))):
            end = hexadecimal(draw.ends[place])
            arms = f"CASE WHEN substr(digest, 17) < '{end}' THEN {place} ELSE {arms} END"
        hashed = _hashed(draw.salt, units)
        position = "digest"
        if draw.entry != draw.salt:
            position = _hashed(draw.entry, units)
        entering = _between(position, draw.low, draw.high)
        sql = f"CASE WHEN {entering} THEN {arms} ELSE -1 END"
        return _reckon(f"({sql})::TINYINT", hashed, units, np.int8)


def stands_below(salt: str, share: Fraction) -> Callable[[str], bool]:
    """Return a function that says of one unit whether `held_out` holds it out."""
    digest_of = hashlib.sha256
    end = end_of(threshold(share))
    prefix = salt.encode() + b"\0"

    def stands(unit: str) -> bool:
        return digest_of(prefix + unit.encode()).digest() < end

    return stands


def end_of(end: int) -> bytes:
    """Write where positions end as the bytes of a digest that is the first behind it.

    Examples
    --------
    >>> end_of(258).hex(), end_of(2**64) > bytes([255] * 32)
    ('0000000000000102', True)
    """
    if end >= RANGE:
        return bytes([255] * 33)
    return end.to_bytes(8, "big")


def stand_below(
    salt: str, share: Fraction, units: pa.Array | pa.ChunkedArray
) -> npt.NDArray[np.bool_]:
    """Say of many units whether `held_out` holds each out."""
    below = _between("digest", Fraction(0), share)
    return _reckon(below, _hashed(salt, units), units, np.bool_)


def _reckon(
    sql: str, hashed: str, units: pa.Array | pa.ChunkedArray, kind: type[T]
) -> npt.NDArray[T]:
    """Reckon an expression over ``digest`` for many units, in their order."""
    with connect() as connection:
        connection.register("units", pa.table({"unit": units}))
        # One column, so that no digest is made twice.
        found = connection.sql(
            f"SELECT {sql} AS found FROM (SELECT unit, {hashed} AS digest FROM units)"
        ).to_arrow_table()
    return np.array(found.column("found").to_numpy(), dtype=kind)


def _hashed(salt: str, units: pa.Array | pa.ChunkedArray) -> str:
    """Write the digest of salt and unit; a leaf key in binary is hashed as `unit_text` has it."""
    unit = "unit"
    if pa.types.is_binary(units.type):
        unit = "lower(hex(unit))"
    return f"sha256({text(salt)} || chr(0) || {unit})"


def _between(position: str, low: Fraction, high: Fraction) -> str:
    """Compare digests as hexadecimal text, whose order is that of the numbers it writes."""
    conditions = ["TRUE"]
    end = hexadecimal(threshold(high))
    if low > 0:
        conditions.append(f"{position} >= '{hexadecimal(threshold(low))}'")
    if end is not None:
        conditions.append(f"{position} < '{end}'")
    return " AND ".join(conditions)

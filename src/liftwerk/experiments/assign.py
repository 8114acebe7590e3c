"""The global holdout: a pure function of salt and unit that nothing re-assigns.

The rule, exactly, for whoever has to recompute it elsewhere:

1. The unit is a customer's leaf key (16 bytes: the first 16 of SHA-256 over the namespace, a NUL
   byte and the normalised identifier), written as 32 lowercase hexadecimal digits in ASCII.
2. ``digest = SHA-256(salt in UTF-8, one NUL byte, unit)``.
3. ``position`` = the digest's first eight bytes as a big-endian unsigned integer.
4. The unit is held out when ``position / 2**64 < share``, compared in whole numbers.

A larger share therefore keeps everybody who was already held out, and a smaller one only lets some
go; only another salt draws anew. The leaf key and not the merged customer is the unit, so that a
later merge of identities moves nobody.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from fractions import Fraction

import numpy as np
import numpy.typing as npt

RANGE = 2**64
"""Positions run from 0 to one below this."""


def unit_text(leaf: bytes) -> str:
    """Write a leaf key the way the assignment reads it.

    Parameters
    ----------
    leaf : bytes
        The customer's leaf key.

    Returns
    -------
    str
        Lowercase hexadecimal digits, two a byte.

    Examples
    --------
    >>> unit_text(bytes(range(16)))
    '000102030405060708090a0b0c0d0e0f'
    """
    return leaf.hex()


def position(salt: str, unit: str) -> int:
    """Return where a unit stands among all, as a whole number from 0 to 2**64 - 1.

    Parameters
    ----------
    salt : str
        The goal's salt; another salt is another draw.
    unit : str
        The unit, as `unit_text` writes it.

    Returns
    -------
    int
        The first eight bytes of SHA-256(salt, NUL, unit), big-endian.

    Examples
    --------
    >>> position("hillstrom-holdout-1", "000102030405060708090a0b0c0d0e0f")
    16594956608253558428
    """
    digest = hashlib.sha256(salt.encode() + b"\0" + unit.encode()).digest()
    return int.from_bytes(digest[:8], "big")


def held_out(salt: str, share: Fraction, unit: str) -> bool:
    """Say whether one unit is kept on the control action.

    Parameters
    ----------
    salt : str
        The goal's salt.
    share : fractions.Fraction
        The part of all units that is held out, from 0 to 1.
    unit : str
        The unit, as `unit_text` writes it.

    Examples
    --------
    >>> held_out("hillstrom-holdout-1", Fraction(1, 20), "000102030405060708090a0b0c0d0e0f")
    False
    """
    return position(salt, unit) < _threshold(share)


def held_out_many(salt: str, share: Fraction, leaves: Iterable[bytes]) -> npt.NDArray[np.bool_]:
    """Say for many leaf keys at once whether each is kept on the control action.

    Parameters
    ----------
    salt : str
        The goal's salt.
    share : fractions.Fraction
        The part of all units that is held out, from 0 to 1.
    leaves : iterable of bytes
        Leaf keys; ``column.to_pylist()`` of an Arrow column will do.

    Returns
    -------
    numpy.ndarray of bool, shape (n,)
        Agrees with `held_out` on each.

    Examples
    --------
    >>> held_out_many("s", Fraction(1), [bytes(16), bytes(range(16))]).tolist()
    [True, True]
    """
    threshold = _threshold(share)
    if threshold == RANGE:
        return np.ones(sum(1 for _ in leaves), dtype=np.bool_)
    seeded = hashlib.sha256(salt.encode() + b"\0")
    heads = bytearray()
    for leaf in leaves:
        digest = seeded.copy()
        digest.update(leaf.hex().encode())
        heads += digest.digest()[:8]
    positions = np.frombuffer(heads, dtype=">u8")
    return np.asarray(positions < np.uint64(threshold), dtype=np.bool_)


def _threshold(share: Fraction) -> int:
    """Return the smallest position that is not held out: the ceiling of share x 2**64."""
    return -(-share.numerator * RANGE // share.denominator)

"""How numbers and money are written: in a sentence, on a page and in the terminal alike.

Money names its currency first (``USD 0.142``), minus is a true minus sign, and there is no "−0.00".
"""

from __future__ import annotations

import math
from collections.abc import Iterable

MINUS = "\u2212"


def decimals(values: Iterable[float]) -> int:
    """Choose decimals for numbers that are read together: three or four significant figures.

    Examples
    --------
    >>> decimals([0.142, -0.02, 0.31]), decimals([14.2, 3.0]), decimals([1420.0])
    (3, 2, 0)
    >>> decimals([0.0021])
    5
    """
    scale = max((abs(value) for value in values), default=0.0)
    if scale == 0 or not math.isfinite(scale):
        return 2
    if scale >= 0.1:
        return max(0, 3 - max(0, math.floor(math.log10(scale))))
    return min(8, 2 - math.floor(math.log10(scale)))


def number(value: float, digits: int = 0, *, sign: bool = False) -> str:
    """Write a number with thousands separated and a true minus sign; no "−0.00".

    Examples
    --------
    >>> number(32026), number(-1234.5, 1), number(0.5, 2, sign=True), number(-0.0001, 2)
    ('32,026', '−1,234.5', '+0.50', '0.00')
    """
    text = f"{abs(value):,.{digits}f}"
    if not any(character in "123456789" for character in text):
        return text
    if value < 0:
        return MINUS + text
    if sign:
        return "+" + text
    return text


def money(value: float, currency: str, digits: int | None = None, *, sign: bool = False) -> str:
    """Write an amount of money, the currency first.

    Examples
    --------
    >>> money(0.1418, "USD"), money(-0.021, "EUR"), money(1418, "USD", 0, sign=True)
    ('USD 0.142', 'EUR −0.0210', 'USD +1,418')
    """
    if digits is None:
        digits = decimals([value])
    return f"{currency} {number(value, digits, sign=sign)}"


def share(value: float, digits: int = 1) -> str:
    """Write a share of a whole as a percentage; tiny but positive shares are not "0%".

    Examples
    --------
    >>> share(0.642), share(1 / 3, 0), share(0.0002), share(1.0)
    ('64.2%', '33%', '<0.1%', '100%')
    """
    if value in (0.0, 1.0):
        return f"{value * 100:.0f}%"
    if 0 < value * 100 < 0.5 * 10**-digits:
        return f"<{10**-digits:g}%"
    return f"{number(value * 100, digits)}%"


def points(value: float, digits: int = 2, *, sign: bool = True) -> str:
    """Write a difference of two shares in percentage points.

    Examples
    --------
    >>> points(0.0431), points(-0.002)
    ('+4.31 points', '−0.20 points')
    """
    return f"{number(value * 100, digits, sign=sign)} points"


def quantity(value: float, unit: str, digits: int | None = None, *, sign: bool = True) -> str:
    """Write an effect in its unit: percentage points of a ``share``, money, or a count of things.

    Examples
    --------
    >>> quantity(0.0431, "share"), quantity(0.42, "USD"), quantity(-0.031, "orders")
    ('+4.31 points', 'USD +0.420', '−0.0310 orders')
    """
    if unit == "share":
        if digits is None:
            digits = 2
        return points(value, digits, sign=sign)
    if is_currency(unit):
        return money(value, unit, digits, sign=sign)
    if digits is None:
        digits = decimals([value])
    return f"{number(value, digits, sign=sign)} {unit}".rstrip()


def is_currency(unit: str) -> bool:
    """Say whether a unit is money: an ISO 4217 code.

    Examples
    --------
    >>> is_currency("EUR"), is_currency("share"), is_currency("")
    (True, False, False)
    """
    return len(unit) == 3 and unit.isascii() and unit.isalpha() and unit.isupper()


def ranged(value: float, low: float, high: float, unit: str) -> str:
    """Write an effect with its interval, all three with the same decimals.

    Examples
    --------
    >>> ranged(0.42, 0.11, 0.73, "EUR"), ranged(0.004, -0.001, 0.009, "share")
    ('EUR +0.420 (+0.110 to +0.730)', '+0.40 points (−0.10 to +0.90)')
    """
    digits, scale = decimals([value, low, high]), 1.0
    if unit == "share":
        digits, scale = 2, 100.0
    ends = [number(end * scale, digits, sign=True) for end in (low, high)]
    return f"{quantity(value, unit, digits)} ({ends[0]} to {ends[1]})"


def whose(kind: str, unit: str) -> str:
    """Say whose an arm's own figure is, to stand after it: a mean has one for each unit.

    Examples
    --------
    >>> whose("mean", "customer"), whose("proportion", "visitor"), whose("ratio", "session")
    ('a customer', 'of visitors', '')
    """
    if kind == "proportion":
        return f"of {unit}s"
    return whose_difference(kind, unit)


def whose_difference(kind: str, unit: str) -> str:
    """Say whose a difference is: of shares and of ratios it is nobody's.

    Examples
    --------
    >>> whose_difference("mean", "session"), whose_difference("proportion", "visitor")
    ('a session', '')
    """
    if kind == "mean":
        return f"a {unit}"
    return ""

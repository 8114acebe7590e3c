"""How numbers are written: on pages, in the terminal and in the docs alike.

Pure and light: no other part of the server is needed. Numbers and money are written as
`liftwerk.amounts` does; an interval is said as "between … and …", and what is unknown is said in
words and never as a number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from liftwerk.amounts import (
    MINUS,
    decimals,
    money,
    number,
    points,
    quantity,
    share,
    whose,
    whose_difference,
)

__all__ = [
    "MINUS",
    "because",
    "between",
    "decimals",
    "delay",
    "figure_digits",
    "is_unknown",
    "moment",
    "money",
    "number",
    "points",
    "quantity",
    "seconds",
    "share",
    "short",
    "span",
    "unknown_words",
    "whose",
    "whose_difference",
]

THIN = "\u202f"
MANY = 10_000
"""Differences are also told for this many customers, which is easier to picture."""


def is_unknown(figure: Mapping[str, Any] | None) -> bool:
    """Say whether a figure is an unknown (or missing) and thus has no number.

    Examples
    --------
    >>> is_unknown({"unknown": "tails too heavy", "needs": "more customers"})
    True
    >>> is_unknown({"value": 1.0, "low": 0.0, "high": 2.0})
    False
    """
    if figure is None:
        return True
    return figure.get("value") is None


def because(figure: Mapping[str, Any] | None) -> str:
    """Say why a figure is unknown and what it would take, to stand after the word "unknown".

    Examples
    --------
    >>> because({"unknown": "tails too heavy", "needs": "some 4 times as many customers"})
    'because tails too heavy; it would take some 4 times as many customers'
    >>> because(None)
    'because it was not computed'
    """
    reason = ""
    needs = ""
    if figure is not None:
        reason = str(figure.get("unknown", ""))
        needs = str(figure.get("needs", ""))
    if not reason:
        return "because it was not computed"
    if not needs:
        return f"because {reason}"
    return f"because {reason}; it would take {needs}"


def unknown_words(figure: Mapping[str, Any] | None) -> str:
    """Say that a figure is unknown, why, and what it would take.

    Examples
    --------
    >>> unknown_words({"unknown": "tails too heavy", "needs": "more customers"})
    'unknown, because tails too heavy; it would take more customers'
    """
    return f"unknown, {because(figure)}"


def between(figure: Mapping[str, Any], currency: str, *, sign: bool = False, times: int = 1) -> str:
    """Say an interval in words, per customer or for `times` customers.

    Examples
    --------
    >>> between({"value": 0.02, "low": -0.1, "high": 0.14}, "USD")
    'between −0.100 and 0.140'
    >>> between({"value": 0.02, "low": -0.1, "high": 0.14}, "USD", times=10_000)
    'between −1,000 and 1,400'
    """
    digits = figure_digits([figure], times)
    low = number(figure["low"] * times, digits, sign=sign)
    high = number(figure["high"] * times, digits, sign=sign)
    return f"between {low} and {high}"


def span(low: float, high: float, unit: str, digits: int) -> str:
    """Say an interval of effects in words; the unit stands with the estimate beside it.

    Examples
    --------
    >>> span(-0.002, 0.0431, "share", 1), span(-0.1, 0.42, "USD", 2)
    ('between −0.2 and +4.3', 'between −0.10 and +0.42')
    """
    scale = 1.0
    if unit == "share":
        scale = 100.0
    low_words = number(low * scale, digits, sign=True)
    return f"between {low_words} and {number(high * scale, digits, sign=True)}"


def figure_digits(figures: Iterable[Mapping[str, Any] | None], times: int = 1) -> int:
    """Choose one number of decimals for figures that stand in one column.

    Examples
    --------
    >>> figure_digits([{"value": 0.5, "low": 0.3, "high": 0.7}, {"unknown": "x", "needs": "y"}])
    3
    """
    if times > 1:
        return 0
    known = [figure for figure in figures if figure is not None and not is_unknown(figure)]
    return decimals(figure[key] * times for figure in known for key in ("value", "low", "high"))


def seconds(value: float) -> str:
    """Write a time span for people.

    Examples
    --------
    >>> seconds(0.004), seconds(3.21), seconds(75), seconds(0)
    ('4 ms', '3.2 s', '1 min 15 s', '0 s')
    """
    if value == 0:
        return "0 s"
    if value < 0.95:
        return f"{max(1, round(value * 1000))} ms"
    if value < 60:
        return f"{value:.1f} s"
    whole = round(value)
    return f"{whole // 60} min {whole % 60} s"


def delay(value: float | None) -> str:
    """Write how long something took in its largest fitting unit: from milliseconds to days.

    Examples
    --------
    >>> delay(0.0042), delay(3.21), delay(200), delay(10_000), delay(400_000), delay(None)
    ('4 ms', '3.2 s', '3 min', '2.8 h', '4.6 d', '–')
    """
    if value is None:
        return "–"
    if value < 90:
        return seconds(value)
    if value < 5_400:
        return f"{value / 60:.0f} min"
    if value < 172_800:
        return f"{value / 3_600:.1f} h"
    return f"{value / 86_400:.1f} d"


def moment(iso: str | None) -> str:
    """Write an ISO instant (UTC) to the minute, as people read it.

    Examples
    --------
    >>> moment("2008-03-18T15:00:00.000000Z"), moment(None)
    ('2008-03-18 15:00 UTC', '–')
    """
    if not iso:
        return "–"
    return f"{iso[:10]} {iso[11:16]} UTC"


def short(key: str | None, length: int = 10) -> str:
    """Shorten an id or hash for reading; the whole stays in the page's title or link.

    Examples
    --------
    >>> short("0123456789abcdef"), short("short"), short(None)
    ('0123456789…', 'short', '–')
    """
    if not key:
        return "–"
    if len(key) <= length + 2:
        return key
    return key[:length] + "…"

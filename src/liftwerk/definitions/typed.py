"""Typed strings: durations, shares, rates, limits, budgets and retentions, parsed once.

Each is an immutable value made from the text of the project file. Two that mean the same are
equal and share one canonical form ("5%" and "0.05"; "1d" and "24h"), so that a project's hash
follows the meaning and not the spelling.
"""

from __future__ import annotations

import calendar
import re
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import ClassVar

MICROSECONDS = {
    "us": 1,
    "ms": 1_000,
    "s": 1_000_000,
    "min": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
    "w": 604_800_000_000,
}
"""Fixed lengths in UTC; calendar lengths (months) are only in `Retention` and `Budget`."""

DECIMAL_PATTERN = r"^[+-]?[0-9]{1,18}(\.[0-9]{1,18})?$"
"""A plain decimal, as money and bounds are written: no exponent, no separators."""

PERIODS = ("hour", "day", "week", "month")
"""Calendar periods of a budget, in the project's time zone."""


class TypedString:
    """A value written as a string in the project file.

    Parameters
    ----------
    text : str
        The text as written.

    Raises
    ------
    ValueError
        If the text does not say such a value; the message says what would be right.
    """

    __slots__ = ("_text",)

    wanted: ClassVar[str] = ""
    """What would be right, for error messages."""
    pattern: ClassVar[str] = ""
    """The form, as a regular expression that JSON Schema understands too."""

    _text: str

    def __init__(self, text: str) -> None:
        trimmed = text.strip()
        match = re.fullmatch(self.pattern, trimmed, re.ASCII)
        if match is None:
            raise ValueError(self.wanted)
        object.__setattr__(self, "_text", trimmed)
        self._read(match)

    def _read(self, match: re.Match[str]) -> None:
        raise NotImplementedError

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    @property
    def canonical(self) -> str:
        """One spelling for everything that means the same."""
        raise NotImplementedError

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} cannot be changed")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, type(self)):
            return NotImplemented
        return self.canonical == other.canonical

    def __hash__(self) -> int:
        return hash((type(self).__name__, self.canonical))

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._text!r})"

    def __reduce__(self) -> tuple[type[TypedString], tuple[str]]:
        return (type(self), (self._text,))


class Duration(TypedString):
    """A fixed length of time.

    Attributes
    ----------
    microseconds : int
        The length, exact.

    Examples
    --------
    >>> Duration("14d").seconds
    1209600.0
    >>> Duration("1d") == Duration("24h")
    True
    """

    __slots__ = ("microseconds",)

    wanted = 'write a duration such as "90d", "12h", "30min" or "5s"'
    pattern = r"^([0-9]{1,12})(us|ms|s|min|h|d|w)$"

    microseconds: int

    def _read(self, match: re.Match[str]) -> None:
        microseconds = int(match[1]) * MICROSECONDS[match[2]]
        if microseconds > timedelta.max // timedelta(microseconds=1):
            raise ValueError("write a shorter duration")
        self._set("microseconds", microseconds)

    @property
    def canonical(self) -> str:
        """The length in microseconds."""
        return f"{self.microseconds}us"

    @property
    def seconds(self) -> float:
        """The length in seconds."""
        return self.microseconds / 1_000_000

    @property
    def timedelta(self) -> timedelta:
        """The length as Python's own type."""
        return timedelta(microseconds=self.microseconds)


class Share(TypedString):
    """A part of a whole, from 0 to 1, kept exact.

    Attributes
    ----------
    exact : fractions.Fraction
        The share without rounding.

    Examples
    --------
    >>> Share("5%").value
    0.05
    >>> Share("1/3").exact
    Fraction(1, 3)
    >>> Share("5%") == Share("0.05")
    True
    """

    __slots__ = ("exact",)

    wanted = 'write a share between 0 and 1 such as "5%", "0.05" or "1/3"'
    pattern = r"^([0-9]+(\.[0-9]+)?)%$|^[0-9]+(\.[0-9]+)?$|^[0-9]+/[1-9][0-9]*$"

    exact: Fraction

    def _read(self, match: re.Match[str]) -> None:
        text = match[0]
        exact = Fraction(text.removesuffix("%"))
        if text.endswith("%"):
            exact = exact / 100
        if exact > 1:
            raise ValueError(self.wanted)
        self._set("exact", exact)

    @property
    def canonical(self) -> str:
        """The share as a fraction in lowest terms."""
        return str(self.exact)

    @property
    def value(self) -> float:
        """The share as the nearest float."""
        return float(self.exact)


class Rate(TypedString):
    """So many of something in each second, minute or hour.

    Attributes
    ----------
    count : int
        How many.
    microseconds : int
        In which length of time.

    Examples
    --------
    >>> Rate("2000/s").per_second
    2000.0
    """

    __slots__ = ("count", "microseconds")

    wanted = 'write a rate such as "2000/s", "600/min" or "100/h"'
    pattern = r"^([1-9][0-9]{0,11})/(s|min|h|d)$"

    count: int
    microseconds: int

    def _read(self, match: re.Match[str]) -> None:
        self._set("count", int(match[1]))
        self._set("microseconds", MICROSECONDS[match[2]])

    @property
    def canonical(self) -> str:
        """Events by the day, as a fraction in lowest terms."""
        return f"{Fraction(self.count * MICROSECONDS['d'], self.microseconds)}/d"

    @property
    def per_second(self) -> float:
        """How many in a second."""
        return self.count * 1_000_000 / self.microseconds


class Limit(TypedString):
    """At most so many within any stretch of a length.

    Attributes
    ----------
    count : int
        How many at most.
    within : Duration
        The sliding window.

    Examples
    --------
    >>> limit = Limit("2/7d")
    >>> limit.count, str(limit.within)
    (2, '7d')
    """

    __slots__ = ("count", "within")

    wanted = 'write a limit such as "2/7d": at most 2 within any 7 days'
    pattern = r"^(0|[1-9][0-9]{0,8})/([0-9]{1,12}(us|ms|s|min|h|d|w))$"

    count: int
    within: Duration

    def _read(self, match: re.Match[str]) -> None:
        within = Duration(match[2])
        if within.microseconds == 0:
            raise ValueError(self.wanted)
        self._set("count", int(match[1]))
        self._set("within", within)

    @property
    def canonical(self) -> str:
        """The count and the window in microseconds."""
        return f"{self.count}/{self.within.canonical}"


class Budget(TypedString):
    """Money that may be spent in each calendar period, in the project's currency.

    Attributes
    ----------
    amount : decimal.Decimal
        How much, in major units.
    period : str
        One of `PERIODS`.

    Examples
    --------
    >>> budget = Budget("5000/week")
    >>> budget.amount, budget.period
    (Decimal('5000'), 'week')
    """

    __slots__ = ("amount", "period")

    wanted = 'write a budget such as "5000/week" or "120.50/day" (hour, day, week or month)'
    pattern = r"^([0-9]{1,15}(?:\.[0-9]{1,6})?)/(hour|day|week|month)$"

    amount: Decimal
    period: str

    def _read(self, match: re.Match[str]) -> None:
        self._set("amount", Decimal(match[1]))
        self._set("period", match[2])

    @property
    def canonical(self) -> str:
        """The amount in lowest terms, and the period."""
        return f"{Fraction(self.amount)}/{self.period}"


class Retention(TypedString):
    """How long something is kept, in days, months or years of the calendar.

    Attributes
    ----------
    months : int
        Whole months; 0 when written in days.
    days : int
        Days; 0 when written in months or years.

    Examples
    --------
    >>> Retention("2 years") == Retention("24 months")
    True
    """

    __slots__ = ("days", "months")

    wanted = 'write how long to keep it, such as "25 months", "90 days" or "2 years"'
    pattern = r"^([1-9][0-9]{0,4}) (day|month|year)s?$"

    months: int
    days: int

    def _read(self, match: re.Match[str]) -> None:
        count = int(match[1])
        months = {"day": 0, "month": count, "year": 12 * count}[match[2]]
        days = 0
        if match[2] == "day":
            days = count
        self._set("months", months)
        self._set("days", days)

    def before(self, now: datetime) -> datetime:
        """Return the instant before which it is too old; the last of a shorter month counts.

        Examples
        --------
        >>> from datetime import UTC, datetime
        >>> Retention("1 month").before(datetime(2026, 3, 31, tzinfo=UTC)).date().isoformat()
        '2026-02-28'
        """
        if self.days:
            return now - timedelta(days=self.days)
        year, month = divmod(now.year * 12 + now.month - 1 - self.months, 12)
        if year < 1:
            return datetime.min.replace(tzinfo=now.tzinfo)
        last = calendar.monthrange(year, month + 1)[1]
        return now.replace(year=year, month=month + 1, day=min(now.day, last))

    @property
    def canonical(self) -> str:
        """Months, or days."""
        if self.days:
            return f"{self.days} days"
        return f"{self.months} months"


class Day(TypedString):
    """A day of the calendar.

    Attributes
    ----------
    date : datetime.date
        The day.

    Examples
    --------
    >>> Day("2027-03-01").date
    datetime.date(2027, 3, 1)
    """

    __slots__ = ("date",)

    wanted = 'write a day such as "2027-03-01"'
    pattern = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"

    date: date

    def _read(self, match: re.Match[str]) -> None:
        try:
            self._set("date", date.fromisoformat(match[0]))
        except ValueError:
            raise ValueError("write a day that there is") from None

    @property
    def canonical(self) -> str:
        """The day as it is written."""
        return self.date.isoformat()

"""What it costs: exact amounts in a currency, as whole minor units; never floats."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

from msgspec import Struct

_TWO = 2

_EXPONENTS = {
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(
        (
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ),
        0,
    ),
    **dict.fromkeys(("CLF", "UYW"), 4),
}
"""Currencies whose minor unit is not a hundredth (ISO 4217)."""

_LARGEST = 2**63 - 1
"""Amounts rest as 64-bit integers."""


def is_currency(code: str) -> bool:
    """Say whether a code has the form of an ISO 4217 currency.

    Examples
    --------
    >>> is_currency("EUR"), is_currency("euro")
    (True, False)
    """
    return re.fullmatch(r"[A-Z]{3}", code) is not None


def exponent(currency: str) -> int:
    """Return how many decimals a currency has.

    Examples
    --------
    >>> exponent("USD"), exponent("JPY"), exponent("KWD")
    (2, 0, 3)
    """
    return _EXPONENTS.get(currency, _TWO)


class Money(Struct, frozen=True):
    """An exact amount in one currency.

    Attributes
    ----------
    minor : int
        The amount in the currency's minor unit (cents).
    currency : str
        ISO 4217 code.

    Examples
    --------
    >>> Money.parse("29.99", "USD") + Money(1, "USD")
    Money(minor=3000, currency='USD')
    >>> print(Money(-5, "USD"), Money(1200, "JPY"))
    -0.05 USD 1200 JPY
    """

    minor: int
    currency: str

    @classmethod
    def parse(cls, amount: str | int | Decimal, currency: str) -> Money:
        """Read a decimal amount in major units.

        Parameters
        ----------
        amount : str, int or decimal.Decimal
            The amount; a float is refused, since it is not exact.
        currency : str
            ISO 4217 code.

        Returns
        -------
        Money
            The same amount.

        Raises
        ------
        TypeError
            If the amount is a float or a bool.
        ValueError
            If it is no finite decimal, has more decimals than the currency, or does not fit into
            64 bits of minor units.
        """
        if isinstance(amount, bool) or not isinstance(amount, str | int | Decimal):
            kind = type(amount).__name__
            raise TypeError(f"money is made from decimal text, not from {kind}")
        if not is_currency(currency):
            raise ValueError(f"{currency!r} is not an ISO 4217 code")
        try:
            decimal = Decimal(amount)
        except InvalidOperation:
            raise ValueError(f"{amount!r} is not a decimal amount") from None
        if not decimal.is_finite():
            raise ValueError(f"{str(amount)!r} is not a decimal amount")
        return cls(_minor(decimal, exponent(currency), currency), currency)

    @property
    def decimal(self) -> Decimal:
        """The amount in major units, exact."""
        sign, digits, _ = Decimal(self.minor).as_tuple()
        return Decimal((sign, digits, -exponent(self.currency)))

    def __str__(self) -> str:
        return f"{self.decimal:f} {self.currency}"

    def __bool__(self) -> bool:
        return self.minor != 0

    def __neg__(self) -> Money:
        return Money(-self.minor, self.currency)

    def __add__(self, other: Money) -> Money:
        if not isinstance(other, Money):
            return NotImplemented
        return Money(self.minor + self._same(other), self.currency)

    def __sub__(self, other: Money) -> Money:
        if not isinstance(other, Money):
            return NotImplemented
        return Money(self.minor - self._same(other), self.currency)

    def __mul__(self, times: int) -> Money:
        if isinstance(times, bool) or not isinstance(times, int):
            return NotImplemented
        return Money(self.minor * times, self.currency)

    __rmul__ = __mul__

    def __lt__(self, other: Money) -> bool:
        if not isinstance(other, Money):
            return NotImplemented
        return self.minor < self._same(other)

    def __le__(self, other: Money) -> bool:
        if not isinstance(other, Money):
            return NotImplemented
        return self.minor <= self._same(other)

    def __gt__(self, other: Money) -> bool:
        if not isinstance(other, Money):
            return NotImplemented
        return self.minor > self._same(other)

    def __ge__(self, other: Money) -> bool:
        if not isinstance(other, Money):
            return NotImplemented
        return self.minor >= self._same(other)

    def _same(self, other: Money) -> int:
        if self.currency != other.currency:
            raise TypeError(f"{self} and {other} are different currencies")
        return other.minor


def _minor(amount: Decimal, decimals: int, currency: str) -> int:
    """Return an amount in minor units, by its digits: no context rounds it."""
    sign, digits, power = amount.as_tuple()
    whole = int("".join(map(str, digits)))
    if whole == 0:
        return 0
    too_fine = f"{amount} has more decimals than {currency} has, {decimals}"
    too_large = f"{amount} {currency} is too large"
    shift = int(power) + decimals
    # Judged by their lengths first: a huge exponent must not become a huge integer.
    if amount.adjusted() + decimals > len(str(_LARGEST)):
        raise ValueError(too_large)
    if -shift > len(digits):
        raise ValueError(too_fine)
    minor, rest = divmod(whole * 10 ** max(shift, 0), 10 ** max(-shift, 0))
    if rest != 0:
        raise ValueError(too_fine)
    if minor > _LARGEST:
        raise ValueError(too_large)
    return int((-1) ** sign * minor)

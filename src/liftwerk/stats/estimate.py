"""What a reader gets instead of a bare number: an `Estimate`, or an `Unknown` that says why not."""

from __future__ import annotations

import math
from typing import Any, ClassVar, NoReturn, TypeAlias

import msgspec


class Estimate(msgspec.Struct, frozen=True, tag_field="kind", tag="estimate"):
    """A number with how far it can be trusted.

    Parameters
    ----------
    value : float
        The point estimate, in the unit of whatever was estimated.
    low, high : float
        Ends of the interval at `level`.
    standard_error : float
        Standard error of `value`.
    n : int
        Rows (customers, decisions) it rests on.
    method : str
        How value and interval were made, in a few words.
    assumptions : tuple of str
        What has to hold for the interval to cover.
    level : float
        Confidence level of the interval.

    Raises
    ------
    ValueError
        If a number is not finite or the interval is upside down: what cannot be computed is an
        `Unknown`, never a NaN.

    Examples
    --------
    >>> print(Estimate(1.25, 1.0, 1.5, 0.1276, 400, "difference in means"))
    1.25 (1 to 1.5)
    """

    value: float
    low: float
    high: float
    standard_error: float
    n: int
    method: str
    assumptions: tuple[str, ...] = ()
    level: float = 0.95

    def __post_init__(self) -> None:
        for number in (self.value, self.low, self.high, self.standard_error):
            if not math.isfinite(number):
                raise ValueError(f"an Estimate holds finite numbers, got {number!r}")
        if self.low > self.high:
            raise ValueError(f"interval is upside down: {self.low!r} > {self.high!r}")

    def __str__(self) -> str:
        return f"{self.value:.6g} ({self.low:.6g} to {self.high:.6g})"


class Unknown(msgspec.Struct, frozen=True, tag_field="kind", tag="unknown", eq=False):
    """The honest answer where no honest number exists.

    It can be printed as words and compared with another `Unknown`; every use of it as a number
    (a number format, ``float``, arithmetic, order, equality with a number, truth) is a
    ``TypeError``, so that it cannot slip into a sum.

    Parameters
    ----------
    reason : str
        Why there is no number.
    needs : str
        What it would take to get one.

    Examples
    --------
    >>> nothing = Unknown("no customer was treated", "an arm with at least 100 customers")
    >>> print(nothing)
    unknown: no customer was treated (needs an arm with at least 100 customers)
    >>> 1.0 + nothing
    Traceback (most recent call last):
        ...
    TypeError: an Unknown is not a number (add): no customer was treated
    >>> f"{nothing:.2f}"
    Traceback (most recent call last):
        ...
    TypeError: an Unknown is not a number (format '.2f'): no customer was treated
    """

    reason: str
    needs: str

    # NumPy then hands `array + unknown` to us instead of looping over the elements itself.
    __array_ufunc__: ClassVar[None] = None

    def __str__(self) -> str:
        return f"unknown: {self.reason} (needs {self.needs})"

    def __format__(self, spec: str) -> str:
        if spec and spec[-1] != "s":
            self._refuse(f"format {spec!r}")
        return format(str(self), spec)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Unknown):
            return (self.reason, self.needs) == (other.reason, other.needs)
        if hasattr(other, "__float__"):
            self._refuse("compare")
        return NotImplemented

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((self.reason, self.needs))

    def _refuse(self, use: str) -> NoReturn:
        raise TypeError(f"an Unknown is not a number ({use}): {self.reason}")

    def __bool__(self) -> bool:
        self._refuse("truth")

    def __float__(self) -> float:
        self._refuse("float")

    def __int__(self) -> int:
        self._refuse("int")

    def __complex__(self) -> complex:
        self._refuse("complex")

    def __round__(self, digits: int = 0) -> float:
        self._refuse("round")

    def __neg__(self) -> float:
        self._refuse("negate")

    def __pos__(self) -> float:
        self._refuse("plus")

    def __abs__(self) -> float:
        self._refuse("abs")

    def __add__(self, other: Any) -> float:
        self._refuse("add")

    def __radd__(self, other: Any) -> float:
        self._refuse("add")

    def __sub__(self, other: Any) -> float:
        self._refuse("subtract")

    def __rsub__(self, other: Any) -> float:
        self._refuse("subtract")

    def __mul__(self, other: Any) -> float:
        self._refuse("multiply")

    def __rmul__(self, other: Any) -> float:
        self._refuse("multiply")

    def __truediv__(self, other: Any) -> float:
        self._refuse("divide")

    def __rtruediv__(self, other: Any) -> float:
        self._refuse("divide")

    def __pow__(self, other: Any) -> float:
        self._refuse("power")

    def __lt__(self, other: Any) -> bool:
        self._refuse("compare")

    def __le__(self, other: Any) -> bool:
        self._refuse("compare")

    def __gt__(self, other: Any) -> bool:
        self._refuse("compare")

    def __ge__(self, other: Any) -> bool:
        self._refuse("compare")


Answer: TypeAlias = Estimate | Unknown
"""What every reading returns."""


def to_json(answer: Estimate | Unknown) -> dict[str, float | str]:
    """Write an answer as the report document does.

    Parameters
    ----------
    answer : Estimate or Unknown

    Returns
    -------
    dict
        ``{"value", "low", "high"}``, or ``{"unknown", "needs"}``.

    Examples
    --------
    >>> to_json(Estimate(1.0, 0.5, 1.5, 0.25, 10, "mean"))
    {'value': 1.0, 'low': 0.5, 'high': 1.5}
    >>> to_json(Unknown("too few", "100 rows"))
    {'unknown': 'too few', 'needs': '100 rows'}
    """
    if isinstance(answer, Unknown):
        return {"unknown": answer.reason, "needs": answer.needs}
    return {"value": answer.value, "low": answer.low, "high": answer.high}

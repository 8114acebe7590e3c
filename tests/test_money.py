from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftwerk.money import Money, exponent, is_currency

CENTS = st.integers(min_value=-(2**63) + 1, max_value=2**63 - 1)
CURRENCY = st.sampled_from(["USD", "EUR", "JPY", "KWD", "CLF"])


@given(CENTS, CURRENCY)
def test_text_round_trips(minor: int, currency: str) -> None:
    money = Money(minor, currency)
    amount, code = str(money).split(" ")
    assert Money.parse(amount, code) == money
    assert Money.parse(money.decimal, currency) == money


@given(CENTS, CENTS)
def test_sums_are_exact(first: int, second: int) -> None:
    total = Money(first, "USD") + Money(second, "USD")
    assert total.minor == first + second
    assert total - Money(second, "USD") == Money(first, "USD")


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        ("29.99", "USD", 2999),
        ("-0.05", "USD", -5),
        ("29.990", "USD", 2999),
        ("1200", "JPY", 1200),
        ("1.234", "KWD", 1234),
        ("1E+2", "USD", 10000),
        ("0E-999999999", "USD", 0),
        (Decimal("0.05"), "USD", 5),
        (7, "EUR", 700),
        ("0.30000000000000000000000000000000000000000", "USD", 30),
    ],
)
def test_parse(amount: str | int | Decimal, currency: str, minor: int) -> None:
    assert Money.parse(amount, currency).minor == minor


@pytest.mark.parametrize(
    ("amount", "currency", "message"),
    [
        ("29.999", "USD", "29.999 has more decimals than USD has, 2"),
        ("0.5", "JPY", "0.5 has more decimals than JPY has, 0"),
        ("1E-999999999", "USD", "1E-999999999 has more decimals than USD has, 2"),
        ("1E+999999999", "USD", "1E+999999999 USD is too large"),
        ("92233720368547758.08", "USD", "92233720368547758.08 USD is too large"),
        ("twelve", "USD", "'twelve' is not a decimal amount"),
        ("NaN", "USD", "'NaN' is not a decimal amount"),
        ("Infinity", "USD", "'Infinity' is not a decimal amount"),
        ("1", "dollar", "'dollar' is not an ISO 4217 code"),
    ],
)
def test_parse_refuses(amount: str, currency: str, message: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        Money.parse(amount, currency)
    assert str(caught.value) == message


@pytest.mark.parametrize("amount", [0.1, True, None])
def test_parse_refuses_what_is_not_exact(amount: object) -> None:
    with pytest.raises(TypeError, match="money is made from decimal text"):
        Money.parse(amount, "USD")  # type: ignore[arg-type]


def test_order_within_a_currency() -> None:
    one, two = Money(1, "USD"), Money(2, "USD")
    assert one < two
    assert two > one
    assert one <= two
    assert two >= one
    assert sum([two], start=one) == Money(3, "USD")
    assert max(one, two) is two


@pytest.mark.parametrize(
    "operation",
    ["__add__", "__sub__", "__lt__", "__le__", "__gt__", "__ge__"],
)
def test_currencies_do_not_mix(operation: str) -> None:
    with pytest.raises(TypeError, match="are different currencies"):
        getattr(Money(1, "USD"), operation)(Money(1, "EUR"))
    assert Money(1, "USD") != Money(1, "EUR")


def test_no_floats_in_arithmetic() -> None:
    with pytest.raises(TypeError):
        Money(1, "USD") * 0.5  # type: ignore[operator]
    with pytest.raises(TypeError):
        Money(1, "USD") + 1  # type: ignore[operator]
    assert 3 * Money(5, "USD") == -Money(-15, "USD")


def test_currencies() -> None:
    assert (exponent("USD"), exponent("JPY"), exponent("BHD")) == (2, 0, 3)
    assert is_currency("CHF")
    assert not is_currency("CHF\n")

"""Expressions: arithmetic on final values, with what has no answer left unknown."""

from __future__ import annotations

import math
import re
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftwerk.features.expression import cycle, evaluate, for_one, parse_expression

TYPES = {"a": "number", "b": "number", "name": "string"}
A = np.array([4.0, -1.0, 0.0, np.nan, 1e308])
B = np.array([2.0, 0.0, 0.0, 1.0, 1e-308])
NAN = np.nan


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a / b", [2.0, NAN, NAN, NAN, NAN]),
        ("a + 2 * b - 1", [7.0, -2.0, -1.0, NAN, 1e308]),
        ("-(a)", [-4.0, 1.0, 0.0, NAN, -1e308]),
        ("coalesce(a / b, b, 7)", [2.0, 0.0, 0.0, 1.0, 1e-308]),
        ("ln(a)", [log(4), NAN, NAN, NAN, log(1e308)]),
        ("coalesce(ln(a), 5)", [log(4), 5.0, 5.0, 5.0, log(1e308)]),
        ("greatest(ln(a), 0)", [log(4), NAN, NAN, NAN, log(1e308)]),
        ("case when ln(a) < 0 then 1 else 2 end", [2.0, 2.0, 2.0, 2.0, 2.0]),
        ("1 / ln(a - 1)", [1 / log(3), NAN, NAN, NAN, 1 / log(1e308)]),
        ("sqrt(a)", [2.0, NAN, 0.0, NAN, 1e154]),
        ("abs(least(a, b))", [2.0, 1.0, 0.0, NAN, 1e-308]),
        ("greatest(a, 3, b)", [4.0, 3.0, 3.0, NAN, 1e308]),
        ("case when a >= 0 then b when (b = 0) then 9 end", [2.0, 9.0, 0.0, NAN, 1e-308]),
        ("case when a <> 0 then 1 else 2 end", [1.0, 1.0, 2.0, 2.0, 1.0]),
    ],
)
def test_values(text: str, values: list[float]) -> None:
    expression = parse_expression(text, TYPES)
    found = evaluate(expression, {"a": A, "b": B}, len(A))
    np.testing.assert_array_equal(found, values)
    for row in range(len(A)):
        alone = evaluate(expression, {"a": A[row : row + 1], "b": B[row : row + 1]}, 1)
        np.testing.assert_array_equal(alone, found[row : row + 1])
        one = for_one(expression)({"a": float(A[row]), "b": float(B[row])})
        np.testing.assert_array_equal(one, found[row])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a + c", "there is no feature 'c' here: known: a, b, name"),
        ("a + name", "name is of type string, which cannot be reckoned with"),
        ("a + 'x'", "'x' is a text, which cannot be reckoned with"),
        ("sum(a)", "SUM(a) is not arithmetic over features"),
        ("a > b", "a > b is not arithmetic over features"),
        ("case when a then 1 end", "a is no comparison"),
        ("case a when 1 then 2 end", "write case when …, with a comparison after each when"),
        ("a +", "cannot be read as the expression"),
        ("1e999 * a", "is beyond every number"),
        ("(select 1)", "is not arithmetic over features"),
    ],
)
def test_a_mistake_is_told(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)):
        parse_expression(text, TYPES)


def test_a_circle_is_found() -> None:
    types = dict.fromkeys("abcd", "number")
    parsed = {
        name: parse_expression(text, types)
        for name, text in {"a": "d + b", "b": "c", "c": "b + 1"}.items()
    }
    assert cycle(parsed) == ["b", "c", "b"]
    del parsed["c"]
    assert cycle(parsed) == []


_NUMBERS = st.floats(allow_nan=True, allow_infinity=False) | st.sampled_from([0.0, -1.0, 2.0])
_TERMS = st.recursive(
    st.sampled_from(["a", "b", "0", "3", "0.25"]),
    lambda part: st.one_of(
        st.builds("{} {} {}".format, part, st.sampled_from("+-*/"), part),
        st.builds("{}({})".format, st.sampled_from(["-", "ln", "sqrt", "abs", ""]), part),
        st.builds(
            "{}({}, {})".format, st.sampled_from(["coalesce", "least", "greatest"]), part, part
        ),
        st.builds(
            "case when {} {} {} then {} else {} end".format,
            *(part, st.sampled_from(["=", "<>", "<", "<=", ">", ">="]), part, part, part),
        ),
        st.builds("case when {} < {} then {} end".format, part, part, part),
    ),
    max_leaves=8,
)


@given(_TERMS, _NUMBERS, _NUMBERS)
def test_one_row_is_reckoned_as_many_are(text: str, a: float, b: float) -> None:
    expression = parse_expression(text, TYPES)
    (of_many,) = evaluate(expression, {"a": np.array([a]), "b": np.array([b])}, 1).tolist()
    alone = for_one(expression)({"a": a, "b": b})
    assert math.isnan(alone) == math.isnan(of_many)
    assert math.isnan(alone) or alone == of_many

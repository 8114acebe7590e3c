from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from liftwerk.privacy.definition import Basis, Purpose
from liftwerk.privacy.definition import Withdrawal as Reach
from liftwerk.privacy.permitted import (
    NOW,
    AsOf,
    Grant,
    Withdrawal,
    permitted,
    permitted_sql,
    withdrawals_sql,
)

START = datetime(2026, 5, 1, tzinfo=UTC)
ADA, BOB = b"ada", b"bob"


def day(number: int) -> datetime:
    return START + timedelta(days=number)


class Case(NamedTuple):
    """What the rule is asked: events (granted, time, leaf, leaf, agreed) and withdrawals."""

    purpose: Purpose
    events: list[Any]
    withdrawals: list[Withdrawal]
    name: str = "ads"
    as_of: AsOf = NOW
    grants: tuple[Grant, ...] = ()


def ask_python(case: Case) -> list[bool]:
    return [
        permitted(
            granted,
            time,
            leaves,
            name=case.name,
            purpose=case.purpose,
            withdrawals=case.withdrawals,
            grants=case.grants,
            as_of=case.as_of,
            agreed=agreed,
        )
        for granted, time, *leaves, agreed in case.events
    ]


def ask_sql(sql: duckdb.DuckDBPyConnection, case: Case, table: str | None = None) -> list[bool]:
    sql.execute("DELETE FROM events")
    sql.execute("DELETE FROM withdrawals")
    sql.execute("DELETE FROM grants")
    for place, (granted, time, email, device, agreed) in enumerate(case.events):
        row = [place, granted, naive(time), email, device, naive(agreed)]
        sql.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", row)
    for w in case.withdrawals:
        row = [w.leaf, w.purpose, naive(w.time), naive(w.known_at), w.offset]
        sql.execute("INSERT INTO withdrawals VALUES (?, ?, ?, ?, ?)", row)
    for g in case.grants:
        row = [g.leaf, g.purpose, naive(g.time), naive(g.known_at), g.offset]
        sql.execute("INSERT INTO grants VALUES (?, ?, ?, ?, ?)", row)
    bounds = {"as_of_time": naive(case.as_of.time), "as_of_offset": case.as_of.offset}
    given_bounds = {key: value for key, value in bounds.items() if value is not None}
    expression = permitted_sql(
        case.name,
        case.purpose,
        leaf_columns=["leaf_email", "leaf_device"],
        withdrawals=withdrawals_sql(
            case.name,
            "withdrawals",
            "grants",
            **{key: f"${key}" for key in given_bounds},
        ),
        agreed_column="consent_at",
        table=table,
    )
    used = {key: value for key, value in given_bounds.items() if f"${key}" in expression}
    rows = sql.execute(f"SELECT {expression} FROM events AS e ORDER BY place", used).fetchall()
    return [row[0] for row in rows]


def naive(time: datetime | None) -> datetime | None:
    if time is None:
        return None
    return time.replace(tzinfo=None)


@pytest.fixture(scope="module")
def sql() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:", config={"threads": 1})
    connection.execute(
        "CREATE TABLE events (place INTEGER, consent_granted VARCHAR[], time TIMESTAMP,"
        " leaf_email BLOB, leaf_device BLOB, consent_at TIMESTAMP)"
    )
    for relation in ("withdrawals", "grants"):
        connection.execute(
            f"CREATE TABLE {relation} (leaf BLOB, purpose VARCHAR, time TIMESTAMP,"
            ' known_at TIMESTAMP, "offset" BIGINT)'
        )
    return connection


def ada(
    purpose: Purpose,
    *,
    granted: list[str] | None,
    withdrawn: tuple[int, int] | None = None,
    as_of: AsOf = NOW,
    agreed: int | None = None,
    leaf: bytes = ADA,
    of: str = "ads",
    grant: tuple[int, int] | None = None,
    grant_leaf: bytes = ADA,
) -> Case:
    """One event of Ada on day 10, at most one withdrawal and grant (its day, when it was known)."""
    withdrawals = []
    if withdrawn is not None:
        done, known = withdrawn
        withdrawals = [Withdrawal(leaf, of, day(done), day(known), offset=known)]
    agreed_at = None
    if agreed is not None:
        agreed_at = day(agreed)
    event = (granted, day(10), ADA, None, agreed_at)
    grants: tuple[Grant, ...] = ()
    if grant is not None:
        done, known = grant
        grants = (Grant(grant_leaf, of, day(done), day(known), offset=known),)
    return Case(purpose, [event], withdrawals, as_of=as_of, grants=grants)


CONSENT = Purpose("consent")
RETROACTIVE = Purpose("consent", "retroactive")
INTEREST = Purpose("legitimate_interest")
ORDER = Purpose("legal_obligation")


@pytest.mark.parametrize(
    ("purpose", "facts", "expected"),
    [
        (CONSENT, {"granted": ["ads"]}, True),
        (CONSENT, {"granted": ["analytics"]}, False),
        (CONSENT, {"granted": []}, False),
        (CONSENT, {"granted": None}, False),
        # A withdrawal reaches what happens at its time or later ...
        (CONSENT, {"granted": ["ads"], "withdrawn": (10, 10)}, False),
        (CONSENT, {"granted": ["ads"], "withdrawn": (11, 11)}, True),
        # ... or everything, where the purpose says so.
        (RETROACTIVE, {"granted": ["ads"], "withdrawn": (11, 11)}, False),
        # Another's withdrawal, or one of another purpose, is none of its business.
        (CONSENT, {"granted": ["ads"], "withdrawn": (1, 1), "leaf": BOB}, True),
        (CONSENT, {"granted": ["ads"], "withdrawn": (1, 1), "of": "news"}, True),
        # The past is judged by what was known then.
        (CONSENT, {"granted": ["ads"], "withdrawn": (5, 20), "as_of": AsOf(day(19))}, True),
        (CONSENT, {"granted": ["ads"], "withdrawn": (5, 20), "as_of": AsOf(day(20))}, False),
        (CONSENT, {"granted": ["ads"], "withdrawn": (5, 20), "as_of": AsOf(offset=19)}, True),
        (CONSENT, {"granted": ["ads"], "withdrawn": (5, 20), "as_of": AsOf(offset=20)}, False),
        (CONSENT, {"granted": ["ads"], "withdrawn": (5, 20), "as_of": AsOf(day(30), 3)}, True),
        # A consent given again after the withdrawal counts.
        (CONSENT, {"granted": ["ads"], "withdrawn": (5, 5), "agreed": 6}, True),
        (CONSENT, {"granted": ["ads"], "withdrawn": (5, 5), "agreed": 5}, False),
        (RETROACTIVE, {"granted": ["ads"], "withdrawn": (5, 5), "agreed": 6}, True),
        # A grant lifts a withdrawal before it, for what happens from then on ...
        (CONSENT, {"granted": ["ads"], "withdrawn": (5, 5), "grant": (10, 10)}, True),
        (CONSENT, {"granted": ["ads"], "withdrawn": (5, 5), "grant": (11, 11)}, False),
        (CONSENT, {"granted": ["ads"], "withdrawn": (5, 5), "grant": (5, 5)}, False),
        (CONSENT, {"granted": ["ads"], "withdrawn": (8, 8), "grant": (7, 9)}, False),
        (RETROACTIVE, {"granted": ["ads"], "withdrawn": (5, 5), "grant": (7, 7)}, True),
        (RETROACTIVE, {"granted": ["ads"], "withdrawn": (11, 11), "grant": (12, 12)}, False),
        (INTEREST, {"granted": None, "withdrawn": (5, 5), "grant": (7, 7)}, True),
        # ... where it names the same key, and was known; it does not replace consent.
        (
            CONSENT,
            {"granted": ["ads"], "withdrawn": (5, 5), "grant": (7, 7), "grant_leaf": BOB},
            False,
        ),
        (
            CONSENT,
            {"granted": ["ads"], "withdrawn": (5, 5), "grant": (7, 20), "as_of": AsOf(day(19))},
            False,
        ),
        (
            CONSENT,
            {"granted": ["ads"], "withdrawn": (5, 5), "grant": (7, 20), "as_of": AsOf(offset=20)},
            True,
        ),
        (CONSENT, {"granted": [], "grant": (7, 7)}, False),
        # Other bases ask for no grant; interest can be objected to, a duty can't.
        (INTEREST, {"granted": None}, True),
        (INTEREST, {"granted": None, "withdrawn": (5, 5)}, False),
        (INTEREST, {"granted": None, "withdrawn": (5, 5), "agreed": 6}, False),
        (ORDER, {"granted": None, "withdrawn": (5, 5)}, True),
        (Purpose("contract"), {"granted": [], "withdrawn": (5, 5)}, True),
    ],
)
def test_rule(
    sql: duckdb.DuckDBPyConnection, purpose: Purpose, facts: dict[str, Any], expected: bool
) -> None:
    case = ada(purpose, **facts)
    assert ask_python(case) == [expected]
    assert ask_sql(sql, case) == [expected]


NAMES = st.sampled_from(["ads", "news", "it's"])
DAYS = st.integers(0, 3).map(day)
LEAVES = st.sampled_from([ADA, BOB, b"cy"])
EVENTS = st.lists(
    st.tuples(
        st.none() | st.lists(NAMES, max_size=2),
        DAYS,
        st.none() | LEAVES,
        st.none() | LEAVES,
        st.none() | DAYS,
    ),
    min_size=1,
    max_size=8,
)
WITHDRAWALS = st.lists(
    st.builds(Withdrawal, LEAVES, NAMES, DAYS, DAYS, st.integers(0, 3)), max_size=6
)
BASES: tuple[Basis, ...] = ("consent", "contract", "legitimate_interest", "legal_obligation")
REACHES: tuple[Reach, ...] = ("future", "retroactive")
PURPOSES = st.builds(Purpose, st.sampled_from(BASES), st.sampled_from(REACHES))
AS_OF = st.builds(AsOf, st.none() | DAYS, st.none() | st.integers(0, 3))


GRANTS = st.lists(st.builds(Grant, LEAVES, NAMES, DAYS, DAYS, st.integers(0, 3)), max_size=4)
CASES = st.builds(Case, PURPOSES, EVENTS, WITHDRAWALS, NAMES, AS_OF, GRANTS.map(tuple))


@given(CASES, st.none() | st.just("e"))
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_sql_is_the_same_rule(
    sql: duckdb.DuckDBPyConnection, case: Case, table: str | None
) -> None:
    assert ask_sql(sql, case, table) == ask_python(case)


def test_withdrawals_may_be_a_query(sql: duckdb.DuckDBPyConnection) -> None:
    expression = permitted_sql(
        "ads",
        RETROACTIVE,
        leaf_columns=["leaf"],
        withdrawals=withdrawals_sql(
            "ads",
            "(SELECT * FROM (VALUES ('a'::BLOB, 'ads', NULL::TIMESTAMPTZ, NULL::TIMESTAMPTZ, 1)"
            ') AS v(leaf, purpose, time, known_at, "offset"))',
        ),
    )
    rows = sql.execute(
        f"SELECT {expression} FROM (VALUES (['ads'], 'a'::BLOB, now()),"
        " (['ads'], 'b'::BLOB, now())) AS t(consent_granted, leaf, time)"
    ).fetchall()
    assert rows == [(False,), (True,)]

# ruff: noqa: E501 -- a case a line reads better
from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liftwerk.definitions import Project
from liftwerk.errors import DefinitionError, UnknownName
from liftwerk.events.admit import ERASED, Admitted, admit, digest
from liftwerk.events.identifiers import leaf_key
from liftwerk.events.schema import schema_of
from tests.events.shop import NOW, event, granted, order, shop

SHOP = shop()


def judge(*bodies: Any, source: str = "till", **options: Any) -> Admitted:
    encoded = [body if isinstance(body, bytes) else json.dumps(body).encode() for body in bodies]
    return admit(encoded, schema_of(SHOP), source, NOW, **options)


def reason(body: Any, source: str = "till") -> str | None:
    admitted = judge(body, source=source)
    if admitted.rows[0] is not None:
        assert admitted.refused == []
        return None
    [refusal] = admitted.refused
    assert refusal.index == 0
    return refusal.reason


def kept(body: Any, source: str = "till") -> Any:
    row = judge(body, source=source).rows[0]
    assert row is not None
    return json.loads(row.body)


def decision(**changes: Any) -> dict[str, Any]:
    properties = {
        "placement": "mail",
        "eligible": ["nothing", "voucher"],
        "action": "voucher",
        "probability": 0.3,
        "probabilities": [0.7, 0.3],
        "control_action": "nothing",
    }
    return event("decision_made", properties={**properties, **changes})


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"", "not JSON"),
        ([event()], "not an event: one JSON object each"),
        (3, "not an event: one JSON object each"),
        ({}, "name is missing"),
        ({"name": 3}, "name is missing"),
        (event("page_view"), "unknown event 'page_view': did you mean 'page_viewed'?"),
        (event(version=2), "page_viewed: version 1 is declared, not this one"),
        (event(id="7"), "page_viewed.id: expected a UUID"),
        (
            event(time="2026-02-01T12:00:00"),
            'page_viewed.time: expected a time with its zone such as "2026-03-01T09:30:00Z"',
        ),
        (event(time="0001-01-01T00:00:00+14:00"), "page_viewed: time is not between 1970 and 2199"),
        (event(identifiers={}), "page_viewed.identifiers: an event names at least one identifier"),
        (event(identifiers=None), "page_viewed.identifiers is missing"),
        (event(identifiers={"email": "ada"}), "page_viewed.identifiers: an identifier is not an e-mail address"),
        (event(identifiers={"phone": "1"}), "page_viewed.identifiers: no field 'phone' is declared"),
        (event(weight=0), "page_viewed.weight: expected a number above 0"),
        (event(decision="x"), "page_viewed.decision: expected the UUID of a decision"),
        (event(ip="127.0.0.1"), "page_viewed: no field 'ip' is declared"),
        (event(properties={"page": 1}), "page_viewed: no field 'page' is declared"),
        (event("order_completed"), "order_completed.properties is missing"),
        (order(revenue="-1"), 'order_completed.revenue: expected an amount in EUR such as "29.99", at least 0'),
        (order(revenue="1.005"), 'order_completed.revenue: expected an amount in EUR such as "29.99", at least 0'),
        (order(revenue=1.5), 'order_completed.revenue: expected an amount in EUR such as "29.99", at least 0'),  # type: ignore[arg-type]
        (order(properties={"discount": "-100.01"}), "order_completed: discount is below -100"),
        (order(properties={"discount": "1"}), "order_completed: discount is above 0"),
        (order(properties={"items": [{"sku": "a", "quantity": 1}]}), "order_completed.items[0].price is missing"),
        (event("rated", properties={"stars": 6}), "rated.stars: expected a whole number from 1 to 5"),
        (event("rated", properties={"stars": 1.5}), "rated.stars: expected a whole number from 1 to 5"),
        (event("rated", properties={"stars": True}), "rated.stars: expected a whole number from 1 to 5"),
        (event("rated", properties={"stars": 10**30}), "rated.stars: expected a whole number from 1 to 5"),
        (event("rated", properties={"stars": 1, "score": 2}), "rated.score: expected a number from 0 to 1"),
        (event("rated", properties={"stars": 1, "mood": "so"}), "rated.mood: expected one of good, bad"),
        (event("rated", properties={"stars": 1, "again": 1}), "rated.again: expected true or false"),
        (decision(action="call"), "decision_made: action is not eligible"),
        (decision(probability=0), "decision_made.probability: expected a number from 0.000000001 to 1"),
        (decision(probability=1.2), "decision_made.probability: expected a number from 0.000000001 to 1"),
        (decision(probability=0.4), "decision_made: probability is not that of the action"),
        (decision(probabilities=[0.8, 0.3]), "decision_made: probabilities do not add up to 1"),
        (decision(probabilities=[1]), "decision_made: probabilities has not one number for each eligible action"),
        (decision(control_action="none"), "decision_made: control_action is not eligible"),
        (decision(stage="chmpion"), "decision_made.stage: expected one of draft, shadow, canary, champion, retired, logged"),
        (
            event("consent_changed", properties={"granted": ["ads"], "withdrawn": ["ads"]}),
            "consent_changed: a purpose is both granted and withdrawn",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(body: Any, expected: str) -> None:
    assert reason(body) == expected


@pytest.mark.parametrize(
    "body",
    [
        event(),
        event(session="s", context={"page": "/", "nested": [{"a": None}]}, weight=2.5),
        order(revenue="0"),
        order(revenue="10.500"),
        order(properties={"discount": "-100", "items": []}),
        event("rated", properties={"stars": 5, "from": "a keyword", "tags": ["x"], "score": 1}),
        decision(),
        decision(probabilities=None),
    ],
)
def test_what_is_right_is_let_in(body: Any) -> None:
    assert reason(body) is None


def test_only_the_bad_one_is_refused() -> None:
    admitted = judge(event(number=1), event(number=2, id="x"), event(number=3))
    assert [row is not None for row in admitted.rows] == [True, False, True]
    assert [refusal.index for refusal in admitted.refused] == [1]


def test_the_sender_does_not_say_who_it_is_or_when_it_was_heard() -> None:
    told = event(source="till", received="2001-01-01T00:00:00Z", known_at="2001-01-01T00:00:00Z")
    row = judge(told, source="web").rows[0]
    assert row is not None
    body = json.loads(row.body)
    assert body["source"] == "web"
    assert "received" not in body
    assert "known_at" not in body
    assert row.received_us == int(NOW.timestamp() * 1e6)


def test_a_file_says_when_it_was_known() -> None:
    told = event(known_at="2026-02-02T01:00:00+01:00")
    assert kept(told, source="file")["known_at"] == "2026-02-02T00:00:00Z"


def test_one_thing_has_one_spelling() -> None:
    a = event(
        identifiers={"email": " Ada@Example.COM"},
        time="2026-02-01T13:00:00+01:00",
        properties={},
        weight=1,
    )
    b = event(time="2026-02-01T12:00:00.000000Z", synthetic=False, session=None)
    assert kept(a) == kept(b)


def test_a_public_key_cannot_forge_a_decision() -> None:
    expected = "decision_made: a source with trust = 'browser' may not say so"
    assert reason(decision(), source="web") == expected
    assert (
        reason(event("consent_changed", properties={"granted": [], "withdrawn": ["ads"]})) is None
    )


def test_nesting_without_end_is_refused() -> None:
    deep = b'{"context":' + b'{"a":' * 100_000
    assert reason(deep) is not None
    nested = json.dumps(event())[:-1].encode() + b',"context":{"a":' + b"[" * 900 + b"]" * 900
    assert judge(nested + b"}}").rows  # let in or refused, but not lost


def test_an_unknown_source_is_named() -> None:
    with pytest.raises(UnknownName, match=r"no source 'wep': \[sources\]: did you mean 'web'"):
        judge(event(), source="wep")


def test_the_erased_are_kept_out() -> None:
    buried = frozenset({leaf_key("email", "ada@example.com")})
    admitted = judge(
        event(number=1, identifiers={"email": "ADA@example.com"}),
        event(number=2, identifiers={"email": "bob@example.com"}),
        event(number=3, identifiers={"device": "d", "email": "ada@example.com"}),
        buried=buried,
    )
    assert [refusal.index for refusal in admitted.refused] == [0, 2]
    assert {refusal.reason for refusal in admitted.refused} == {ERASED}


def test_a_retry_is_the_same_content() -> None:
    rows = judge(
        event(sent_at="2026-02-01T12:00:01Z"),
        event(sent_at="2026-02-01T12:00:09.5Z"),
        event(),
        event(session="other"),
        event(context={"sent_at": "2026-02-01T12:00:01Z"}),
        event(context={"sent_at": "2026-02-01T12:00:02Z"}),
    ).rows
    marks = [digest(row.body) for row in rows if row is not None]
    assert marks[0] == marks[1] == marks[2]
    assert len(set(marks)) == 4


# ------------------------------------------------------------------------- a naive, readable twin

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
ODD = st.sampled_from(
    ["", "1", "12.5", "-3", "1.234", "good", "so", 0, 1, 5, 6, 0.5, 2.0, True, None, [], ["x"], [1],
     {}, "2026-02-01T12:00:00Z", "2026-02-01T12:00:00", "page_viewed", "rated", "order_completed",
     str(UUID(int=7)), 2**63, -(2**63), 1e300, "a@b", " a@b ", "\u0000", "²"]
) | ANY_JSON  # fmt: skip
KEYS = st.sampled_from(
    ["stars", "score", "mood", "again", "bought", "tags", "from", "order_id", "revenue", "discount",
     "items", "other"]
)  # fmt: skip
FIELDS = st.sampled_from(
    ["session", "consent", "context", "decision", "weight", "synthetic", "modelled", "sent_at",
     "known_at", "received", "source", "id", "version", "time", "identifiers", "properties", "x"]
)  # fmt: skip
NEAR_EVENTS = st.builds(
    lambda name, properties, changes: {
        **event("page_viewed"),
        "name": name,
        "version": 1 + (name == "order_completed"),
        "properties": properties,
        **changes,
    },
    st.sampled_from(["page_viewed", "rated", "order_completed"]),
    st.dictionaries(KEYS, ODD, max_size=3).map(lambda extra: {**extra})
    | st.builds(lambda extra: {"stars": 3, **extra}, st.dictionaries(KEYS, ODD, max_size=2))
    | st.builds(
        lambda extra: {"order_id": "o", "revenue": "1", **extra},
        st.dictionaries(KEYS, ODD, max_size=2),
    ),
    st.dictionaries(FIELDS, ODD, max_size=2),
)


def is_time(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        at = msgspec.json.decode(json.dumps(value), type=datetime)
    except msgspec.ValidationError:
        return False
    return at.tzinfo is not None and 1970 <= at.year < 2200


def is_money(value: Any, low: str, high: str = "9999999999999999.99") -> bool:
    if not isinstance(value, str) or not re.fullmatch(r"-?[0-9]{1,16}(\.[0-9]+)?", value, re.ASCII):
        return False
    try:
        amount = Decimal(value)
    except InvalidOperation:
        return False
    if amount != round(amount, 2) or (value.startswith("-") and Decimal(low) >= 0):
        return False
    return Decimal(low) <= amount <= Decimal(high)


def is_uuid(value: Any) -> bool:
    try:
        msgspec.json.decode(json.dumps(value), type=UUID)
    except msgspec.ValidationError:
        return False
    return True


def is_whole(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_email(value: Any) -> bool:
    if not isinstance(value, str) or not 1 <= len(value) <= 1000:
        return False
    name, _, host = value.strip().lower().rpartition("@")
    spaced = any(letter.isspace() for letter in value.strip().lower())
    return bool(name) and bool(host) and not spaced


def naive(body: Any) -> bool:
    """Say what the definitions say, field by field."""
    allowed = {"id", "name", "version", "time", "source", "identifiers", "session", "consent",
               "context", "decision", "weight", "synthetic", "modelled", "properties", "known_at",
               "received", "sent_at"}  # fmt: skip
    if not isinstance(body, dict) or not set(body) <= allowed:
        return False
    name = body["name"]
    if not is_uuid(body["id"]) or not is_time(body["time"]):
        return False
    if isinstance(body["version"], bool) or body["version"] != 1 + (name == "order_completed"):
        return False
    if isinstance(body["version"], float):
        return False
    optional = {
        "known_at": is_time, "received": is_time, "sent_at": is_time, "decision": is_uuid,
        "session": lambda v: isinstance(v, str), "source": lambda v: isinstance(v, str),
        "context": lambda v: isinstance(v, dict),
    }  # fmt: skip
    for key, check in optional.items():
        if body.get(key) is not None and not check(body[key]):
            return False
    weight = body.get("weight", 1)
    if not is_number(weight) or not 0 < weight <= 1e9:
        return False
    if not all(isinstance(body.get(key, False), bool) for key in ("synthetic", "modelled")):
        return False
    consent = body.get("consent")
    if consent is not None:  # the generator never makes a whole one
        return False
    identifiers = body["identifiers"]
    if not isinstance(identifiers, dict) or not set(identifiers) <= {"email", "device"}:
        return False
    if not is_email(identifiers.get("email", "a@b")) or not identifiers:
        return False
    return is_properties(name, body["properties"])


def is_properties(name: str, said: Any) -> bool:
    optional: dict[str, Any] = {}
    required: dict[str, Any] = {}
    if name == "rated":
        required = {"stars": lambda v: is_whole(v, 1, 5)}
        optional = {
            "score": lambda v: is_number(v) and 0 <= v <= 1,
            "mood": lambda v: isinstance(v, str) and v in ("good", "bad"),
            "again": lambda v: isinstance(v, bool),
            "bought": is_time,
            "tags": lambda v: isinstance(v, list) and all(isinstance(x, str) for x in v),
            "from": lambda v: isinstance(v, str),
        }
    if name == "order_completed":
        required = {
            "order_id": lambda v: isinstance(v, str),
            "revenue": lambda v: is_money(v, "0"),
        }
        optional = {
            "discount": lambda v: is_money(v, "-100", "0"),
            "items": lambda v: v == [],  # the generator never makes whole rows
        }
    if not isinstance(said, dict) or not set(said) <= {*required, *optional}:
        return False
    if not all(key in said and check(said[key]) for key, check in required.items()):
        return False
    return all(said.get(key) is None or check(said[key]) for key, check in optional.items())


@pytest.mark.slow
@given(NEAR_EVENTS)
@settings(max_examples=600)
def test_admission_is_what_the_definitions_say(body: dict[str, Any]) -> None:
    told = json.loads(json.dumps(body))
    assert (reason(told) is None) == naive(told), reason(told)


@pytest.mark.slow
@given(
    st.lists(st.binary(max_size=40) | ANY_JSON.map(lambda v: json.dumps(v).encode()), max_size=4)
)
@settings(max_examples=300)
def test_nothing_crashes_it(bodies: list[bytes]) -> None:
    admitted = judge(*bodies)
    assert len(admitted.rows) == len(bodies)
    assert len(admitted.refused) == sum(row is None for row in admitted.rows)


def test_consent_is_kept() -> None:
    assert kept(event(consent=granted("ads")))["consent"]["granted"] == ["ads"]


def test_a_time_is_kept_to_the_microsecond() -> None:
    at = datetime(2026, 2, 1, 12, 0, 0, 123456, tzinfo=UTC)
    assert kept(event(time=at.isoformat()))["time"] == "2026-02-01T12:00:00.123456Z"
    later = (at + timedelta(microseconds=1)).isoformat()
    assert kept(event(time=later))["time"] == "2026-02-01T12:00:00.123457Z"


def test_one_schema_a_project(shop: Project) -> None:
    assert schema_of(shop) is schema_of(shop)


def test_nobody_can_pass_for_our_own_decisions() -> None:
    source = {"kind": "http", "trust": "server", "key_env": "X"}
    with pytest.raises(DefinitionError, match="the source 'decisions' is built in"):
        shop(sources={"decisions": source})
    assert reason(event(identifiers=None)) == "page_viewed.identifiers is missing"

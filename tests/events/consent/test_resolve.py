from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.errors import DefinitionError
from liftwerk.events.admit import admit
from liftwerk.events.compact import compact
from liftwerk.events.consent.definition import GCM_FIELDS
from liftwerk.events.consent.resolve import Resolver
from liftwerk.events.consent.wire import Consent
from liftwerk.events.read import read
from liftwerk.events.schema import schema_of
from liftwerk.store.stores import Stores
from tests.events.consent.tc_strings import WHOLE, ids, saying
from tests.events.shop import NOW, event, put, shop

SHOP = shop(
    consent={
        "tcf": {"purposes": {"ads": [1, 2], "personalisation": [1], "measurement": [7]}},
        "gcm": {"purposes": {"ads": ["ad_storage", "ad_user_data"]}},
    }
)
PERSON = {"identifiers": {"email": "ada@example.com"}}


def kept(consent: Any, project: Project = SHOP, received: datetime = NOW) -> Any:
    """Admit an event with this consent; return the consent that is kept, None for none."""
    body = json.dumps(event(consent=consent)).encode()
    [row] = admit([body], schema_of(project), "till", received).rows
    assert row is not None
    return json.loads(row.body).get("consent")


def refused(consent: Any) -> str:
    [refusal] = admit([json.dumps(event(consent=consent))], schema_of(SHOP), "till", NOW).refused
    return refusal.reason


# --------------------------------------------------------------------------------- our own words


def test_granted_purposes_are_sorted_once_and_declared() -> None:
    said = {"granted": ["personalisation", "ads", "ads", "cookies"], "source": "api"}
    assert kept(said) == {"granted": ["ads", "personalisation"], "source": "api"}
    whole = {"granted": ["ads"], "source": "import", "version": "3", "at": "2026-01-01T00:00:00Z"}
    assert kept(whole) == whole
    assert kept({"granted": [], "source": "api"}) == {"granted": [], "source": "api"}
    assert kept(None) is None


def test_a_misspelt_purpose_does_not_look_like_a_refusal() -> None:
    assert kept({"granted": ["adds"], "source": "api"}) == {"source": "api"}


def test_one_instant_has_one_spelling() -> None:
    said = {"granted": ["ads"], "source": "api", "at": "2026-01-01T01:00:00+01:00"}
    assert kept(said)["at"] == "2026-01-01T00:00:00Z"


def test_consent_from_the_future_would_outlast_every_withdrawal() -> None:
    said = {"granted": ["ads"], "source": "api"}
    for ahead, has_time in ((timedelta(hours=23), True), (timedelta(days=2), False)):
        at = (NOW + ahead).isoformat()
        assert ("at" in kept({**said, "at": at})) is has_time


@pytest.mark.parametrize(
    ("consent", "reason"),
    [
        ({}, "consent: source is missing beside granted; or say it as tcf or gcm"),
        ({"granted": ["ads"]}, "source is missing beside granted"),
        ({"granted": ["ads"], "tcf": ""}, "it is said in one way: granted, tcf or gcm"),
        ({"gcm": {}, "tcf": ""}, "it is said in one way: granted, tcf or gcm"),
        ({"granted": ["ads"], "source": "cmp"}, "invalid enum value"),
        ({"granted": "ads", "source": "api"}, "expected"),
        ({"granted": ["ads"], "source": "api", "at": "1001-01-01T00:00:00Z"}, "at is not between"),
        ({"granted": ["ads"], "source": "api", "by": "x"}, "no field 'by' is declared"),
        ({"granted": ["a"] * 1001, "source": "api"}, "length <= 1000"),
    ],
)
def test_what_our_own_callers_get_wrong_is_refused(consent: Any, reason: str) -> None:
    assert reason in refused(consent)


# ------------------------------------------------------------------------------------ TCF strings


def test_all_listed_purposes_must_be_agreed_to() -> None:
    for row in WHOLE[:60]:
        said = row["decoded"]
        wanted = {"ads": {1, 2}, "measurement": {7}, "personalisation": {1}}
        found = kept({"tcf": row["text"]}, received=datetime(2030, 1, 1, tzinfo=UTC))
        assert found == {
            "granted": [name for name, all_of in wanted.items() if all_of <= {*said["purposes"]}],
            "source": "tcf",
            "version": f"policy {said['policy']}, vendor list {said['list']}, cmp {said['cmp']}",
            "at": found["at"],
        }
        assert datetime.fromisoformat(found["at"]) == datetime.fromisoformat(said["updated"])


def test_the_string_itself_is_not_kept(stores: Stores, clock: FixedClock) -> None:
    text = WHOLE[1]["text"]
    put(SHOP, stores, event(consent={"tcf": text}))
    compact(SHOP, stores, clock)
    [row] = read(SHOP, stores, "page_viewed", "audit").to_pylist()
    assert row["consent_source"] == "tcf"
    assert not any(text in str(value) for value in row.values())


def test_a_time_beside_the_string_says_when_that_day() -> None:
    row = next(row for row in WHOLE if row["decoded"]["updated"].endswith("T00:00:00.000Z"))
    day = datetime.fromisoformat(row["decoded"]["updated"])

    def at(given: datetime) -> datetime:
        found = kept({"tcf": row["text"], "at": given.isoformat()}, received=given)
        return datetime.fromisoformat(found["at"])

    noon = day + timedelta(hours=12)
    assert at(noon) == noon
    assert at(day + timedelta(days=1)) == day
    assert at(day - timedelta(seconds=1)) == day


def test_a_vendors_consent_is_asked_where_one_is_named() -> None:
    row = next(
        row
        for row in WHOLE
        if 1 in row["decoded"]["purposes"]
        and {1, 2, 3} & ids(row["decoded"]["vendors"])
        and not {1, 2, 3, 4, 5} <= ids(row["decoded"]["vendors"])
        and row["decoded"]["disclosed"] is None
    )
    agreed = ids(row["decoded"]["vendors"])
    for vendor in range(1, 6):
        tcf = {"purposes": {"personalisation": [1]}, "vendor": vendor}
        found = kept({"tcf": row["text"]}, shop(consent={"tcf": tcf}))
        assert (found["granted"] == ["personalisation"]) is (vendor in agreed)


def test_legitimate_interest_counts_where_it_is_the_basis_and_asked_for() -> None:
    text = saying(purposes=[1, 7, 9], interests=[7])
    without = next(
        row["text"]
        for row in WHOLE
        if 7 in row["decoded"]["interests"] and 7 not in row["decoded"]["purposes"]
    )
    mapping = {"measurement": [7], "ads": [7]}
    for honoured in (False, True):
        project = shop(consent={"tcf": {"purposes": mapping, "legitimate_interest": honoured}})
        assert kept({"tcf": text}, project)["granted"] == ["ads", "measurement"]
        expected = ["measurement"] if honoured else []
        assert kept({"tcf": without}, project)["granted"] == expected


@pytest.mark.parametrize(
    "tcf", [None, "", "BOEFEAyOEFEAyAHABDENAI4AAAB9vABAASA", 3, [], {}, "C" * 10**5]
)
def test_a_broken_string_costs_no_event(tcf: Any) -> None:
    assert kept({"tcf": tcf}) == {"source": "tcf"}


# ----------------------------------------------------------------------------------- consent mode


@pytest.mark.parametrize(
    ("gcm", "expected"),
    [
        (
            {"ad_storage": "granted", "ad_user_data": "granted", "analytics_storage": "denied"},
            {"granted": ["ads"], "source": "gcm", "version": "consent mode v2"},
        ),
        (
            {"ad_storage": "granted", "ad_user_data": "denied"},
            {"granted": [], "source": "gcm", "version": "consent mode v2"},
        ),
        (
            {"ad_storage": "granted", "one_day_new": {"granted": True}},
            {"granted": [], "source": "gcm", "version": "consent mode v1"},
        ),
        (
            {"ad_storage": None, "ad_user_data": "denied"},
            {"granted": [], "source": "gcm", "version": "consent mode v2"},
        ),
        ({"ad_storage": "yes"}, {"source": "gcm"}),
        ({"ad_storage": ["granted"]}, {"source": "gcm"}),
        ({"ad_storage": None}, {"source": "gcm"}),
        ({"one_day_new": "granted"}, {"source": "gcm"}),
        ({}, {"source": "gcm"}),
        ("G111", {"source": "gcm"}),
        (None, {"source": "gcm"}),
    ],
)
def test_consent_mode(gcm: Any, expected: Any) -> None:
    assert kept({"gcm": gcm}) == expected
    at = "2026-02-01T00:00:00Z"
    if "granted" in expected:
        assert kept({"gcm": gcm, "at": at}) == {**expected, "at": at}


# ------------------------------------------------------------------------------------- the mapping


def test_well_known_names_need_no_mapping() -> None:
    project = shop()
    yes = dict.fromkeys(GCM_FIELDS, "granted")
    # accounting has no well-known name: it rests on no consent.
    assert kept({"gcm": yes}, project)["granted"] == ["ads", "measurement", "personalisation"]
    text = saying(purposes=[1, 7, 9])
    assert kept({"tcf": text}, project)["granted"] == []


def check(consent: Any) -> str:
    with pytest.raises(DefinitionError) as caught:
        shop(consent=consent)
    return str(caught.value)


@pytest.mark.parametrize(
    ("consent", "words"),
    [
        ({"tcf": {"purposes": {"adds": [1]}}}, ("'adds'", "did you mean 'ads'?")),
        ({"gcm": {"purposes": {"adds": ["ad_storage"]}}}, ("'adds'", "did you mean 'ads'?")),
        ({"tcf": {"purposes": {"ads": [1, 12]}}}, ("ads[1] is 12", "1 to 11")),
        ({"tcf": {"purposes": {"ads": [0]}}}, ("ads[0] is 0", "1 to 11")),
        ({"tcf": {"purposes": {"ads": []}}}, ("nothing is asked for 'ads'", "or leave")),
        ({"gcm": {"purposes": {"ads": []}}}, ("nothing is asked for 'ads'", "or leave")),
        ({"gcm": {"purposes": {"ads": ["ad_storge"]}}}, ("did you mean 'ad_storage'?",)),
        ({"tcf": {"vendor": 0}}, ("consent.tcf.vendor is 0", "vendor list")),
        ({"tfc": {}}, ("'tfc'", "did you mean 'tcf'?")),
    ],
)
def test_check_names_what_is_wrong(consent: Any, words: tuple[str, ...]) -> None:
    said = check(consent)
    assert all(word in said for word in words), said


# --------------------------------------------------------------------------------------- for good

TEXTS = st.sampled_from([row["text"] for row in WHOLE])
WORDS = st.sampled_from(["granted", "denied", "yes", "", None, 3, []])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=6,
)
CONSENTS = st.one_of(
    st.fixed_dictionaries({"tcf": TEXTS | ANYTHING}),
    st.fixed_dictionaries({"gcm": ANYTHING | st.dictionaries(st.sampled_from(GCM_FIELDS), WORDS)}),
    st.fixed_dictionaries(
        {
            "granted": st.lists(st.sampled_from(["ads", "measurement", "cookies"]), max_size=4),
            "source": st.just("api"),
        },
        optional={"at": st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)).map(
            lambda at: at.replace(tzinfo=UTC).isoformat()
        )},
    ),
)  # fmt: skip


@given(CONSENTS)
@settings(max_examples=300, deadline=None)
def test_every_answer_is_kept_and_resolved_for_good(consent: Any) -> None:
    found = kept(consent)
    assert found["source"] in ("tcf", "gcm", "api")
    assert set(found) <= {"granted", "source", "version", "at"}
    if "granted" in found:
        assert found["granted"] == sorted(
            {*found["granted"]} & {"ads", "measurement", "personalisation"}
        )
    # What was quarantined after it was admitted comes in again.
    assert kept(found) == found


def test_one_project_keeps_its_own_mapping() -> None:
    text = saying(purposes=[1, 7, 9])
    other = Resolver(shop(consent={"tcf": {"purposes": {"ads": [9]}}}))
    assert other(Consent(tcf=text), NOW).granted == ["ads"]
    assert schema_of(SHOP).resolve_consent(Consent(tcf=text), NOW).granted == [
        "measurement",
        "personalisation",
    ]

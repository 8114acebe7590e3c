from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftwerk.errors import DefinitionError
from liftwerk.events.identifiers import IDENTIFIERS, Namespace, normalise
from liftwerk.events.spelling import LATEST, Rule
from tests.events import shop as shops

DIGEST = "9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08"


@pytest.mark.parametrize(
    ("rule", "value", "spelled"),
    [
        ("none", " A ", " A "),
        ("trim", " A\t", "A"),
        ("lower", " ÄB ", "äb"),
        ("lower", "e\u0301", "\u00e9"),
        ("email", " Ada@Example.com ", "ada@example.com"),
        ("phone", " +49 (0)30 / 12 34 56", "+4930123456"),
        ("phone", "tel:+1-202-555-0123", "+12025550123"),
        ("country", " de", "DE"),
        ("currency", "eur ", "EUR"),
        ("sku", " ab 12-x\u00a0y", "AB12-XY"),
        ("sha256", f" {DIGEST}\n", DIGEST.lower()),
    ],
)
def test_one_spelling(rule: Rule, value: str, spelled: str) -> None:
    assert normalise(rule, value) == spelled
    assert normalise(rule, spelled) == spelled
    assert normalise(LATEST[rule], value) == spelled


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        ("none", ""),
        ("trim", " \n"),
        ("email", "ada"),
        ("email", "@x"),
        ("email", "a b@x"),
        ("phone", ""),
        ("phone", "030 123456"),  # of which country?
        ("phone", "+49 1"),
        ("phone", "call me"),
        ("country", "UK"),
        ("country", "DEU"),
        ("currency", "euro"),
        ("sku", " "),
        ("sha256", DIGEST[1:]),
        ("sha256", "ada@example.com"),
    ],
)
def test_no_spelling(rule: Rule, value: str) -> None:
    with pytest.raises(ValueError, match="an identifier is") as caught:
        normalise(rule, value)
    assert not value.strip() or value not in str(caught.value)


@given(st.sampled_from(sorted(LATEST)), st.text(max_size=12))
def test_a_spelling_is_its_own(rule: Rule, value: str) -> None:
    try:
        spelled = normalise(rule, value, "DE")
    except ValueError:
        return
    assert normalise(rule, spelled, "DE") == spelled


def test_a_number_without_its_country_is_read_as_of_the_region() -> None:
    assert Namespace("phone", region="DE").spell("030 123456") == "+4930123456"
    assert Namespace("phone", region="DE").spell("+43 1 58858") == "+43158858"


def test_the_rules_version_is_part_of_the_definition() -> None:
    bare, pinned, other = (
        shops.shop(identifiers={"email": {"normalise": rule}})
        for rule in ("email", "email@1", "lower")
    )
    assert bare.get(IDENTIFIERS)["email"].normalise == "email@1"
    assert bare.hash == pinned.hash != other.hash


@pytest.mark.parametrize(
    ("sections", "line"),
    [
        ({"client_ip": {}}, "would fingerprint people by ip"),
        ({"canvas_hash": {}}, "would fingerprint people by canvas"),
        ({"useragent": {}}, "would fingerprint people by user_agent"),
        ({"installed_fonts": {}}, "would fingerprint people by fonts"),
        ({"phone": {"normalise": "phone", "region": "Germany"}}, "identifiers.phone.region"),
        ({"phone": {"normalise": "trim", "region": "DE"}}, "a region is for"),
        ({"email": {"normalise": "email@2"}}, "email@1"),
    ],
)
def test_what_is_no_namespace(sections: dict[str, Any], line: str) -> None:
    with pytest.raises(DefinitionError, match=line):
        shops.shop(identifiers=sections)


@pytest.mark.parametrize(
    ("identity", "line"),
    [
        ({"at_most": 0}, "identity.at_most"),
        ({"shared": ["test@shop.example"]}, "namespace:value"),
        ({"shared": ["mail:test@shop.example"]}, "did you mean 'email'"),
        ({"shared": ["email:test"]}, "not an e-mail address"),
        ({"linked_by": ["anybody"]}, "server"),
    ],
)
def test_what_is_no_rule_for_links(identity: dict[str, Any], line: str) -> None:
    with pytest.raises(DefinitionError, match=line):
        shops.shop(identity=identity)


def test_a_property_may_not_hide_the_visitor() -> None:
    events = {
        "seen": {"version": 1, "description": "", "properties": {"visitor": {"type": "string"}}}
    }
    shops.shop(events=events)
    with pytest.raises(DefinitionError, match="taken by the anonymous unit"):
        shops.shop(events=events, identifiers={"device": {"anonymous": True}})

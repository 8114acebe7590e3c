"""Each kind of destination keeps its vendor's documented rules, held to by a server that does."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, get_args, get_type_hints

import pytest
from msgspec import structs

from liftwerk.connectors.destinations.client import Client
from liftwerk.connectors.destinations.definition import DESTINATIONS, Destination
from liftwerk.connectors.destinations.exchange import Answer, Message, Request, Response, judge
from liftwerk.connectors.destinations.kinds import KINDS
from liftwerk.connectors.destinations.message import message_of
from liftwerk.definitions import build
from liftwerk.errors import DefinitionError
from liftwerk.events.definition import known_events
from liftwerk.sections import SECTIONS
from tests.connectors import vendors
from tests.connectors.vendors import SECRET, Vendor, serving
from tests.events import shop as shops

pytestmark = pytest.mark.slow

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
EMAIL, DEVICE = b"e" * 16, b"d" * 16
VALUES = {EMAIL: "ada@example.com", DEVICE: "GA1.2.3"}
ADA_HASH = hashlib.sha256(b"ada@example.com").hexdigest()
ORDERED: dict[str, Any] = {
    "event": "order_completed",
    "name": "purchase",
    "properties": {
        "transaction_id": "order_id",
        "value": "revenue",
        "items": {"property": "items", "fields": {"item_id": "sku", "price": "price"}},
    },
}
GA4: dict[str, Any] = {
    "kind": "ga4",
    "purpose": "measurement",
    "secret_env": "GA4_SECRET",
    "measurement_id": "G-1",
    "events": ["page_viewed", ORDERED],
    "identifiers": {"client_id": "device", "user_id": "email", "sha256_email_address": "email"},
}
META: dict[str, Any] = {
    "kind": "meta",
    "purpose": "ads",
    "secret_env": "META_TOKEN",
    "dataset_id": "123",
    "action_source": "system_generated",
    "events": [
        {
            "event": "order_completed",
            "name": "Purchase",
            "properties": {"value": "revenue", "order_id": "order_id"},
        },
    ],
    "identifiers": {"em": "email", "fbp": "device"},
}
HOOK: dict[str, Any] = {
    "kind": "webhook",
    "purpose": "accounting",
    "secret_env": "HOOK_SECRET",
    "url": "https://erp.shop.example/in",
    "events": ["order_completed"],
    "identifiers": {"email": {"namespace": "email", "hash": True}, "device": "device"},
}


def project(**changes: Any) -> Any:
    return shops.shop(destinations={"there": changes})


def destination(values: dict[str, Any], **changes: Any) -> Destination:
    return project(**{**values, **changes}).get(DESTINATIONS)["there"]


def order(number: int = 1, **changes: Any) -> dict[str, Any]:
    row = {
        "id": number.to_bytes(16, "big"),
        "offset": number,
        "time": NOW - timedelta(hours=1),
        "weight": 1.0,
        "leaf_email": EMAIL,
        "leaf_device": DEVICE,
        "order_id": f"o{number}",
        "revenue": 1050,
        "discount": None,
        "items": [{"sku": "a", "quantity": 2, "price": 500}],
    }
    return {**row, **changes}


def message(there: Destination, row: dict[str, Any], name: str = "order_completed") -> Message:
    definition = known_events(project(**HOOK))[name]
    return message_of(there, definition, "EUR", name, row, b"lane", VALUES, {})


WEBSITE: dict[str, Any] = {
    "action_source": "website",
    "delivery": ["client_user_agent", "client_ip_address", "fbc", "event_source_url"],
}


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[Vendor]:
    rules = {
        "webhook": vendors.webhook,
        "ga4": vendors.ga4(lambda: NOW),
        "meta": vendors.meta(lambda: NOW),
    }
    with serving(Vendor(rules[request.param])) as vendor:
        yield vendor


def ask(vendor: Vendor, there: Destination, *messages: Message, secret: str = SECRET) -> Answer:
    kind = KINDS[there.kind]
    client = Client(vendor.url, 5)
    try:
        request = kind.request(there, secret, messages, NOW)
        return client.send(request, kind.judge, NOW)
    finally:
        client.close()


def test_every_kind_is_in_the_list() -> None:
    assert set(get_args(get_type_hints(Destination)["kind"])) == set(KINDS)


# ------------------------------------------------------------------------------------ webhook


@pytest.mark.parametrize("server", ["webhook"], indirect=True)
def test_a_webhook_is_signed_and_names_our_id(server: Vendor) -> None:
    there = destination(HOOK)
    assert ask(server, there, message(there, order())) == Answer("delivered")
    (asked,) = server.took
    assert asked.json == {
        "id": "00000000-0000-0000-0000-000000000001",
        "name": "order_completed",
        "version": 2,
        "time": "2026-03-01T08:30:00Z",
        "identifiers": {"email": ADA_HASH, "device": "GA1.2.3"},
        "properties": {
            "order_id": "o1",
            "revenue": "10.50",
            "items": [{"sku": "a", "quantity": 2, "price": "5.00"}],
        },
        "currency": "EUR",
        "weight": 1.0,
    }
    wrong = ask(server, there, message(there, order()), secret="guessed")
    assert wrong == Answer("again", "HTTP 401 Unauthorized: check url and secret")


def test_what_is_personal_is_sent_only_when_it_is_named() -> None:
    events = {
        "rated": {
            "version": 1,
            "description": "A rating",
            "properties": {
                "stars": {"type": "integer"},
                "nick": {"type": "string", "privacy": "personal"},
            },
        }
    }
    row = {
        "id": b"1" * 16, "offset": 1, "time": NOW, "weight": 2.0, "stars": 4, "nick": "Ada"
    }  # fmt: skip
    for sent, expected in (
        ("rated", {"stars": 4}),
        ({"event": "rated", "properties": {"who": "nick"}}, {"who": "Ada"}),
    ):
        values = {**HOOK, "events": [sent], "sample": "25%"}
        shop = shops.shop(events=events, destinations={"there": values})
        there = shop.get(DESTINATIONS)["there"]
        made = message_of(there, known_events(shop)["rated"], "EUR", "rated", row, b"l", {}, {})
        assert made.properties == expected
        assert made.weight == 8.0  # one of two that stand for four each
        assert made.currency is None


# ------------------------------------------------------------------------------------ ga4


@pytest.mark.parametrize("server", ["ga4"], indirect=True)
def test_google_analytics_gets_what_it_documents(server: Vendor) -> None:
    there = destination(GA4)
    purchase = message(there, order())
    view = message(there, order(2, weight=4.0), "page_viewed")
    assert ask(server, there, purchase, view).outcome == "delivered"
    (asked,) = server.took
    assert asked.json["client_id"] == "GA1.2.3"
    assert asked.json["user_id"] == "ada@example.com"
    assert asked.json["user_data"] == {"sha256_email_address": [ADA_HASH]}
    first, second = asked.json["events"]
    assert first == {
        "name": "purchase",
        "timestamp_micros": 1772353800000000,
        "params": {
            "transaction_id": "o1",
            "value": 10.5,
            "currency": "EUR",
            "items": [{"item_id": "a", "price": 5.0}],
            "event_id": purchase.id,
        },
    }
    assert second["params"] == {"event_id": view.id, "weight": 4.0}


@pytest.mark.parametrize("server", ["ga4"], indirect=True)
def test_without_a_browser_a_stable_client_stands_for_the_user(server: Vendor) -> None:
    there = destination(GA4)
    for number in (1, 2):
        assert ask(server, there, message(there, order(number, leaf_device=None))).reason == ""
    first, second = (asked.json["client_id"] for asked in server.took)
    assert first == second
    assert first.replace(".", "").isdigit()


def test_google_analytics_keeps_back_what_it_would_throw_away() -> None:
    there = destination(GA4)
    kind = KINDS["ga4"]

    def unfit(**changes: Any) -> str:
        return kind.unfit(there, message(there, order(**changes)), NOW)

    assert unfit() == ""
    assert unfit(time=NOW - timedelta(hours=72)) == ""
    old = NOW - timedelta(hours=72, microseconds=1)
    assert unfit(time=old) == "too old for the vendor (72 hours)"
    assert unfit(leaf_email=None, leaf_device=None) == "no client_id or user_id"
    assert unfit(order_id=None) == "no transaction_id"


@pytest.mark.parametrize("server", ["ga4"], indirect=True)
def test_long_values_are_cut_as_the_vendor_would(server: Vendor) -> None:
    there = destination(GA4)
    assert ask(server, there, message(there, order(order_id="o" * 300))).outcome == "delivered"
    assert server.took[0].json["events"][0]["params"]["transaction_id"] == "o" * 100


# ------------------------------------------------------------------------------------ meta


@pytest.mark.parametrize("server", ["meta"], indirect=True)
def test_meta_gets_what_it_documents(server: Vendor) -> None:
    there = destination(META)
    made = message(there, order())
    assert ask(server, there, made, message(there, order(2))).outcome == "delivered"
    (asked,) = server.took
    assert SECRET not in asked.path + str(asked.query)
    assert asked.path == "/123/events"
    assert asked.json["data"][0] == {
        "event_name": "Purchase",
        "event_time": 1772353800,
        "event_id": made.id,
        "action_source": "system_generated",
        "user_data": {"em": [ADA_HASH], "fbp": "GA1.2.3"},
        "custom_data": {"value": 10.5, "currency": "EUR", "order_id": "o1"},
    }


def test_meta_keeps_back_what_would_spoil_the_whole_request() -> None:
    there, kind = destination(META), KINDS["meta"]

    def unfit(place: Destination, **changes: Any) -> str:
        return kind.unfit(place, message(place, order(**changes)), NOW)

    assert unfit(there, time=NOW - timedelta(days=7)) == ""
    assert unfit(there, time=NOW - timedelta(days=8)) == "too old for the vendor (7 days)"
    store = destination(META, action_source="physical_store")
    assert unfit(store, time=NOW - timedelta(days=62)) == ""
    assert unfit(store, time=NOW - timedelta(days=63)) == "too old for the vendor (62 days)"
    nobody = unfit(there, leaf_email=None, leaf_device=None)
    assert nobody == "no identifier that the vendor could match"
    assert unfit(there, revenue=None) == "a purchase without value or currency"


@pytest.mark.parametrize("server", ["meta"], indirect=True)
def test_meta_gets_of_a_website_what_it_demands(server: Vendor) -> None:
    there = destination(META, **WEBSITE)
    brought = {
        "client_user_agent": "Mozilla/5.0",
        "client_ip_address": "2001:db8::1",
        "fbc": "fb.1.2.abc",
        "event_source_url": "https://shop.example/thanks",
    }
    made = structs.replace(message(there, order()), delivery=brought)
    assert KINDS["meta"].unfit(there, made, NOW) == ""
    assert ask(server, there, made).outcome == "delivered"
    (told,) = server.took[0].json["data"]
    assert told["event_source_url"] == brought.pop("event_source_url")
    assert told["action_source"] == "website"
    assert told["user_data"] == {"em": [ADA_HASH], "fbp": "GA1.2.3", **brought}


@pytest.mark.parametrize("server", ["meta"], indirect=True)
@pytest.mark.parametrize("field", ["client_user_agent", "event_source_url"])
def test_a_website_event_that_lacks_a_field_is_kept_back(server: Vendor, field: str) -> None:
    there = destination(META, **WEBSITE)
    brought = {"client_user_agent": "Mozilla/5.0", "event_source_url": "https://shop.example/"}
    del brought[field]
    made = structs.replace(message(there, order()), delivery=brought)
    said = f"no {field}: it did not come with the event, or is kept no longer"
    assert KINDS["meta"].unfit(there, made, NOW) == said
    # What would have come of it:
    assert ask(server, there, made).outcome == "refused"


@pytest.mark.parametrize(
    ("brought", "can"),
    [
        ({"fbc": "fb.1.2.abc"}, True),
        ({"client_ip_address": "192.0.2.1"}, False),
        ({"client_user_agent": "Mozilla/5.0"}, False),
        ({"client_user_agent": "Mozilla/5.0", "client_ip_address": "192.0.2.1"}, True),
    ],
)
def test_meta_may_match_by_what_came_for_the_delivery(brought: dict[str, str], can: bool) -> None:
    there = destination(META, delivery=["client_user_agent", "client_ip_address", "fbc"])
    nobody = message(there, order(leaf_email=None, leaf_device=None))
    said = KINDS["meta"].unfit(there, structs.replace(nobody, delivery=brought), NOW)
    assert said == ("" if can else "no identifier that the vendor could match")


@pytest.mark.parametrize("server", ["meta"], indirect=True)
def test_metas_errors_are_told_by_code_and_never_by_their_free_text(server: Vendor) -> None:
    there = destination(META)
    old = message(there, order(time=NOW - timedelta(days=9)))
    reason = "HTTP 400, code 100/2804003: Event Timestamp Too Old"
    assert ask(server, there, old) == Answer("refused", reason)
    expired = ask(server, there, message(there, order()), secret="of last year")
    title = "HTTP 400, code 190/463: Session Expired: check the access token"
    assert expired == Answer("again", title)


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (400, vendors.meta_error(2, 0, "Service Temporarily Unavailable", True), "again"),
        (400, vendors.meta_error(80004, 2446079, "Too Many Calls"), "again"),
        (403, vendors.meta_error(200, 0, "Permissions Error"), "again"),
        (500, vendors.meta_error(1, 99, "Unknown Error"), "again"),
        (400, vendors.meta_error(100, 2804010, "Missing Currency"), "refused"),
        (400, b"<html>", "refused"),
        (400, b'{"error": "no"}', "refused"),
        (200, b"", "delivered"),
    ],
)
def test_metas_codes_say_whether_to_try_again(status: int, body: bytes, outcome: str) -> None:
    answer = KINDS["meta"].judge(Response(status, {}, body), NOW)
    assert answer.outcome == outcome
    assert "ada@" not in answer.reason


def test_a_title_that_quotes_a_value_is_left_out() -> None:
    body = vendors.meta_error(100, 5, "ada@example.com is not known")
    answer = KINDS["meta"].judge(Response(400, {}, body), NOW)
    assert answer.reason == "HTTP 400, code 100/5"


# --------------------------------------------------------------------------------- the connection


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, "delivered"), (204, "delivered"), (301, "again"), (400, "refused"), (401, "again"),
        (404, "refused"), (408, "again"), (410, "refused"), (422, "refused"), (429, "again"),
        (500, "again"), (502, "again"), (503, "again"), (599, "again"),
    ],
)  # fmt: skip
def test_what_a_status_means(status: int, outcome: str) -> None:
    assert judge(Response(status, {}, b""), NOW).outcome == outcome


def test_a_vendor_that_asks_for_years_is_asked_again_tomorrow() -> None:
    assert judge(Response(429, {"retry-after": "999999999"}, b""), NOW).wait == 86_400.0
    assert judge(Response(429, {"retry-after": "-5"}, b""), NOW).wait == 0.0


@pytest.mark.parametrize("server", ["webhook"], indirect=True)
def test_a_connection_is_kept_and_replaced_when_the_other_side_let_go(server: Vendor) -> None:
    there = destination(HOOK)
    request = KINDS["webhook"].request(there, SECRET, [message(there, order())], NOW)
    client = Client(server.url, 5)
    server.answers.append((204, {"Connection": "close"}, b""))
    for _ in range(3):
        assert client.send(request, judge, NOW).outcome == "delivered"
    client._connection.sock.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]
    assert client.send(request, judge, NOW).outcome == "delivered"
    client.close()
    assert len(server.took) == 3


def test_a_silent_or_absent_server_is_an_answer_too() -> None:
    request = Request("/x?api_secret=hidden", {}, b"{}")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        client = Client(f"http://127.0.0.1:{port}", 0.05)
        assert client.send(request, judge, NOW) == Answer("again", "no answer in time")
    absent = Client(f"http://127.0.0.1:{port}", 0.5).send(request, judge, NOW)
    assert absent == Answer("again", "no connection (Connection refused)")


# --------------------------------------------------------------------------------- definitions

WRONG: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    (HOOK, {"purpose": "adds"}, "did you mean 'ads'?"),
    (HOOK, {"events": ["order_complete"]}, "did you mean 'order_completed'?"),
    (HOOK, {"events": []}, "name the events"),
    (HOOK, {"events": ["page_viewed", "page_viewed"]}, "told an event once"),
    (HOOK, {"url": None}, "destinations.there.url is missing"),
    (HOOK, {"url": "http://erp.shop.example"}, "an https address"),
    (HOOK, {"sample": "0%"}, "above 0"),
    (HOOK, {"timeout": "0s"}, "above 0"),
    (HOOK, {"secret_env": ""}, "name a variable"),
    (HOOK, {"identifiers": {"mail": "mail"}}, "did you mean 'email'?"),
    (HOOK, {"measurement_id": "G-1"}, "measurement_id is not for webhook"),
    (HOOK, {"events": [{"event": "rated", "properties": {"s": "star"}}]}, "did you mean 'stars'?"),
    (GA4, {"measurement_id": None}, "measurement_id is missing"),
    (GA4, {"identifiers": {"sha256_email_address": "email"}}, "has no client_id"),
    (GA4, {"identifiers": {"client": "device"}}, "did you mean 'client_id'?"),
    (GA4, {"events": [{"event": "page_viewed", "name": "session_start"}]}, "Google's own names"),
    (GA4, {"events": [{"event": "page_viewed", "name": "p" * 41}]}, "Google's own names"),
    (GA4, {"events": [{"event": "page_viewed", "name": "ga_view"}]}, "Google's own names"),
    (GA4, {"events": [{"event": "order_completed", "name": "purchase"}]}, "no transaction_id"),
    (
        GA4,
        {"events": [{"event": "rated", "properties": {"google_x": "stars"}}]},
        "the parameter name 'google_x' cannot be used",
    ),
    (
        GA4,
        {"events": [{"event": "rated", "properties": {"words": "tags"}}]},
        'only "items" may be a list',
    ),
    (
        GA4,
        {"events": [{"event": "rated", "properties": {f"p{n}": "stars" for n in range(23)}}]},
        "are 23 parameters",
    ),
    (META, {"dataset_id": "abc"}, "dataset_id is missing or no number"),
    (META, {"action_source": None}, "action_source is missing"),
    (META, {"action_source": "till"}, "one of system_generated"),
    (META, {"action_source": "website"}, "delivery lacks client_user_agent"),
    (
        META,
        {"action_source": "website", "delivery": ["client_user_agent"]},
        "delivery lacks event_source_url",
    ),
    (META, {"delivery": ["client_user_agnt"]}, "did you mean 'client_user_agent'"),
    (META, {"delivery": ["fbc", "fbc"]}, "name a field once"),
    (META, {"delivery": ["fbp"]}, "one of the identifiers already"),
    (META, {"delivery": ["fbc"], "delivery_for": "8d"}, "above 0, up to 7d"),
    (META, {"delivery": ["fbc"], "delivery_for": "0s"}, "above 0, up to 7d"),
    (HOOK, {"delivery": ["fbc"]}, "webhook takes no delivery fields"),
    (GA4, {"delivery": ["fbc"]}, "ga4 takes no delivery fields"),
    (META, {"identifiers": {}}, "identifiers is missing"),
    (META, {"identifiers": {"client_ip_address": "device"}}, "unknown key 'client_ip_address'"),
    (META, {"events": [{"event": "order_completed", "name": "Purchase"}]}, "has no value"),
    (META, {"events": [{"event": "page_viewed", "name": "View!"}]}, "letters, digits"),
]


@pytest.mark.parametrize(("sound", "change", "said"), WRONG)
def test_a_definition_that_the_vendor_would_refuse_is_refused_here(
    sound: dict[str, Any], change: dict[str, Any], said: str
) -> None:
    values = {key: item for key, item in {**sound, **change}.items() if item is not None}
    plain = {**shops.SHOP, "destinations": {"there": values}}
    with pytest.raises(DefinitionError) as caught:
        build(plain, SECTIONS)
    assert said in str(caught.value)


def test_sound_definitions_pass() -> None:
    for values in (HOOK, GA4, META):
        assert destination(values).kind == values["kind"]
    assert destination(HOOK, url="http://localhost:8080/in").base_url == "http://localhost:8080/in"
    assert destination(META).base_url == "https://graph.facebook.com"


def test_money_stays_exact() -> None:
    made = message(destination(HOOK), order(revenue=10**15 + 1))
    assert made.properties["revenue"] == Decimal("10000000000000.01")

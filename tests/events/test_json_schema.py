"""The JSON Schema of an event takes what admission takes, and types follow from it."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from liftwerk.definitions import build
from liftwerk.errors import UnknownName
from liftwerk.events.definition import RESERVED
from liftwerk.events.json_schema import event_schema
from liftwerk.events.schema import schema_of
from liftwerk.events.types import event_types
from liftwerk.sections import SECTIONS
from tests.conftest import need_package
from tests.events.json_schema_words import is_valid
from tests.events.shop import SHOP, event, granted, order

VALUES: dict[str, Any] = copy.deepcopy(SHOP)
VALUES["events"]["order_completed"]["properties"]["channel"] = {
    "type": "string",
    "choices": ["web", 'sh"op'],
    "required": False,
    "description": 'Where it was "bought" \\ */',
    "privacy": "pseudonymous",
}
VALUES["events"]["order_completed"]["properties"]["mass"] = {
    "type": "number",
    "unit": "kg",
    "required": False,
}
VALUES["events"]["order_completed"]["earlier"] = [
    {
        "version": 1,
        "properties": {
            "order_id": {"type": "string", "privacy": "pseudonymous"},
            "total": {"type": "money", "minimum": "0"},
        },
        "read": {"revenue": "total"},
    }
]
VALUES["events"]["a_1"] = {"version": 1, "description": "One"}
VALUES["events"]["a1"] = {"version": 1, "description": "Another"}
VALUES["events"]["event"] = {"version": 1, "description": "Called so"}
SHOPS = build(VALUES, SECTIONS)

# ------------------------------------------------------- what is taken is valid, and nothing else

INSTANTS = st.sampled_from(
    [
        "2026-02-01T12:00:00Z",
        "2026-02-01t12:00:00.5+01:00",
        "2026-02-01 12:00:00z",
        "2026-02-01T12:00:00",
        "2026-02-01T12:00Z",
        "2026-13-01T12:00:00Z",
        "2026-02-01T24:00:00Z",
        "1969-06-01T00:00:00Z",
        "yesterday",
        "",
    ]
)
IDS = st.sampled_from(
    [
        "00000000-0000-0000-0000-00000000000A",
        "0000000000000000000000000000000a",
        "{00000000-0000-0000-0000-00000000000a}",
        "00000000-0000-0000-0000-00000000000",
        "x",
    ]
)
MONEY = st.sampled_from(
    [
        "1",
        "0",
        "0.5",
        "10.00",
        "1.230",
        "-1",
        "-0.50",
        "1.234",
        "1e3",
        "1,5",
        "1\n",
        "",
        ".5",
        "007",
    ]
)
ANYTHING = st.sampled_from([None, True, 0, 1, -3, 2.5, 10**20, "", "x", [], {}, [1], {"a": 1}])
TEXTS = st.sampled_from(["a", "", "x" * 1000, "ä"])
ITEM = st.fixed_dictionaries(
    {"sku": TEXTS, "quantity": st.integers(-3, 3) | ANYTHING, "price": MONEY | ANYTHING},
    optional={"more": ANYTHING},
)
CONSENT = st.fixed_dictionaries(
    {},
    optional={
        "granted": st.none() | st.lists(TEXTS, max_size=2),
        "source": st.sampled_from([None, "api", "tcf", "fax"]),
        "version": st.none() | TEXTS,
        "at": INSTANTS,
        "gcm": st.just({"ad_storage": "granted"}),
        "tcf": st.just("CP"),
    },
)
ENVELOPE = {
    "session": TEXTS | ANYTHING,
    "consent": CONSENT | ANYTHING,
    "context": st.just({"page": "/"}) | ANYTHING,
    "decision": IDS | ANYTHING,
    "weight": st.sampled_from([0, 1, 0.5, 1e9, 1e10]) | ANYTHING,
    "synthetic": ANYTHING,
    "sent_at": INSTANTS | ANYTHING,
    "known_at": INSTANTS,
    "source": TEXTS,
    "received": INSTANTS,
    "more": ANYTHING,
}
REST = {
    "order_completed": st.fixed_dictionaries(
        {},
        optional={
            "order_id": TEXTS | ANYTHING,
            "revenue": MONEY | ANYTHING,
            "total": MONEY,
            "items": st.lists(ITEM, max_size=2) | ANYTHING,
            "channel": st.sampled_from(["web", "fax"]) | ANYTHING,
            "mass": ANYTHING,
        },
    ),
    "rated": st.fixed_dictionaries(
        {},
        optional={
            "stars": st.integers(0, 6) | ANYTHING,
            "score": st.floats(-1, 2) | ANYTHING,
            "mood": st.sampled_from(["good", "so"]) | ANYTHING,
            "again": ANYTHING,
            "bought": INSTANTS | ANYTHING,
            "tags": st.lists(TEXTS, max_size=2) | ANYTHING,
            "from": TEXTS,
        },
    ),
}
SOUND = {
    ("order_completed", 1): {"order_id": "o", "total": "1.00"},
    ("order_completed", 2): {"order_id": "o", "revenue": "1.00"},
    ("rated", 1): {"stars": 3},
}

DOCUMENTS = [event_schema(SHOPS, name, version) for name, version in SOUND]


@st.composite
def told(draw: st.DrawFn) -> dict[str, Any]:
    """Draw an event that is nearly sound: one or two of its fields may be anything."""
    name, version = draw(st.sampled_from(sorted(SOUND)))
    made = event(name, 1, version=version, properties=dict(SOUND[name, version]))
    if draw(st.booleans()):
        made["properties"].update(draw(REST[name]))
    for key in draw(st.sets(st.sampled_from(sorted(ENVELOPE)), max_size=2)):
        made[key] = draw(ENVELOPE[key])
    match draw(st.sampled_from(["", "id", "time", "version", "identifiers", "drop", "properties"])):
        case "id":
            made["id"] = draw(IDS | ANYTHING)
        case "time":
            made["time"] = draw(INSTANTS | ANYTHING)
        case "version":
            made["version"] = draw(ANYTHING)
        case "identifiers":
            namespaces = st.sampled_from(["email", "device", "shoe"])
            values = st.sampled_from(["a@b.c", "d", None, 3])
            made["identifiers"] = draw(st.dictionaries(namespaces, values) | ANYTHING)
        case "drop":
            del made[draw(st.sampled_from(sorted(made)))]
        case "properties":
            made["properties"] = draw(ANYTHING)
    return made


# On a busy machine drawing takes its time; that is no fault of the schema.
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(told())
def test_an_event_is_valid_where_it_is_taken(made: dict[str, Any]) -> None:
    valid = any(is_valid(document, made) for document in DOCUMENTS)
    try:
        found = schema_of(SHOPS).decoder.decode(msgspec.json.encode(made))
    except msgspec.ValidationError:
        assert not valid, made
    else:
        assert valid == (found.identifiers is not None), made


def test_every_known_event_has_a_schema() -> None:
    for name in (*RESERVED, *VALUES["events"]):
        document = event_schema(SHOPS, name)
        assert document["properties"]["name"] == {"const": name}
        assert not is_valid(document, {})


def test_a_schema_says_what_the_declaration_says() -> None:
    document = event_schema(SHOPS, "order_completed")
    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert (document["title"], document["description"]) == ("order_completed 2", "A paid order")
    properties = document["$defs"]["order_completed_properties"]["properties"]
    assert properties["revenue"]["pattern"] == r"^[0-9]{1,16}(\.[0-9]{1,2}0*)?$"
    assert properties["revenue"]["description"] == 'an amount in EUR such as "29.99", at least 0'
    assert properties["order_id"]["x-privacy"] == "pseudonymous"
    assert properties["mass"]["x-unit"] == "kg"
    assert document["properties"]["received"]["readOnly"] is True
    older = event_schema(SHOPS, "order_completed", 1)
    assert "total" in older["$defs"]["order_completed_properties"]["properties"]


def test_what_is_not_declared_has_no_schema() -> None:
    with pytest.raises(UnknownName, match="did you mean 'rated'"):
        event_schema(SHOPS, "ratd")
    with pytest.raises(UnknownName, match="known: 1, 2"):
        event_schema(SHOPS, "order_completed", 3)


# ------------------------------------------------------------------------------------------ types

USE = """
from tracking_plan import Event, Rated, RatedProperties, OrderCompleted, OrderCompletedV1

def told(event: Event) -> str:
    if event["name"] == "rated":
        return str(event["properties"]["stars"] + 1)
    if event["name"] == "order_completed" and event["version"] == 1:
        return event["properties"]["total"]
    return event["id"]

stars: RatedProperties = {"stars": 3, "from": "x"}
good: Rated = {
    "id": "…", "name": "rated", "version": 1, "time": "…", "identifiers": {"email": "a@b.c"},
    "properties": stars,
}
"""

WRONG = """
from tracking_plan import OrderCompletedProperties, Rated

rated: Rated = {"id": "…", "name": "rate", "version": 1, "time": "…", "identifiers": {}}
paid: OrderCompletedProperties = {"order_id": "o", "revenue": 29.99, "channel": "fax"}
"""


@pytest.mark.slow
def test_python_types_are_sound_and_tell_right_from_wrong(tmp_path: Path) -> None:
    (tmp_path / "tracking_plan.py").write_text(event_types(SHOPS, "python"), encoding="utf-8")
    (tmp_path / "use.py").write_text(USE, encoding="utf-8")
    (tmp_path / "wrong.py").write_text(WRONG, encoding="utf-8")
    subprocess.run([sys.executable, "tracking_plan.py"], cwd=tmp_path, check=True)
    mypy = [sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull]
    mypy += ["--cache-dir", str(tmp_path / "cache"), "--python-version", "3.11"]
    fine = subprocess.run([*mypy, "use.py"], cwd=tmp_path, capture_output=True, text=True)
    assert fine.returncode == 0, fine.stdout
    wrong = subprocess.run([*mypy, "wrong.py"], cwd=tmp_path, capture_output=True, text=True)
    lines = [line for line in wrong.stdout.splitlines() if "error:" in line]
    assert len(lines) == 3, wrong.stdout


USE_TS = """
import type { Event, Rated } from "./tracking_plan";

export function told(event: Event): string {
  if (event.name === "rated") return String(event.properties.stars + 1);
  if (event.name === "order_completed" && event.version === 1) return event.properties.total;
  return event.id;
}

export const good: Rated = {
  id: "…", name: "rated", version: 1, time: "…", identifiers: { email: "a@b.c" },
  properties: { stars: 3, from: null },
};

// @ts-expect-error: no such mood
export const wrong: Rated = { ...good, properties: { stars: 3, mood: "fine" } };
"""


@pytest.mark.slow
def test_typescript_types_are_sound_and_tell_right_from_wrong(tmp_path: Path) -> None:
    tool = ["node", str(need_package("typescript") / "bin" / "tsc")]
    (tmp_path / "tracking_plan.ts").write_text(event_types(SHOPS, "typescript"), encoding="utf-8")
    (tmp_path / "use.ts").write_text(USE_TS, encoding="utf-8")
    command = [*tool, "--noEmit", "--strict", "--target", "es2022", "--module", "esnext"]
    command += ["--moduleResolution", "bundler", "use.ts"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_every_event_that_may_be_sent_has_its_type() -> None:
    text = event_types(SHOPS, "typescript")
    listed = text.partition("export type Event =\n")[2].replace(";", "").split()
    assert [name for name in listed if name != "|"] == [
        "PageViewed", "OrderCompletedV1", "OrderCompleted", "Rated", "A1", "A1_2", "Event_2",
        "ConsentChanged", "VariantShown", "MessageReceipt",
    ]  # fmt: skip
    assert '  channel?: "sh\\"op" | "web" | null;' in text
    assert '/** Where it was "bought" \\ * /: one of web, sh"op */' in text


def test_there_are_types_for_some_languages_only() -> None:
    with pytest.raises(UnknownName, match="known: python, typescript"):
        event_types(SHOPS, "cobol")


def test_what_the_tests_send_is_valid() -> None:
    document = event_schema(SHOPS, "order_completed")
    said = order(consent=granted("ads"), properties={"items": [], "channel": "web"})
    assert is_valid(document, said)
    assert not is_valid(document, {**said, "identifiers": {}})

from __future__ import annotations

import itertools
import json
import tomllib
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from liftwerk.connectors.definition import IMPORT_LIMITS, IMPORTS, Cell, KnownAt, Moment
from liftwerk.decisions.definition import POLICIES, Action, Guardrails, reward_outcome
from liftwerk.definitions import PROJECT, Project, build, json_schema, load, problems, templates
from liftwerk.definitions.typed import Duration, Share
from liftwerk.errors import DefinitionError, ProjectError, UnknownName
from liftwerk.events.definition import RESERVED, known_events
from liftwerk.events.properties import ENVELOPE_COLUMNS
from liftwerk.experiments.definition import EXPERIMENTS
from liftwerk.features.definition import FEATURES
from liftwerk.metrics.definition import GOAL, METRICS
from liftwerk.models.definition import MODELS
from liftwerk.sections import SECTIONS, define
from liftwerk.store.definition import STORE

ROOT = Path(__file__).parents[2]
HILLSTROM = ROOT / "examples" / "hillstrom"
SHOP = Path(__file__).with_name("shop.toml").read_text()


def from_text(folder: Path, text: str) -> Project:
    folder.mkdir(exist_ok=True)
    (folder / "liftwerk.toml").write_text(text)
    return load(folder, SECTIONS)


def test_hillstrom() -> None:
    project = load(HILLSTROM, SECTIONS)
    assert project.currency == "USD"
    assert project.timezone.key == "America/Chicago"
    assert project.home == HILLSTROM / ".liftwerk"
    assert project.get(IMPORT_LIMITS).max_bad == Share("1%")
    trial = project.get(IMPORTS)["trial"]
    assert trial.file_format == "csv"
    history, decision, assigned, visit, order = trial.events
    assert history.time == Moment(at=datetime(2008, 3, 1, tzinfo=UTC))
    assert history.properties["area"] == Cell(column="zip_code")
    assert decision.probability is not None
    assert decision.probability.value is not None
    assert decision.probability.value.exact == Fraction(1, 3)
    assert decision.action is not None
    assert decision.action.map is not None
    assert decision.action.map["No E-Mail"] == "nothing"
    arms = project.get(EXPERIMENTS)["campaign"].arms
    assert assigned.properties["arm"].map is not None
    assert set(assigned.properties["arm"].map.values()) == set(arms)
    assert visit.answers == "decision_made"
    assert order.known_at == KnownAt(Duration("0s"))
    policy = project.get(POLICIES)["best_email"]
    assert policy.gate.margin == Decimal("0.10")
    assert reward_outcome(project, policy) == "spend"
    assert project.get(METRICS)["visit"].matures == Duration("14d")


def test_instants_are_in_utc(tmp_path: Path) -> None:
    decision = from_text(tmp_path, SHOP).get(IMPORTS)["trial"].events[0]
    assert decision.time.at == datetime(2026, 3, 1, 8, tzinfo=UTC)


def test_absent_sections(tmp_path: Path) -> None:
    project = from_text(tmp_path, '[project]\nname = "shop"\ncurrency = "EUR"\n')
    assert project.get(STORE).home == ".liftwerk"
    assert project.get(FEATURES) == {}
    assert project.find(GOAL) is None
    with pytest.raises(UnknownName) as caught:
        project.get(GOAL)
    assert str(caught.value) == "no [goal] is declared: liftwerk.toml: add a [goal] table"


def test_lookup(tmp_path: Path) -> None:
    project = from_text(tmp_path, SHOP)
    assert project.lookup(MODELS, "voucher").purpose == "ads"
    with pytest.raises(UnknownName) as caught:
        project.lookup(FEATURES, "order")
    line = "no [features.order] is declared: liftwerk.toml: did you mean 'orders'?"
    assert str(caught.value) == line


def upside_down(table: dict[str, Any]) -> dict[str, Any]:
    """Return the same table with its keys the other way round."""
    turned = {}
    for key, value in reversed(table.items()):
        turned[key] = value
        if isinstance(value, dict):
            turned[key] = upside_down(value)
    return turned


def test_the_hash_follows_the_meaning(tmp_path: Path) -> None:
    expected = from_text(tmp_path / "a", SHOP).hash
    without_comments = "\n".join(
        line.split(" #")[0] for line in SHOP.splitlines() if not line.startswith("#")
    )
    assert from_text(tmp_path / "b", "# new\n" + without_comments).hash == expected
    respelt = SHOP.replace('"5%"', '"0.05"').replace('window = "90d"', 'window = "2160h"')
    assert from_text(tmp_path / "c", respelt).hash == expected
    elsewhere = SHOP.replace('home = ".liftwerk"', 'home = "/somewhere/else"')
    assert from_text(tmp_path / "d", elsewhere).hash == expected
    assert build(upside_down(tomllib.loads(SHOP)), SECTIONS, tmp_path).hash == expected


def test_the_hash_does_not_mind_the_split_into_files(tmp_path: Path) -> None:
    expected = from_text(tmp_path / "a", SHOP).hash
    main, features = SHOP.split("[features.orders]")
    split = main.replace('name = "shop"', 'name = "shop"\ninclude = ["more.toml"]')
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "more.toml").write_text("[features.orders]" + features)
    assert from_text(tmp_path / "b", split).hash == expected


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('window = "90d"', 'window = "91d"'),
        ('salt = "shop-1"', 'salt = "shop-2"'),
        ('actions = ["nothing", "voucher"]', 'actions = ["voucher", "nothing"]'),
        ('label = "Voucher"', 'label = "A voucher"'),
    ],
)
def test_the_hash_changes_with_the_meaning(tmp_path: Path, old: str, new: str) -> None:
    before = from_text(tmp_path / "a", SHOP).hash
    assert from_text(tmp_path / "b", SHOP.replace(old, new)).hash != before


def test_section_hash(tmp_path: Path) -> None:
    before = from_text(tmp_path / "a", SHOP)
    after = from_text(tmp_path / "b", SHOP.replace('window = "90d"', 'window = "91d"'))
    assert before.section_hash(FEATURES) != after.section_hash(FEATURES)
    assert before.section_hash(METRICS, GOAL) == after.section_hash(METRICS, GOAL)
    assert before.section_hash(METRICS, GOAL) == before.section_hash(GOAL, METRICS)


def test_build_is_as_strict_as_a_file() -> None:
    values = tomllib.loads(SHOP)
    values["features"]["orders"]["agregate"] = "count"
    with pytest.raises(DefinitionError) as caught:
        build(values, SECTIONS)
    line = "unknown key 'agregate' in [features.orders]: <python>: did you mean 'aggregate'?"
    assert str(caught.value) == line


def test_build_takes_structs_and_values() -> None:
    values = tomllib.loads(SHOP)
    values["actions"]["voucher"] = Action("Voucher", Decimal("0.05"))
    values["features"]["orders"]["window"] = Duration("90d")
    values["policies"]["weekly"]["guardrails"]["frequency"] = None
    project = build(values, SECTIONS)
    assert project.get(POLICIES)["weekly"].guardrails.frequency is None


def test_build_checks_structs_too() -> None:
    values = tomllib.loads(SHOP)
    values["policies"]["weekly"]["guardrails"] = Guardrails(budget="lots")  # type: ignore[arg-type]
    with pytest.raises(DefinitionError, match=r"policies\.weekly\.guardrails\.budget is 'lots'"):
        build(values, SECTIONS)


def test_define() -> None:
    draft = define("shop", "EUR", timezone="UTC")
    draft.add("events", "visit", version=1, description="A visit", owner=None)
    draft.add("features", "visits", entity="customer", from_="visit", aggregate="count")
    project = draft.build()
    assert project.get(FEATURES)["visits"].from_ == "visit"
    draft.add("features", "visits", entity="customer", from_="visits", aggregate="count")
    with pytest.raises(DefinitionError, match="did you mean 'visit'"):
        draft.build()


def test_reserved_events(tmp_path: Path) -> None:
    project = from_text(tmp_path, SHOP)
    assert set(known_events(project)) == {"visit", "order", *RESERVED}
    for event in RESERVED.values():
        assert not set(event.properties) & set(ENVELOPE_COLUMNS)


@pytest.mark.parametrize("template", templates.TEMPLATES)
def test_templates(tmp_path: Path, template: str) -> None:
    target = tmp_path / "made" / "here"
    templates.write(template, target)
    assert problems(target, SECTIONS) == []
    assert not (target / ".liftwerk").exists()
    with pytest.raises(ProjectError) as caught:
        templates.write(template, target)
    line = f"there is a liftwerk.toml already: {target}: choose another folder"
    assert str(caught.value) == line


def test_the_hillstrom_template_is_the_example(tmp_path: Path) -> None:
    templates.write("hillstrom", tmp_path)
    for name in ("liftwerk.toml", "data/hillstrom.csv.gz"):
        assert (tmp_path / name).read_bytes() == (HILLSTROM / name).read_bytes()


def test_no_such_template(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean 'hillstrom'"):
        templates.write("hilstrom", tmp_path)


def test_no_template_into_a_file(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.touch()
    with pytest.raises(ProjectError) as caught:
        templates.write("minimal", target)
    assert str(caught.value) == f"not a folder: {target}: choose another name"


def resolve(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    found: dict[str, Any] = document["$defs"][reference.rpartition("/")[2]]
    return found


def allows(schema: dict[str, Any], value: object, document: dict[str, Any]) -> bool:
    """Judge a value by the few words of JSON Schema that ours uses."""
    schema = resolve(schema, document)
    if "anyOf" not in schema and "enum" not in schema and "type" not in schema:
        return True  # any value
    if "anyOf" in schema:
        return any(allows(member, value, document) for member in schema["anyOf"])
    if "enum" in schema:
        return value in schema["enum"]
    if schema["type"] == "array":
        return isinstance(value, list) and all(
            allows(schema["items"], item, document) for item in value
        )
    if schema["type"] != "object":
        return not isinstance(value, dict | list)
    if not isinstance(value, dict) or not set(schema.get("required", ())) <= set(value):
        return False
    known = schema.get("properties", {})
    rest = schema["additionalProperties"]
    for key, item in value.items():
        wanted = known.get(key, rest)
        if wanted is False or not allows(wanted, item, document):
            return False
    return True


def test_json_schema_allows_what_is_sound() -> None:
    document = json_schema(SECTIONS)
    json.dumps(document)
    for text in (SHOP, (HILLSTROM / "liftwerk.toml").read_text()):
        assert allows(document, tomllib.loads(text), document)


def test_json_schema_refuses_what_is_not() -> None:
    document = json_schema(SECTIONS)
    for old, new in (
        ('aggregate = "count"', 'agregate = "count"'),
        ('aggregate = "count"', 'aggregate = "cuont"'),
        ("[features.orders]", "[feature.orders]"),
        ('basis = "consent"', ""),
    ):
        assert not allows(document, tomllib.loads(SHOP.replace(old, new)), document)


def test_json_schema_says_what_keys_mean() -> None:
    document = json_schema(SECTIONS)
    for name, definition in document["$defs"].items():
        table = definition
        if "anyOf" in definition:
            table = definition["anyOf"][1]
        assert table["description"], name
        for key, value in table["properties"].items():
            assert value.get("description"), f"{name}.{key}"


def test_sections_have_names_of_their_own() -> None:
    for one, other in itertools.combinations(SECTIONS, 2):
        assert one.name != other.name
    assert SECTIONS[0] is PROJECT

"""A pack stands for ordinary features: named, checked, versioned and kept like those by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

from liftwerk.definitions import Project, load
from liftwerk.errors import DefinitionError
from liftwerk.features.definition import FEATURES
from liftwerk.features.packs.definition import FEATURE_PACKS, features_of
from liftwerk.features.packs.kinds import PACKS
from liftwerk.features.packs.pack import PackName
from liftwerk.features.version import feature_version
from liftwerk.features.views import FEATURE_VIEWS
from liftwerk.models.definition import MODELS
from liftwerk.sections import SECTIONS

SHOP = (Path(__file__).parents[2] / "definitions" / "shop.toml").read_text()

FULL = """
[feature_packs]
rfm = { from = "order", value = "revenue", where = "revenue > 0", window = "30d" }
engagement = { events = ["visit", "order"], half_life = "7d" }
channel = { from = "message_sent", opened = "visit", clicked = "visit", unsubscribed = "visit" }
lifecycle = { from = "order", returned = "visit", active = "30d", lapsed = "90d" }
session = { from = "order", property = "note", events = ["visit", "order"], where = "revenue > 0" }

[entities.market]
description = "People of a country"
key = ["country"]
properties.country = { type = "string" }
properties.customers = { type = "integer" }
properties.open_rate = { type = "number" }

[features.country]
entity = "customer"
from = "order"
aggregate = "last"
property = "note"

[feature_packs.cohort]
entity = "market"
size = "customers"
values = ["open_rate"]

[feature_packs.affinity]
from = "order"
property = "items.sku"
values = ["A 1", "b"]
where = "revenue > 0"
window = "1 year"
prior = { share = "10%", weight = 2 }
"""
GIVEN = {
    "EVENT": ["visit", "order"],
    "PROPERTY": ["open_rate"],
    "VALUE": ["a_1", "b"],
    "SIGNAL": ["opened", "clicked", "unsubscribed"],
}


def shop(folder: Path, more: str) -> Project:
    text = SHOP.replace("[models.", f"{more}\n[models.", 1)
    (folder / "liftwerk.toml").write_text(text)
    return load(folder, SECTIONS)


def meant(gives: tuple[str, ...]) -> set[str]:
    names: set[str] = set()
    for end in gives:
        word = end.partition("_")[0]
        names |= {end.replace(word, one) for one in GIVEN.get(word, [word])}
    return names


def test_every_kind_that_can_be_declared_has_its_file() -> None:
    assert set(PACKS) == set(get_args(PackName))


@pytest.mark.parametrize("kind", PACKS)
def test_a_pack_gives_what_it_says(kind: str, tmp_path: Path) -> None:
    project = shop(tmp_path, FULL.replace("1 year", "365d"))
    made = features_of(kind, project.get(FEATURE_PACKS)[kind])
    assert set(made) == {f"{kind}_{end}" for end in meant(PACKS[kind].gives)}
    assert set(made) <= set(project.get(FEATURES))
    assert all(feature.description for feature in made.values())
    assert {feature.entity for feature in made.values()} == {PACKS[kind].entity}


def test_a_feature_of_a_pack_is_what_one_by_hand_would_be(tmp_path: Path) -> None:
    by_hand = shop(
        tmp_path,
        '[features.spent_30d]\nentity = "customer"\nfrom = "order"\naggregate = "sum"\n'
        'property = "revenue"\nwindow = "30d"\n',
    )
    wanted = feature_version(by_hand, "spent_30d")
    line = 'rfm = { from = "order", value = "revenue", window = "30d", owner = "crm@shop.example" }'
    packed = shop(tmp_path, f"[feature_packs]\n{line}\n")
    assert feature_version(packed, "rfm_monetary") == wanted
    assert packed.get(FEATURES)["rfm_monetary"].owner == "crm@shop.example"


def test_what_is_declared_by_hand_is_kept(tmp_path: Path) -> None:
    line = 'rfm = { from = "order", value = "revenue" }'
    own = '[features.rfm_frequency]\nentity = "customer"\nfrom = "visit"\naggregate = "count"\n'
    features = shop(tmp_path, f"[feature_packs]\n{line}\n{own}").get(FEATURES)
    assert features["rfm_frequency"].from_ == "visit"
    assert features["rfm_recency"].from_ == "order"


def test_views_and_models_name_a_whole_pack(tmp_path: Path) -> None:
    more = """
[feature_packs]
rfm = { from = "order", value = "revenue" }

[feature_views.crm]
purpose = "ads"
features = ["orders", "rfm.*"]
"""
    text = SHOP.replace("[models.", f"{more}\n[models.", 1)
    assert text.count('features = ["orders", "spent"]') == 1
    text = text.replace('features = ["orders", "spent"]', 'features = ["rfm.*", "spent"]')
    (tmp_path / "liftwerk.toml").write_text(text)
    project = load(tmp_path, SECTIONS)
    every = tuple(features_of("rfm", project.get(FEATURE_PACKS)["rfm"]))
    assert project.get(FEATURE_VIEWS)["crm"].features == ("orders", *every)
    (model,) = project.get(MODELS).values()
    assert model.features == (*every, "spent")


def test_two_packs_of_one_kind_have_names_of_their_own(tmp_path: Path) -> None:
    packs = """
[feature_packs.paid]
kind = "rfm"
from = "order"
value = "revenue"

[feature_packs.gifts]
kind = "rfm"
from = "order"
value = "revenue"
where = "note = 'gift'"
"""
    features = shop(tmp_path, packs).get(FEATURES)
    assert features["gifts_monetary"].where == "note = 'gift'"
    assert features["paid_monetary"].where is None


@pytest.mark.parametrize(
    ("pack", "said"),
    [
        ('rfm = { kind = "rfmm", from = "order" }', "feature_packs.rfm.kind is 'rfmm'"),
        ("channel = { from = 'order', saturation = -1.0 }", "feature_packs.channel.saturation"),
        ("channel = { from = 'order', half_life = '7h' }", "features.channel_exposure.half_life"),
        ("engagement = { events = [] }", "feature_packs.engagement.events is missing"),
        (
            "rfm = {}\n[feature_views.v]\npurpose='ads'\nfeatures=['rfm.*']",
            "feature_packs.rfm.from",
        ),
    ],
)
def test_what_is_wrong_is_said_once_where_the_pack_stands(
    pack: str, said: str, tmp_path: Path
) -> None:
    with pytest.raises(DefinitionError, match=said) as caught:
        shop(tmp_path, f"[feature_packs]\n{pack}\n")
    line = int(str(caught.value).partition("liftwerk.toml:")[2].partition(":")[0])
    lines: Any = (tmp_path / "liftwerk.toml").read_text().splitlines()
    assert lines[line - 1] == pack.splitlines()[0]

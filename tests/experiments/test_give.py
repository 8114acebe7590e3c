"""Arms are a fixed function of the unit: in Python, in SQL, in a browser, and next year."""

from __future__ import annotations

import hashlib
import itertools
import json
import random
import subprocess
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import chisquare

from liftwerk.connectors.tracker import script
from liftwerk.definitions.typed import Duration, Share
from liftwerk.events.identifiers import leaf_key
from liftwerk.experiments.assign import held_out, unit_text
from liftwerk.experiments.definition import Arm, ExperimentDefinition
from liftwerk.experiments.draw import Draw, draw_of, slot, twin
from liftwerk.experiments.give import give_many, giver
from liftwerk.experiments.hashes import HASHES
from liftwerk.experiments.hashes.kinds.growthbook import number
from liftwerk.experiments.layers import EVERYTHING, Range, find_range
from liftwerk.metrics.definition import Goal
from tests.conftest import need_program

DATA = Path(__file__).parent / "data"
HALVES = {"control": Arm(), "warm": Arm()}
UNEVEN = {"control": Arm(Share("1/2")), "warm": Arm(Share("1/3")), "hot": Arm(Share("1/6"))}
GOAL = Goal("profit", Share("5%"), "hold-1")
LEAVES = [hashlib.sha256(number.to_bytes(4, "big")).digest()[:16] for number in range(20_000)]
UNITS = [unit_text(leaf) for leaf in LEAVES]


def experiment(arms: dict[str, Arm] = HALVES, **fields: Any) -> ExperimentDefinition:
    return ExperimentDefinition("ab", "Tea", arms, ("profit",), "measurement", **fields)


def arms_of(draw: Draw, units: list[str] = UNITS) -> list[str | None]:
    given: list[str | None] = give_many(draw, pa.array(units), pa.array(units)).to_pylist()
    return given


# The rule may never change: whoever is in an experiment would be given another arm.
VECTORS = [
    ("tea", None, "000102030405060708090a0b0c0d0e0f", "warm"),
    ("tea", None, "größe", "warm"),
    ("tea", "mail", "2026-03-01T08:00:00Z", "warm"),
    ("größe", None, "000102030405060708090a0b0c0d0e0f", "control"),
    ("tea-3", None, "Bayern", "control"),
]


@pytest.mark.parametrize(("salt", "layer", "unit", "expected"), VECTORS)
def test_published_vectors(salt: str, layer: str | None, unit: str, expected: str) -> None:
    draw = draw_of("x", experiment(salt=salt, layer=layer), Fraction(1))
    assert giver(draw)(unit, unit) == expected
    number = hashlib.sha256(f"{salt}\0{unit}".encode()).digest()[8:16]
    assert ("control", "warm")[int.from_bytes(number, "big") >= 2**63] == expected


def test_arms_have_their_shares_and_are_independent_of_who_enters() -> None:
    everybody = arms_of(draw_of("tea", experiment(UNEVEN), Fraction(1)))
    counts = [everybody.count(arm) for arm in UNEVEN]
    expected = [len(UNITS) / 2, len(UNITS) / 3, len(UNITS) / 6]
    assert chisquare(counts, expected).pvalue > 1e-3
    some = arms_of(draw_of("tea", experiment(UNEVEN), Fraction(1, 5)))
    inside = [arm for arm in some if arm is not None]
    shares = [len(inside) / 2, len(inside) / 3, len(inside) / 6]
    assert chisquare([inside.count(arm) for arm in UNEVEN], shares).pvalue > 1e-3
    assert chisquare([len(inside), len(UNITS) - len(inside)], [4000, 16000]).pvalue > 1e-3


@pytest.mark.parametrize("hashed", HASHES)
@pytest.mark.parametrize("layer", [None, "mail"])
def test_a_ramp_gives_nobody_another_arm(hashed: str, layer: str | None) -> None:
    held = Range(Fraction(1, 4), Fraction(3, 4))
    if layer is None:
        held = EVERYTHING
    tea = experiment(UNEVEN, hash=hashed, layer=layer)
    before = 0
    given: list[str | None] = [None] * len(UNITS)
    for share in (Fraction(1, 100), Fraction(1, 10), Fraction(1, 3), held.share):
        now = arms_of(draw_of("tea", tea, share, reserved=held))
        assert all(then in (None, arm) for then, arm in zip(given, now, strict=True))
        entered = len(now) - now.count(None)
        assert entered > before
        assert abs(entered / len(now) - share) < 0.02
        given, before = now, entered


def test_what_is_reserved_is_never_left() -> None:
    held = Range(Fraction(1, 4), Fraction(1, 2))
    draw = draw_of("tea", experiment(layer="mail"), Fraction(1), reserved=held)
    assert (draw.low, draw.high) == (Fraction(1, 4), Fraction(1, 2))


@pytest.mark.parametrize("hashed", HASHES)
def test_no_unit_is_in_two_experiments_of_a_layer(hashed: str) -> None:
    held: list[Range] = []
    inside = []
    for name, share in (("a", Fraction(1, 2)), ("b", Fraction(1, 5)), ("c", Fraction(3, 10))):
        held.append(find_range("mail", share, held))
        draw = draw_of(name, experiment(hash=hashed, layer="mail"), share, reserved=held[-1])
        inside.append(np.array([arm is not None for arm in arms_of(draw)]))
    assert (np.sum(inside, axis=0) == 1).all()


def test_experiments_of_different_layers_are_independent() -> None:
    one = arms_of(draw_of("a", experiment(layer="mail"), Fraction(1)))
    other = arms_of(draw_of("b", experiment(layer="page"), Fraction(1)))
    pairs = list(zip(one, other, strict=True))
    counts = [pairs.count(pair) for pair in itertools.product(HALVES, HALVES)]
    assert chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("hashed", HASHES)
def test_the_global_holdout_enters_nothing(hashed: str) -> None:
    draw = draw_of("tea", experiment(hash=hashed), Fraction(1), goal=GOAL)
    out = [held_out(GOAL.salt, GOAL.holdout.exact, unit) for unit in UNITS]
    assert [arm is None for arm in arms_of(draw)] == out
    assert 0.04 < np.mean(out) < 0.06


def test_each_period_of_a_rotating_holdout_is_drawn_by_itself() -> None:
    arms = {"held_out": Arm(Share("10%")), "treated": Arm()}
    tea = experiment(arms, rotate=Duration("28d"))
    now = datetime(2026, 3, 1, tzinfo=UTC)
    one, same, other = (
        np.array(arms_of(draw_of("tea", tea, Fraction(1), at=at))) == "held_out"
        for at in (now, now + timedelta(days=1), now + timedelta(days=28))
    )
    assert (one == same).all()
    assert abs(other[one].mean() - 0.1) < 0.03


@pytest.mark.parametrize("hashed", HASHES)
@pytest.mark.parametrize("layer", [None, "größe"])
@pytest.mark.parametrize("goal", [None, GOAL])
def test_many_are_given_what_each_is(hashed: str, layer: str | None, goal: Goal | None) -> None:
    held = Range(Fraction(1, 7), Fraction(6, 7))
    tea = experiment(UNEVEN, hash=hashed, layer=layer)
    draw = draw_of("tea", tea, Fraction(1, 2), reserved=held, goal=goal)
    give = giver(draw)
    written = texts(len(LEAVES[:2000]))
    one_by_one = [give(unit, text) for unit, text in zip(UNITS, written, strict=False)]
    for units in (pa.array(LEAVES[:2000], pa.binary()), pa.array(UNITS[:2000])):
        assert give_many(draw, units, pa.array(written)).to_pylist() == one_by_one
    assert give_many(draw, pa.array([], pa.string()), pa.array([], pa.string())).to_pylist() == []


def test_growthbook_takes_identifiers_as_they_were_written() -> None:
    draw = draw_of("tea", experiment(hash="growthbook"), Fraction(1))
    with pytest.raises(ValueError, match="as they were written"):
        give_many(draw, pa.array(LEAVES, pa.binary()))


GROWTHBOOK = [
    ("", "a", 1, 0.22),
    ("", "b", 1, 0.077),
    ("b", "a", 1, 0.946),
    ("ef", "d", 1, 0.652),
    ("asdf", "8952klfjas09ujk", 1, 0.549),
    ("", "123", 1, 0.011),
    ("", '___)((*":&', 1, 0.563),
    ("seed", "a", 2, 0.0505),
    ("seed", "b", 2, 0.2696),
    ("foo", "ab", 2, 0.2575),
    ("foo", "def", 2, 0.2019),
    ("89123klj", "8952klfjas09ujkasdf", 2, 0.124),
    ("90850943850283058242805", "123", 2, 0.7516),
    ("()**(%$##$%#$#", '___)((*":&', 2, 0.0128),
]
"""From the cases by which GrowthBook tests its clients in every language."""


@pytest.mark.parametrize(("seed", "unit", "version", "expected"), GROWTHBOOK)
def test_growthbooks_published_numbers(seed: str, unit: str, version: int, expected: float) -> None:
    assert number(seed, unit, version) == expected


def test_growthbooks_own_client_gives_the_same_arms() -> None:
    known = json.loads((DATA / "growthbook.json").read_text())
    for seed, unit, version, expected in known["hashes"]:
        assert number(seed, unit, version) == expected
    for run in known["runs"]:
        names = [f"arm{place}" for place in range(len(run["weights"]))]
        layer, held = None, EVERYTHING
        if run["namespace"] is not None:
            layer, *ends = run["namespace"]
            held = Range(*map(Fraction, ends))
        tea = experiment(
            {name: Arm(Share(weight)) for name, weight in zip(names, run["weights"], strict=True)},
            hash=("growthbook_v1", "growthbook")[run["version"] - 1],
            layer=layer,
        )
        share = Fraction(run["coverage"]) * held.share
        draw = draw_of(run["key"], tea, share, reserved=held)
        expected = [None if place < 0 else names[place] for place in run["arms"]]
        assert arms_of(draw, known["units"]) == expected
        give = giver(draw)
        assert [give("", unit) for unit in known["units"]] == expected


def test_the_twin_in_javascript_gives_the_same_arms() -> None:
    node = need_program("node")
    held = Range(Fraction(1, 7), Fraction(6, 7))
    draws = [
        draw_of(
            "tea", experiment(UNEVEN, hash=hashed, layer=layer), share, reserved=held, goal=goal
        )
        for hashed in HASHES
        for layer, share, goal in ((None, held.share, None), ("größe", Fraction(1, 3), GOAL))
    ]
    draws.append(draw_of("tea", experiment(), Fraction(1)))
    written = texts(2000)
    identifiers = [["device", text] for text in written[:200]]
    said = {
        "draws": [twin(draw) for draw in draws],
        "units": [[text, text] for text in written],
        "identifiers": identifiers,
    }
    module = script.SCRIPT.with_name("assign.js")
    done = subprocess.run(
        [node, str(Path(__file__).parent / "twin.mjs"), module.as_uri()],
        input=json.dumps(said),
        capture_output=True,
        text=True,
        check=True,
    )
    answer = json.loads(done.stdout)
    for draw, arms in zip(draws, answer["arms"], strict=True):
        assert arms == arms_of(draw, written)
    assert answer["keys"] == [leaf_key(*one).hex() for one in identifiers]


def test_a_stretch_of_time_is_a_unit_by_its_beginning() -> None:
    at = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
    assert slot(Duration("4h"), at, UTC) == "2026-03-01T08:00:00Z"
    assert slot(Duration("4h"), at + timedelta(hours=2, minutes=29), UTC) == "2026-03-01T08:00:00Z"
    assert slot(Duration("4h"), at + timedelta(hours=2, minutes=30), UTC) == "2026-03-01T12:00:00Z"


def texts(many: int) -> list[str]:
    """Identifiers as people have them: short, long, and in every script."""
    rng = random.Random(8)
    letters = "abcXYZ019-_@. äöüßéñ日本語Ωж🙂🎉"
    return ["".join(rng.choices(letters, k=rng.randint(1, 150))) for _ in range(many)]

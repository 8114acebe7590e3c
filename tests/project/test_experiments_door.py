"""Experiments through the door and by command: what is kept, what is shown, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import liftwerk
from liftwerk.cli.main import main
from liftwerk.clock import FixedClock
from liftwerk.errors import Refused, UnknownName
from liftwerk.experiments.effects import Effect, put_effects
from liftwerk.stats.estimate import Estimate, Unknown

SHOP = Path(__file__).parents[1] / "definitions" / "shop.toml"
NOW = datetime(2026, 3, 1, tzinfo=UTC)
TEXT = """
[experiments.tea]
design = "ab"
description = "Tea with each order"
purpose = "ads"
metrics = ["margin"]
arms = { control = {}, tea = { label = "Tea" } }
"""

Ask = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "liftwerk.toml").write_text(SHOP.read_text() + TEXT)
    return tmp_path


@pytest.fixture
def ask(folder: Path, capfd: pytest.CaptureFixture[str]) -> Ask:
    """Run a command; its code, the document that it prints, and what it says of an error."""

    def run(*arguments: str) -> tuple[int, Any, str]:
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--json", "--project", str(folder)])
        printed = capfd.readouterr()
        document = None
        if printed.out:
            document = json.loads(printed.out)
        assert isinstance(ended.value.code, int)
        return ended.value.code, document, printed.err

    return run


def edited(folder: Path) -> None:
    file = folder / "liftwerk.toml"
    file.write_text(file.read_text().replace('multiply = "40%"', 'multiply = "50%"'))


def test_a_life_by_command(ask: Ask, folder: Path) -> None:
    code, nothing, line = ask("experiment", "start", "tea")
    assert (code, nothing) == (1, None)
    assert line.startswith("error: there is no baseline to plan by (nobody was seen early enough)")
    code, started, _ = ask("experiment", "start", "tea", "--share", "5%", "--unplanned", "new shop")
    assert (code, started["stage"], started["unplanned"]) == (0, "running", "new shop")
    code, ramped, _ = ask("experiment", "ramp", "tea", "50%")
    assert (code, ramped["share"]) == (0, 0.5)
    code, _, line = ask("experiment", "ramp", "tea", "20%")
    assert (code, line.count("\n")) == (1, 1)
    edited(folder)
    code, (row,), _ = ask("experiment", "list")
    assert (code, row["stage"], row["changed"]) == (0, "running", ["metrics.margin.multiply"])
    code, _, line = ask("experiment", "ramp", "tea", "80%")
    assert code == 1
    assert "it was changed after its start (metrics.margin.multiply): experiment tea" in line
    code, stopped, _ = ask("experiment", "stop", "tea", "--reason", "tidy")
    assert (code, stopped["stage"], stopped["reason"]) == (0, "stopped", "tidy")
    code, shown, _ = ask("experiment", "show", "tea")
    told = [one["action"] for one in shown["log"]]
    assert (code, told) == (0, ["register", "start", "ramp", "change", "stop"])
    assert shown["log"][3]["said"] == {"keys": ["metrics.margin.multiply"]}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("experiment", "show", "te"), "did you mean 'tea'?"),
        (("experiment", "stop", "te", "--reason", "x"), "did you mean 'tea'?"),
        (("experiment", "start", "tea", "--share", "many"), "'many' is no share"),
        (("experiment", "stop", "tea"), "--reason"),
        (("effects", "tea"), "none is known yet"),
    ],
)
def test_a_wrong_call_is_one_line(ask: Ask, arguments: tuple[str, ...], words: str) -> None:
    if "--share" in arguments:
        ask("experiment", "start", "tea", "--unplanned", "new shop")
    code, document, line = ask(*arguments)
    assert (code, document) == (2, None)
    assert words in line
    assert line.count("\n") == 1


@pytest.mark.parametrize("doing", ["use", "keep_up"])
def test_what_was_changed_is_noticed_on_the_way(folder: Path, doing: str) -> None:
    clock = FixedClock(NOW)
    with liftwerk.open(folder, clock) as project:
        project.experiments.start("tea", unplanned="new shop")
    edited(folder)
    with liftwerk.open(folder, clock) as project:
        for _ in range(2):
            getattr(project, doing)()
        log = project.experiments.show("tea")["log"]
        assert [one["action"] for one in log] == ["register", "start", "change"]
        with pytest.raises(Refused, match="after its start"):
            project.experiments.ramp("tea", "100%")


def test_the_register_shows_what_is_believed_and_how_old_it_is(ask: Ask, folder: Path) -> None:
    week = timedelta(days=7)
    found: list[Estimate | Unknown] = [
        Estimate(1.0, 0.5, 1.5, 0.25, 900, "anytime"),
        Unknown("nobody was held out", "a holdout"),
    ]
    with liftwerk.open(folder, FixedClock(NOW)) as project:
        for weeks, estimate in enumerate(found):
            window = (NOW + (weeks - 3) * week, NOW + (weeks - 2) * week)
            how = ("EUR", "anytime", "holdout", NOW)
            one = Effect("programme", "margin", *window, estimate, *how)
            put_effects(project.stores.ledger, project.clock, "run", [one])
        (now,) = project.experiments.effects()
        assert (now["estimate"]["kind"], now["age_seconds"]) == ("unknown", week.total_seconds())
        assert len(project.experiments.effects(every=True)) == 2
        with pytest.raises(UnknownName, match="did you mean 'programme'"):
            project.experiments.effects("program")
    code, rows, _ = ask("effects", "programme", "--all")
    assert (code, [row["estimate"]["kind"] for row in rows]) == (0, ["estimate", "unknown"])


def test_people_read_the_same(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def said(*arguments: str) -> str:
        with pytest.raises(SystemExit):
            main([*arguments, "--project", str(folder)])
        return capfd.readouterr().out

    assert "declared" in said("experiment", "list")
    assert "no effect is known yet" in said("effects")
    said("experiment", "start", "tea", "--unplanned", "new shop")
    shown = said("experiment", "show", "tea")
    assert "control 50.0%, tea 50.0%" in shown
    assert "without a plan  new shop" in shown

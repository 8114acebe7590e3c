from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from liftwerk.definitions import load, problems
from liftwerk.errors import DefinitionError
from liftwerk.sections import SECTIONS

HERE = Path(__file__).parent
SHOP = (HERE / "shop.toml").read_text()
EDITS = tomllib.loads((HERE / "errors.toml").read_text())["edit"]


def write(folder: Path, text: str) -> Path:
    (folder / "liftwerk.toml").write_text(text)
    return folder


def test_the_shop_is_sound(tmp_path: Path) -> None:
    assert problems(write(tmp_path, SHOP), SECTIONS) == []


@pytest.mark.parametrize("edit", EDITS, ids=[edit["name"] for edit in EDITS])
def test_one_line(tmp_path: Path, edit: dict[str, str]) -> None:
    assert SHOP.count(edit["old"]) == 1
    with pytest.raises(DefinitionError) as caught:
        load(write(tmp_path, SHOP.replace(edit["old"], edit["new"])), SECTIONS)
    assert str(caught.value) == edit["line"]


def test_all_problems_are_found(tmp_path: Path) -> None:
    text = SHOP.replace('holdout = "5%"', 'holdout = "half"').replace("gate = {", "gates = {")
    text = text.replace('kind = "http"', 'kind = "htp"')
    assert [problem.line for problem in problems(write(tmp_path, text), SECTIONS)] == [8, 22, 137]


def test_references_wait_for_values(tmp_path: Path) -> None:
    """A definition that cannot be read is not reported again wherever it is named."""
    text = SHOP.replace('aggregate = "count"', 'aggregate = "cuont"')
    (problem,) = problems(write(tmp_path, text), SECTIONS)
    assert problem.key == "features.orders.aggregate"

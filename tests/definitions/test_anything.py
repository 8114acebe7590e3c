"""Whatever a file says, the answer is a project or words: never a crash."""

from __future__ import annotations

import copy
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liftwerk.definitions import build
from liftwerk.errors import DefinitionError
from liftwerk.sections import SECTIONS

SHOP = tomllib.loads(Path(__file__).with_name("shop.toml").read_text())


def paths(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    if isinstance(value, dict):
        for key, item in value.items():
            found += paths(item, (*path, key))
    if isinstance(value, list):
        for place, item in enumerate(value):
            found += paths(item, (*path, place))
    return found


PATHS = [path for path in paths(SHOP) if path]
WORDS = sorted({str(path[-1]) for path in PATHS} | {"", "5%", "0", "1/3", "-1", "2026-01-01", "7d"})
SCALARS = (
    st.sampled_from(WORDS)
    | st.text(max_size=5)
    | st.integers(-2, 2)
    | st.floats()
    | st.booleans()
    | st.datetimes()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=3)
    ),
    max_leaves=6,
)
MOVES = st.sampled_from(["replace", "drop", "add"])


@pytest.mark.slow
@given(st.lists(st.tuples(st.sampled_from(PATHS), MOVES, VALUES), min_size=1, max_size=3))
@settings(max_examples=300, deadline=None)
def test_a_project_or_words(edits: list[tuple[tuple[Any, ...], str, Any]]) -> None:
    values = copy.deepcopy(SHOP)
    for path, move, value in edits:
        edit(values, path, move, value)
    try:
        project = build(values, SECTIONS)
    except DefinitionError as error:
        line = str(error)
    else:
        line = project.hash
    assert line
    assert "\n" not in line


def edit(values: dict[str, Any], path: tuple[Any, ...], move: str, value: object) -> None:
    at: Any = values
    for part in path[:-1]:
        if not isinstance(at, dict | list) or (isinstance(at, list) != isinstance(part, int)):
            return
        try:
            at = at[part]
        except (KeyError, IndexError):
            return
    if not isinstance(at, dict):
        return
    if move == "replace":
        at[path[-1]] = value
    elif move == "drop":
        at.pop(path[-1], None)
    elif isinstance(at.get(path[-1]), dict):
        at[path[-1]]["added"] = value

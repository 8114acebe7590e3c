from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from liftwerk.definitions.lines import index

ROOT = Path(__file__).parents[2]

TEXT = r'''# a comment with = and [brackets]
top = 1
dotted.key."with space" = "x" # = [not.a.table]

[shop]
name = """two
lines = 3
""" # end
regex = 'a "quoted" # = [x]'
raw = \'\'\'
[no.table]\'\'\'
escaped = "a \" = # b"
empty = ""
list = [
  1, # one
  { a = 1, b = [2, 3] },

  [
    "x",
  ],
]
last = 2026-03-01T09:30:00Z

[[shop.row]]
key = 1
[shop.row.sub]
deep = true
[[shop.row]]
key = 2
inline = { first = { second = "]}" } }
[shop.row.sub]
deep = false
'''.replace(r"\'", "'")


def paths(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found = [path]
    if isinstance(value, dict):
        for key, item in value.items():
            found += paths(item, (*path, key))
    if isinstance(value, list):
        for place, item in enumerate(value):
            found += paths(item, (*path, place))
    return found


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 2),
        (("dotted", "key", "with space"), 3),
        (("shop",), 5),
        (("shop", "name"), 6),
        (("shop", "regex"), 9),
        (("shop", "raw"), 10),
        (("shop", "escaped"), 12),
        (("shop", "list"), 14),
        (("shop", "list", 0), 15),
        (("shop", "list", 1, "b", 1), 16),
        (("shop", "list", 2, 0), 19),
        (("shop", "last"), 22),
        (("shop", "row"), 24),
        (("shop", "row", 0, "key"), 25),
        (("shop", "row", 0, "sub", "deep"), 27),
        (("shop", "row", 1), 28),
        (("shop", "row", 1, "key"), 29),
        (("shop", "row", 1, "inline", "first", "second"), 30),
        (("shop", "row", 1, "sub", "deep"), 32),
    ],
)
def test_lines(path: tuple[str | int, ...], line: int) -> None:
    assert index(TEXT)[path] == line


@pytest.mark.parametrize(
    "file", ["examples/hillstrom/liftwerk.toml", "tests/definitions/shop.toml", "pyproject.toml"]
)
def test_every_path_of_a_file_is_found(file: str) -> None:
    text = (ROOT / file).read_text()
    expected = set(paths(tomllib.loads(text))) - {()}
    lines = index(text)
    assert set(lines) == expected
    for path, line in lines.items():
        name = path[-1]
        if isinstance(name, str):
            assert name in text.splitlines()[line - 1]


def test_text_and_parser_agree() -> None:
    assert set(index(TEXT)) == set(paths(tomllib.loads(TEXT))) - {()}

from __future__ import annotations

from pathlib import Path

import pytest

from liftwerk.definitions import load, problems
from liftwerk.errors import DefinitionError
from liftwerk.events.definition import EVENTS
from liftwerk.sections import SECTIONS

HEAD = '[project]\nname = "shop"\ncurrency = "EUR"\ninclude = ["parts/*.toml"]\n'
VISIT = '[events.visit]\nversion = 1\ndescription = "A visit"\n'
ORDER = '[events.order]\nversion = 1\ndescription = "An order"\n'


def fails(path: Path) -> str:
    with pytest.raises(DefinitionError) as caught:
        load(path, SECTIONS)
    line = str(caught.value)
    assert "\n" not in line
    return line


def lay(folder: Path, **files: str) -> Path:
    """Write liftwerk.toml (main) and parts/NAME.toml."""
    (folder / "parts").mkdir()
    for name, text in files.items():
        path = folder / "parts" / f"{name}.toml"
        if name == "main":
            path = folder / "liftwerk.toml"
        path.write_text(text)
    return folder


def test_no_folder(tmp_path: Path) -> None:
    path = tmp_path / "nowhere"
    assert fails(path) == f"no such project: {path}: name a folder that holds liftwerk.toml"


def test_a_folder_without_a_project(tmp_path: Path) -> None:
    expected = f"no liftwerk.toml in the folder: {tmp_path}: try `liftwerk init`"
    assert fails(tmp_path) == expected


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing yet\n"])
def test_an_empty_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "liftwerk.toml").write_text(text)
    line = "the project file is empty: liftwerk.toml: add [project] with a name"
    assert fails(tmp_path) == line


def test_no_project_table(tmp_path: Path) -> None:
    (tmp_path / "liftwerk.toml").write_text(VISIT)
    line = "no [project] is declared: liftwerk.toml: add [project] with name and currency"
    assert fails(tmp_path) == line


def test_wrong_encoding(tmp_path: Path) -> None:
    (tmp_path / "liftwerk.toml").write_bytes('[project]\nname = "Käse"\n'.encode("latin-1"))
    assert fails(tmp_path) == "not UTF-8: liftwerk.toml:2: save the file as UTF-8"


def test_utf_16(tmp_path: Path) -> None:
    (tmp_path / "liftwerk.toml").write_bytes(HEAD.encode("utf-16"))
    assert fails(tmp_path) == "not UTF-8: liftwerk.toml:1: save the file as UTF-8"


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    folder = lay(tmp_path, visit=VISIT)
    (folder / "liftwerk.toml").write_bytes(b"\xef\xbb\xbf" + HEAD.encode())
    assert load(folder, SECTIONS).name == "shop"


def test_windows_line_ends(tmp_path: Path) -> None:
    (tmp_path / "liftwerk.toml").write_bytes(b'[project]\r\nname = "shop"\r\ncurency = "EUR"\r\n')
    line = "unknown key 'curency' in [project]: liftwerk.toml:3: did you mean 'currency'?"
    assert fails(tmp_path) == line


def test_an_unfinished_file(tmp_path: Path) -> None:
    (tmp_path / "liftwerk.toml").write_text('[project]\nname = """shop\n\n')
    assert fails(tmp_path).startswith("not valid TOML, ")
    assert "liftwerk.toml:4" in fails(tmp_path)


def test_the_file_may_be_named(tmp_path: Path) -> None:
    folder = lay(tmp_path, main=HEAD, visit=VISIT)
    project = load(folder / "liftwerk.toml", SECTIONS)
    assert project.root == folder
    assert project.home == folder / ".liftwerk"


def test_included_files_are_joined(tmp_path: Path) -> None:
    project = load(lay(tmp_path, main=HEAD + VISIT, order=ORDER), SECTIONS)
    assert list(project.get(EVENTS)) == ["visit", "order"]


def test_an_error_names_the_included_file(tmp_path: Path) -> None:
    folder = lay(tmp_path, main=HEAD, visit=VISIT.replace("version", "versoin"))
    line = "unknown key 'versoin' in [events.visit]: parts/visit.toml:2: did you mean 'version'?"
    assert fails(folder) == line


def test_a_name_in_two_files(tmp_path: Path) -> None:
    folder = lay(tmp_path, main=HEAD, a=ORDER, b=VISIT + ORDER)
    line = "events.order is declared twice: parts/b.toml:4: also in parts/a.toml:1: keep one"
    assert fails(folder) == line


def test_a_single_table_in_two_files(tmp_path: Path) -> None:
    folder = lay(tmp_path, main=HEAD + '[store]\nhome = "a"\n', a='[store]\nhome = "b"\n')
    line = "store is declared twice: parts/a.toml:1: also in liftwerk.toml:5: keep one"
    assert fails(folder) == line


def test_project_in_an_included_file(tmp_path: Path) -> None:
    folder = lay(tmp_path, main=HEAD, a='[project]\ntimezone = "UTC"\n')
    line = "project is declared twice: parts/a.toml:1: also in liftwerk.toml:1: keep one"
    assert fails(folder) == line


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("parts/*.tml", "no file matches it"),
        ("../*.toml", "name files inside the project's folder"),
        ("/etc/*.toml", "name files inside the project's folder"),
    ],
)
def test_include_patterns(tmp_path: Path, pattern: str, hint: str) -> None:
    folder = lay(tmp_path, main=HEAD.replace("parts/*.toml", pattern), a=VISIT)
    assert fails(folder) == f"project.include[0] is {pattern!r}: liftwerk.toml:4: {hint}"


def test_the_main_file_is_not_included_again(tmp_path: Path) -> None:
    folder = lay(tmp_path, main=HEAD.replace("parts/*.toml", "*.toml") + VISIT)
    assert problems(folder, SECTIONS) == []


def test_an_unreadable_include_is_named(tmp_path: Path) -> None:
    folder = lay(tmp_path, main=HEAD, a=VISIT + "oops\n")
    assert fails(folder).startswith("not valid TOML, ")
    assert ": parts/a.toml:4: " in fails(folder)

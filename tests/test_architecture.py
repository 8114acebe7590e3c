"""The package's shape: rooms, their order, what they may load, and rules that a file can keep."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
import xml.etree.ElementTree
from collections.abc import Iterator
from pathlib import Path

import pytest

import liftwerk
from liftwerk.faults import SITES

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "liftwerk"
FILES = sorted(PACKAGE.rglob("*.py"))
LINES_MAX = 450
PUBLIC_NAMES_MAX = 9
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc", "core"}
HEAVY = (
    "deltalake",
    "duckdb",
    "granian",
    "lightgbm",
    "litestar",
    "numpy",
    "pandas",
    "pyarrow",
    "scipy",
    "sklearn",
    "sqlalchemy",
)
ROOMS_OF_ONE_FILE = {"loop"}
NOT_IN_BASE = ("mlflow", "pandas", "polars", "scikit-learn", "sqlalchemy", "pydantic", "torch")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def rooms_on_disk() -> set[str]:
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    return folders | {path.stem for path in PACKAGE.glob("*.py") if path.stem in ROOMS_OF_ONE_FILE}


def layers() -> list[set[str]]:
    """Return the import contract's layers, lowest first."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (contract,) = (
        contract
        for contract in config["tool"]["importlinter"]["contracts"]
        if contract["type"] == "layers"
    )
    return [set(re.findall(r"\w+", layer)) for layer in reversed(contract["layers"])]


def rooms_in_docstring() -> list[str]:
    return re.findall(r"^- `(\w+)`: \S.*\.$", liftwerk.__doc__ or "", flags=re.MULTILINE)


def test_docstring_lists_the_rooms_on_disk() -> None:
    listed = rooms_in_docstring()
    assert len(listed) == len(set(listed))
    assert set(listed) | {"simulation"} == rooms_on_disk()


def test_docstring_lists_the_rooms_in_the_order_of_the_import_contract() -> None:
    height = {room: number for number, layer in enumerate(layers()) for room in layer}
    heights = [height[room] for room in rooms_in_docstring()]
    assert heights == sorted(heights)


def test_import_contract_names_what_is_on_disk() -> None:
    files = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    assert set().union(*layers()) == rooms_on_disk() | files


def test_picture_shows_the_rooms_in_the_same_order() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    assert "images/data-flow.svg" in text
    picture = xml.etree.ElementTree.parse(ROOT / "docs" / "images" / "data-flow.svg")
    drawn = [element.get("data-room") for element in picture.iter() if element.get("data-room")]
    assert drawn == rooms_in_docstring()
    words = " ".join(picture.getroot().itertext())
    for room in drawn:
        assert re.search(rf"\b{room}\b", words), f"{room} has a shape without a name"


def test_architecture_page_says_a_sentence_about_every_room() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| \S.*\|$", text, flags=re.MULTILINE)
    assert rows == rooms_in_docstring()


@pytest.mark.parametrize("room", sorted(rooms_on_disk() - ROOMS_OF_ONE_FILE))
def test_room_opens_with_a_paragraph_and_few_names(room: str) -> None:
    tree = ast.parse((PACKAGE / room / "__init__.py").read_text())
    docstring = ast.get_docstring(tree) or ""
    assert len(docstring.split()) >= 15, "say what the room does and what it leaves to others"
    (names,) = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__"
    )
    assert 0 < len(names) <= PUBLIC_NAMES_MAX
    module = __import__(f"liftwerk.{room}", fromlist=names)
    for name in names:
        assert getattr(module, name) is not None


def test_the_door_has_few_names_and_each_opens() -> None:
    assert len(liftwerk.__all__) <= PUBLIC_NAMES_MAX
    for name in liftwerk.__all__:
        assert getattr(liftwerk, name) is not None


def lazy_places(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        if re.fullmatch(r"liftwerk(\.\w+)+", node.value):
            yield node.value


def test_lazy_names_stay_below_what_may_be_imported() -> None:
    """A name given as text is not seen by the import contract, so it is held to it here."""
    height = {room: number for number, layer in enumerate(layers()) for room in layer}
    wrong = []
    for path in FILES:
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if room == "__init__":
            continue
        for place in lazy_places(ast.parse(path.read_text())):
            other = place.split(".")[1]
            if not (PACKAGE / other).exists() and not (PACKAGE / f"{other}.py").exists():
                continue  # a file or a logger, not a module
            if height[other] > height[room]:
                wrong.append(f"{name_of(path)}: {place}")
    assert wrong == []


def indented_imports(tree: ast.Module) -> Iterator[int]:
    for outer in ast.walk(tree):
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for node in ast.walk(outer):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    yield node.lineno


def test_no_import_hides_in_a_function() -> None:
    found = {
        f"{name_of(path)}:{line}"
        for path in FILES
        for line in indented_imports(ast.parse(path.read_text()))
    }
    assert found == set()


def test_files_can_be_read_at_a_sitting() -> None:
    long = {
        name_of(path): lines
        for path in FILES
        if (lines := path.read_text().count("\n")) > LINES_MAX
    }
    assert long == {}


def test_no_module_has_an_empty_name() -> None:
    assert [name_of(path) for path in FILES if path.stem in EMPTY_NAMES] == []
    folders = [path for path in PACKAGE.rglob("*") if path.is_dir()]
    assert [name_of(path) for path in folders if path.name in EMPTY_NAMES] == []


def test_every_fault_site_is_used_and_listed() -> None:
    used = [
        node.args[0].value
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") == "fault"
        and isinstance(node.args[0], ast.Constant)
    ]
    assert set(used) == set(SITES)


LOADED = (
    "import json, sys; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
)


def loaded_by(program: str) -> set[str]:
    """Return the top-level modules that a fresh process holds after a program."""
    # The working folder must not matter, and a test's own settings must not leak in.
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\n{LOADED}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_help_loads_nothing_heavy() -> None:
    program = (
        "from liftwerk.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as end: assert end.code in (0, None), end.code"
    )
    assert loaded_by(program).isdisjoint({*HEAVY, "msgspec"})


def test_a_command_starts_without_what_it_does_not_need(tmp_path: Path) -> None:
    """Half of its time, otherwise, for modules of which few commands need any."""
    (tmp_path / "liftwerk.toml").write_text('[project]\nname = "shop"\ncurrency = "EUR"\n')
    program = f"""
import sys
from liftwerk.cli import main
sys.argv = ["liftwerk", "effects", "--project", {str(tmp_path)!r}]
try: main()
except SystemExit as end: assert end.code in (0, None), end.code
heavy = ("ibis", "lightgbm", "pandas", "scipy.linalg", "scipy.optimize", "scipy.stats")
assert not [one for one in heavy if one in sys.modules], sys.modules.keys()
"""
    assert {"duckdb", "numpy", "pyarrow"} <= loaded_by(program)


@pytest.mark.parametrize(
    "module",
    ["liftwerk", *sorted(f"liftwerk.{path.stem}" for path in PACKAGE.glob("[a-z]*.py"))],
)
def test_light_modules_load_nothing_heavy(module: str) -> None:
    if module.rpartition(".")[2] in ROOMS_OF_ONE_FILE:
        return  # they wire the heavy parts
    assert loaded_by(f"import {module}").isdisjoint(HEAVY)


def test_base_install_stays_small() -> None:
    locked = (ROOT / "requirements" / "base.lock.txt").read_text()
    names = set(re.findall(r"^([\w.-]+)==", locked, flags=re.MULTILINE))
    assert names.isdisjoint(NOT_IN_BASE)
    development = (ROOT / "requirements" / "dev.lock.txt").read_text()
    base = set(re.findall(r"^[\w.-]+==[^ ;\\]+", locked, flags=re.MULTILINE))
    assert base <= set(re.findall(r"^[\w.-]+==[^ ;\\]+", development, flags=re.MULTILINE))


def test_lock_files_are_hashed_and_name_no_address() -> None:
    for path in (ROOT / "requirements").glob("*.lock.txt"):
        text = path.read_text()
        pins = re.findall(r"^[\w.-]+==.*(?:\n    .*)*", text, flags=re.MULTILINE)
        assert pins, name_of(path)
        assert all("--hash=sha256:" in pin for pin in pins), name_of(path)
        assert "://" not in text, name_of(path)


def tracked_texts() -> Iterator[tuple[str, str]]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in listed.stdout.decode().split("\0"):
        path = ROOT / name
        if not name or not path.is_file():
            continue
        try:
            yield name, path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")
def test_no_file_names_this_machine_or_a_registry() -> None:
    hosts = (
        "pypi" + ".org",
        "python" + "hosted.org",
        "registry.npm" + "js.org",
        "deb.deb" + "ian.org",
    )
    # The parents too: a sibling folder's path is as much this machine's as our own.
    places = {f"{ROOT}/", f"{ROOT.parent}/", f"{os.path.expanduser('~')}/", "/ro" + "ot/"}
    places = {place for place in places if place.count("/") > 1 and place not in {"/tmp/", "//"}}
    found = [
        f"{name}: {word}"
        for name, text in tracked_texts()
        for word in (*hosts, *places)
        if word in text
    ]
    assert found == []

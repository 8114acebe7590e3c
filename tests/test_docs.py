"""The documentation keeps up with the code: no command, key, error or link without its place."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from liftwerk import errors
from liftwerk.cli.main import app
from liftwerk.sections import SECTIONS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md"), *ROOT.glob("requirements/*.md")])


@cache
def generate() -> ModuleType:
    """Load docs/generate.py, which is no part of the package."""
    place = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert place is not None
    assert place.loader is not None
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


def page(path: Path) -> str:
    return str(generate().on_page_markdown(path.read_text(encoding="utf-8")))


def id_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_every_command_has_its_place() -> None:
    text = page(DOCS / "reference" / "cli.md")
    for path in generate().paths(app, ()):
        assert f"## `{' '.join(('liftwerk', *path))}`" in text


def test_every_key_of_the_project_file_has_its_place() -> None:
    text = page(DOCS / "reference" / "project-file.md")
    for section in SECTIONS:
        _, found, part = text.partition(f"{{ #{section.name} }}")
        assert found, section.name
        part = part.partition("\n## ")[0]
        for field in msgspec.structs.fields(section.type):
            assert f"| `{field.encode_name}` |" in part, f"{section.name}.{field.encode_name}"


def test_every_error_has_its_place() -> None:
    text = page(DOCS / "reference" / "errors.md")
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, errors.LiftwerkError):
            assert f"| `{name}` |" in text
            assert text.count(name) >= 2, f"{name} is missing in the drawing"


def code_of(text: str) -> str:
    """Return what a page sets as code, where commands are named."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))
    return "\n".join([*blocks, *spans])


@pytest.mark.parametrize("path", PAGES, ids=id_of)
def test_no_page_names_a_command_that_is_not_there(path: Path) -> None:
    known = {" ".join(command) for command in generate().paths(app, ())}
    groups = {command.split()[0] for command in known if " " in command}
    for line in code_of(path.read_text(encoding="utf-8")).splitlines():
        found = re.match(r"^\s*(?:\$ )?(?:id=\"?\$\()?liftwerk ([a-z]+)(?: ([a-z-]+)\b)?", line)
        if found is None:
            continue
        command, rest = found.groups()
        if command in groups and rest is not None:
            command = f"{command} {rest}"
        assert command in known, line


@pytest.mark.parametrize("path", PAGES, ids=id_of)
def test_links_between_files_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        if "://" not in target and not target.startswith("mailto:"):
            assert (path.parent / target).exists(), target


@pytest.mark.slow
def test_built_pages_ask_no_other_host(tmp_path: Path) -> None:
    """Everything a page loads by itself comes with it."""
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path],
        cwd=ROOT,
        check=True,
    )
    loads = re.compile(
        r"""<(?:script|img|iframe|source)[^>]+\bsrc=["']?(?:https?:)?//"""
        r"""|<link[^>]+rel=["']?(?:stylesheet|preload|preconnect)[^>]+href=["']?(?:https?:)?//"""
        r"""|url\(["']?(?:https?:)?//|@import""",
    )
    for built in [*tmp_path.rglob("*.html"), *tmp_path.rglob("*.css")]:
        found = loads.search(built.read_text(encoding="utf-8"))
        assert found is None, f"{built.relative_to(tmp_path)}: {found}"

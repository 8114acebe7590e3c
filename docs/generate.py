"""Fill the reference pages from the code, so that no page says what the code no longer does.

MkDocs calls `on_page_markdown`; a page asks for a part by a line ``<!-- generated: NAME -->``.
"""

from __future__ import annotations

import inspect
import io
import re
import types
import typing
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from cyclopts import App
from rich.console import Console

from liftwerk import errors
from liftwerk.cli.main import EXIT_CODES, app
from liftwerk.definitions.section import Section
from liftwerk.definitions.typed import TypedString
from liftwerk.sections import SECTIONS

MARKER = re.compile(r"^<!-- generated: ([\w-]+) -->$", flags=re.MULTILINE)
HELP_COLUMNS = 88


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the generated parts in the place of their markers."""
    return MARKER.sub(lambda found: PARTS[found.group(1)](), markdown)


# ---------------------------------------------------------------------------- the project file


def project_file() -> str:
    """Return a part for each section: every key with its type, default and meaning."""
    return "\n".join(line for section in SECTIONS for line in _section(section))


def _section(section: Section[Any]) -> Iterator[str]:
    name = section.name
    if section.many:
        name = f"{section.name}.NAME"
    yield f"## `[{name}]` {{ #{section.name} }}\n"
    yield from _struct(section.type, name, {})


def _intro(struct: type[Any]) -> str:
    """Return what a struct's docstring says before its attributes, or else its module's."""
    text = (inspect.getdoc(struct) or "").partition("Attributes\n---")[0].strip()
    if text.startswith("``[") and ": " not in text:
        text = inspect.getdoc(inspect.getmodule(struct)) or ""
    if text.startswith("``["):  # the heading names the table already
        text = text.partition(": ")[2]
    return _markdown(text[:1].upper() + text[1:])


def _struct(struct: type[Any], name: str, seen: dict[type[Any], str]) -> Iterator[str]:
    if struct in seen:
        yield f"The same as `{seen[struct]}`.\n"
        return
    seen[struct] = name
    documentation = inspect.getdoc(struct) or ""
    yield _intro(struct) + "\n"
    said = attributes(documentation)
    yield "| key | type | default | what it says |"
    yield "|---|---|---|---|"
    nested: list[tuple[str, type[Any]]] = []
    hints = typing.get_type_hints(struct)
    for field in msgspec.structs.fields(struct):
        hint = hints[field.name]
        text = said[field.name].replace("|", "\\|")
        yield (f"| `{field.encode_name}` | {_type(hint)} | {_default(field)} | {_markdown(text)} |")
        nested.extend((_place(name, field, hint), inner) for inner in _structs(hint))
    yield ""
    for place, inner in nested:
        yield f"### `{place}`\n"
        yield from _struct(inner, place, seen)


def attributes(documentation: str) -> dict[str, str]:
    """Return what a NumPy-style docstring says of each attribute."""
    _, _, part = documentation.partition("Attributes\n----------\n")
    said: dict[str, str] = {}
    names: list[str] = []
    for line in part.splitlines():
        if not line.strip():
            continue
        if line.startswith("---"):  # the next part's heading stands above it
            break
        if not line.startswith(" "):
            names = [name.strip() for name in line.partition(" : ")[0].split(",")]
            continue
        for name in names:
            said[name] = f"{said.get(name, '')} {line.strip()}".strip()
    return said


def _place(name: str, field: msgspec.structs.FieldInfo, hint: Any) -> str:
    if typing.get_origin(hint) is dict:
        return f"{name}.{field.encode_name}.NAME"
    if typing.get_origin(hint) in (tuple, list):
        return f"{name}.{field.encode_name}[]"
    return f"{name}.{field.encode_name}"


def _structs(hint: Any) -> Iterator[type[Any]]:
    """Yield the structs inside a type that a reader writes as a table."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        yield hint
        return
    for inner in typing.get_args(hint):
        yield from _structs(inner)


def _type(hint: Any) -> str:
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        return ", ".join(f"`{value}`" for value in typing.get_args(hint))
    if origin in (types.UnionType, typing.Union):
        parts = [_type(part) for part in typing.get_args(hint) if part is not type(None)]
        return " or ".join(parts)
    if origin in (tuple, list):
        return "list of " + _type(typing.get_args(hint)[0])
    if origin is dict:
        return "table of name = " + _type(typing.get_args(hint)[1])
    if issubclass(hint, msgspec.Struct):
        if hasattr(hint, "shorthand"):
            return "table, or its short form"
        return "table"
    return TYPES.get(hint, hint.__name__.lower())


TYPES = {
    Any: "any value",
    str: "text",
    int: "integer",
    bool: "true or false",
    float: "number",
    Decimal: "amount",
    datetime: "time in UTC",
}


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "*required*"
    value = field.default
    if value is msgspec.NODEFAULT:
        value = field.default_factory()
    if value in (None, "", (), {}, []):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, msgspec.Struct):
        return ""
    if isinstance(value, str | TypedString):
        return f'`"{value}"`'
    return f"`{value}`"


def _markdown(text: str) -> str:
    return text.replace("``", "`")


# ---------------------------------------------------------------------------- the command line


def commands() -> str:
    """Return the help text of every command, as the terminal prints it."""
    parts = []
    for path in paths(app, ()):
        name = " ".join(("liftwerk", *path))
        parts.append(f"## `{name}` {{ #{'-'.join(('liftwerk', *path))} }}\n")
        parts.append(f"```text\n{help_text(path)}\n```\n")
    return "\n".join(parts)


def paths(group: App, above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the path of every command below a group, each group before its own commands."""
    yield above
    for name in group:
        if name.startswith("-"):
            continue
        yield from paths(group[name], (*above, name))


def help_text(path: tuple[str, ...]) -> str:
    """Return what ``liftwerk PATH --help`` prints."""
    text = io.StringIO()
    console = Console(file=text, width=HELP_COLUMNS, color_system=None, force_terminal=False)
    app.help_print(list(path), console=console)
    return text.getvalue().strip()


# ---------------------------------------------------------------------------- errors


def error_family() -> str:
    """Return the drawn family of errors, from the docstring of its file."""
    documentation = inspect.getdoc(errors) or ""
    drawing = [line for line in documentation.splitlines() if line.startswith("    ")]
    return "```text\n" + "\n".join(line[4:] for line in drawing) + "\n```\n"


def exit_codes() -> str:
    """Return every error with what it means and the exit code it gives."""
    lines = ["| error | means | exit code |", "|---|---|---|"]
    for name, kind in vars(errors).items():
        if not inspect.isclass(kind) or not issubclass(kind, errors.LiftwerkError):
            continue
        code = next((code for family, code in EXIT_CODES if issubclass(kind, family)), 3)
        meaning = (inspect.getdoc(kind) or "").partition("\n")[0]
        lines.append(f"| `{name}` | {_markdown(meaning)} | {code} |")
    return "\n".join(lines) + "\n"


# ---------------------------------------------------------------------------- decisions


def decisions() -> str:
    """Return a line for each page of a decision."""
    lines = []
    for page in sorted((Path(__file__).parent / "decisions").glob("0*.md")):
        title = page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        lines.append(f"- [{title}]({page.name})")
    return "\n".join(lines) + "\n"


# ---------------------------------------------------------------------------- the tour


def tour() -> str:
    """Return the README's tour, which a test executes; one heading level up."""
    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    part = text.partition("## A tour in five minutes\n")[2].partition("\n## ")[0]
    return part.strip().replace("\n### ", "\n## ") + "\n"


PARTS = {
    "project-file": project_file,
    "commands": commands,
    "error-family": error_family,
    "exit-codes": exit_codes,
    "decisions": decisions,
    "tour": tour,
}

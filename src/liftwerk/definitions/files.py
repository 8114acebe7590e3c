"""The project's files -> one table of values, each with the place where it was written."""

from __future__ import annotations

import glob
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from liftwerk.definitions.lines import Path, index
from liftwerk.definitions.problem import Problem, dotted
from liftwerk.errors import DefinitionError

NAME = "liftwerk.toml"
"""The file that makes a folder a project."""

_AT = re.compile(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)$")


_TWICE = re.compile(r"Cannot declare \((.*)\) twice")
_KEY = r"'([^']*)'"


class Places:
    """Where each path was written, over all files."""

    def __init__(self, main: str) -> None:
        self.main = main
        self.found: dict[Path, tuple[str, int]] = {}

    def of(self, path: Path) -> tuple[str, int | None]:
        """Return file and line of a path, or of the nearest table around it."""
        for end in range(len(path), 0, -1):
            place = self.found.get(path[:end])
            if place is not None:
                return place
        return (self.main, None)

    def standing_for(self, written: Mapping[Path, Path]) -> Places:
        """Return the same places, and those of paths that nobody wrote: where they come from."""
        more = Places(self.main)
        more.found = dict(self.found)
        for path, origin in written.items():
            file, line = self.of(origin)
            if line is not None:
                more.found[path] = (file, line)
        return more


class Sources:
    """All values of a project before they are understood."""

    def __init__(self, main: str) -> None:
        self.values: dict[str, Any] = {}
        self.places = Places(main)
        self.problems: list[Problem] = []

    def add(self, values: Mapping[str, Any], lines: Mapping[Path, int], file: str) -> None:
        """Merge one file: tables of names are joined, the same name twice is a problem."""
        for section, content in values.items():
            present = self.values.get(section)
            if present is None:
                self.values[section] = content
            elif _holds_names(present) and _holds_names(content):
                for name in set(present) & set(content):
                    self._twice((section, name), lines, file)
                self.values[section] = {**present, **content}
            else:
                self._twice((section,), lines, file)
        for path, line in lines.items():
            self.places.found.setdefault(path, (file, line))

    def _twice(self, path: tuple[str, ...], lines: Mapping[Path, int], file: str) -> None:
        first, line = self.places.of(path)
        hint = f"also in {Problem('', first, line, '', '').where}: keep one"
        key = dotted(path)
        self.problems.append(Problem(f"{key} is declared twice", file, lines.get(path), key, hint))


def _holds_names(content: object) -> bool:
    """Say whether a section is a table of named tables, as [features.x] makes it."""
    return isinstance(content, dict) and all(isinstance(item, dict) for item in content.values())


def find(path: FilePath) -> FilePath:
    """Return the project file of a folder, or the file itself.

    Raises
    ------
    DefinitionError
        If there is none.
    """
    if path.is_dir():
        file = path / NAME
        if not file.is_file():
            raise DefinitionError(f"no {NAME} in the folder", str(path), "try `liftwerk init`")
        return file
    if not path.is_file():
        raise DefinitionError(
            "no such project", str(path), "name a folder that holds liftwerk.toml"
        )
    return path


def read(file: FilePath) -> Sources:
    """Read a project file and what it includes.

    Parameters
    ----------
    file : pathlib.Path
        The project file.

    Returns
    -------
    Sources
        Values, places, and the problems found between files.

    Raises
    ------
    DefinitionError
        If a file cannot be read as TOML at all.
    """
    root = file.parent
    sources = Sources(file.name)
    main = _parse(file, file.name, sources)
    if not main:
        raise DefinitionError("the project file is empty", file.name, "add [project] with a name")
    project = main.get("project")
    if not isinstance(project, dict):
        return sources
    patterns = project.get("include", [])
    if not isinstance(patterns, list):
        return sources
    done = {file.resolve()}
    for place, pattern in enumerate(patterns):
        for included in _matches(root, pattern, place, sources):
            if included.resolve() in done:
                continue
            done.add(included.resolve())
            _parse(included, included.relative_to(root).as_posix(), sources)
    return sources


def _matches(root: FilePath, pattern: object, place: int, sources: Sources) -> list[FilePath]:
    if not isinstance(pattern, str):
        return []
    path: Path = ("project", "include", place)
    parts = FilePath(pattern).parts
    hint = ""
    found: list[str] = []
    if FilePath(pattern).is_absolute() or ".." in parts:
        hint = "name files inside the project's folder"
    else:
        found = sorted(glob.glob(pattern, root_dir=root, recursive=True))
        if not found:
            hint = "no file matches it"
    if hint:
        what = f"{dotted(path)} is {pattern!r}"
        sources.problems.append(Problem(what, *sources.places.of(path), dotted(path), hint))
    return [root / name for name in found if (root / name).is_file()]


def _parse(file: FilePath, label: str, sources: Sources) -> dict[str, Any]:
    """Parse one file into the sources; return its own values."""
    try:
        text = file.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise DefinitionError("not UTF-8", f"{label}:{line}", "save the file as UTF-8") from None
    except OSError as error:
        reason = str(error.strerror).lower()
        raise DefinitionError(f"cannot read the file ({reason})", str(file), "") from None
    text = text.removeprefix("\ufeff")
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _syntax(str(error), text, label) from None
    try:
        lines = index(text)
    except (ValueError, IndexError):
        # Exotic but valid TOML: the file's name alone must do.
        lines = {}
    sources.add(values, lines, label)
    return values


def _syntax(message: str, text: str, label: str) -> DefinitionError:
    """Turn the parser's words into one line with the place first."""
    match = _AT.search(message)
    line = text.count("\n") + 1
    said = message
    if match is not None:
        said = message[: match.start()]
        if match[1] is not None:
            line = int(match[1])
    said = " ".join(said.split())
    twice = _TWICE.fullmatch(said)
    if twice is not None:
        said = f"[{'.'.join(re.findall(_KEY, twice[1]))}] is declared twice"
    said = said.replace("Cannot overwrite a value", "a key is written twice")
    said = said[:1].lower() + said[1:]
    column = ""
    if match is not None and match[2] is not None:
        column = f"look at column {match[2]}"
    return DefinitionError(f"not valid TOML, {said}", f"{label}:{line}", column)

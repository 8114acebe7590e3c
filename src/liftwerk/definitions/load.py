"""Project file or Python values -> a checked `Project`.

Three passes: first every value is read as its type; only when all are sound, what stands for
several definitions is expanded to them; and then the sections' checks look at references and rules.
So one misspelt key is one problem and not a dozen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any

from msgspec.structs import fields

from liftwerk.definitions.decode import WRONG, decode
from liftwerk.definitions.files import NAME, Sources, find, read
from liftwerk.definitions.lines import Path
from liftwerk.definitions.problem import Problem, dotted, shown
from liftwerk.definitions.project import PROJECT, Project
from liftwerk.definitions.section import Section, is_name
from liftwerk.errors import did_you_mean

PYTHON = "<python>"
"""Stands for the file where a project was built in Python."""


def load(path: FilePath | str, sections: Sequence[Section[Any]]) -> Project:
    """Load a project.

    Parameters
    ----------
    path : path-like
        The project's folder, or its file.
    sections : sequence of Section
        Every section that may be in it.

    Returns
    -------
    Project
        Decoded and checked.

    Raises
    ------
    DefinitionError
        The first problem, if there is any.
    """
    file = find(FilePath(path)).absolute()
    return _first_or_project(file.parent, file, read(file), sections)


def problems(path: FilePath | str, sections: Sequence[Section[Any]]) -> list[Problem]:
    """Return everything that is wrong with a project; an empty list when it is sound.

    Raises
    ------
    DefinitionError
        If a file cannot be read as TOML at all.
    """
    file = find(FilePath(path)).absolute()
    _, found = _make(file.parent, file, read(file), sections)
    return found


def build(
    values: Mapping[str, Any], sections: Sequence[Section[Any]], root: FilePath | str = "."
) -> Project:
    """Make a project from Python values, with the same structs and checks as a file.

    Parameters
    ----------
    values : mapping
        Section -> values, as in the file; structs and typed values may stand for their plain form.
    sections : sequence of Section
        Every section that may be in it.
    root : path-like
        The folder that relative paths start from.

    Returns
    -------
    Project
        Decoded and checked.

    Raises
    ------
    DefinitionError
        The first problem, if there is any.

    Examples
    --------
    >>> build({"project": {"name": "shop", "currency": "EUR"}}, [PROJECT]).currency
    'EUR'
    """
    folder = FilePath(root).absolute()
    sources = Sources(PYTHON)
    sources.values = dict(values)
    return _first_or_project(folder, folder / NAME, sources, sections)


def _first_or_project(
    root: FilePath, file: FilePath, sources: Sources, sections: Sequence[Section[Any]]
) -> Project:
    project, found = _make(root, file, sources, sections)
    if found:
        raise found[0].error()
    return project


def _make(
    root: FilePath, file: FilePath, sources: Sources, sections: Sequence[Section[Any]]
) -> tuple[Project, list[Problem]]:
    if PROJECT not in sections:
        sections = (PROJECT, *sections)
    found = list(sources.problems)

    def report(path: Path, what: str, hint: str) -> None:
        found.append(Problem(what, *sources.places.of(path), dotted(path), hint))

    known = {section.name: section for section in sections}
    for name in sources.values:
        if name not in known:
            report((name,), f"unknown section [{name}]", did_you_mean(name, known))
    values = {name: _section(known[name], sources.values, report) for name in known}
    project = Project(root, file, sections, values, sources.places)
    for section in sections:
        if not found:
            project, wrong = _expanded(project, section)
            found.extend(wrong)
    if not found:
        for section in sections:
            if section.check is not None:
                found.extend(section.check(project))
    return project, sorted(found, key=_order(sources.places.main))


def _expanded(project: Project, section: Section[Any]) -> tuple[Project, list[Problem]]:
    """Add what a section stands for to a project, or say what is wrong with it."""
    wrong: list[Problem] = []
    if section.expand is not None:
        for made in list(section.expand(project)):
            if isinstance(made, Problem):
                wrong.append(made)
            else:
                project = project.with_definition(made.section, made.name, made.value, made.written)
    return project, wrong


def _order(main: str) -> Any:
    """Sort by place: the main file first, then line."""

    def key(problem: Problem) -> tuple[bool, str, int]:
        line = 0
        if problem.line is not None:
            line = problem.line
        return (problem.file != main, problem.file, line)

    return key


def _section(section: Section[Any], values: Mapping[str, Any], report: Any) -> Any:
    path = (section.name,)
    if section.name not in values:
        return _absent(section, report)
    value = values[section.name]
    if not section.many:
        decoded = decode(section.type, value, path, report)
        if decoded is WRONG:
            return None
        return decoded
    if not isinstance(value, Mapping):
        report(path, f"{section.name} is {shown(value)}", f"write tables, [{section.name}.NAME]")
        return {}
    named = {}
    for name, item in value.items():
        if not is_name(name):
            what = f"the name {name!r} in [{section.name}] cannot be used"
            report((*path, name), what, "use lower case letters, digits and _, a letter first")
        decoded = decode(section.type, item, (*path, name), report)
        if decoded is not WRONG:
            named[name] = decoded
    return named


def _absent(section: Section[Any], report: Any) -> Any:
    if section.many:
        return {}
    if section is PROJECT:
        report((section.name,), "no [project] is declared", "add [project] with name and currency")
        return None
    if any(field.required for field in fields(section.type)):
        return None
    return section.type()

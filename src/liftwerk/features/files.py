"""The files of a user's own statements and functions: found, and judged before they are run."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from liftwerk.definitions.lines import Path as Place
from liftwerk.definitions.problem import Problem
from liftwerk.definitions.project import Project
from liftwerk.errors import did_you_mean
from liftwerk.features.definition import FeatureDefinition

ASKED = "asked"
"""The table of the questions, beside those of the events."""


def file_of(project: Project, feature: FeatureDefinition) -> Path:
    """Return the file of a feature that is made by a statement or a function."""
    if feature.sql is not None:
        return project.root / feature.sql
    assert feature.python is not None
    return project.root / feature.python.rpartition(":")[0]


def check_file(project: Project, path: Place, feature: FeatureDefinition) -> Iterable[Problem]:
    """Find what is wrong with a statement or a function, as far as reading it tells."""
    word, written = "sql", str(feature.sql)
    if feature.python is not None:
        word, written = "python", feature.python
        if not written.rpartition(":")[0]:
            hint = 'write "FILE:FUNCTION", such as "features/spread.py:spread"'
            yield project.problem((*path, word), hint, written)
            return
    file = file_of(project, feature)
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        hint = f"no file that can be read at {file.name}, from the project's folder on"
        yield project.problem((*path, word), hint, written)
        return
    problem = _in_statement if feature.sql is not None else _in_function
    found = problem(text, feature, file.name)
    if found is not None:
        yield project.problem((*path, word), found, written)


def _in_statement(text: str, feature: FeatureDefinition, name: str) -> str | None:
    try:
        statements = [one for one in sqlglot.parse(text, read="duckdb") if one is not None]
    except SqlglotError as error:
        return f"{name} cannot be read: {str(error).partition(chr(10))[0]}"
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        return f"{name} has to hold one SELECT"
    known = {*feature.inputs, ASKED, *(one.alias for one in statements[0].find_all(exp.CTE))}
    for table in statements[0].find_all(exp.Table):
        if table.name not in known:
            hint = did_you_mean(table.name, known)
            return f"{name} reads {table.name!r}, which is none of its inputs: {hint}"
    return None


def _in_function(text: str, feature: FeatureDefinition, name: str) -> str | None:
    assert feature.python is not None
    wanted = feature.python.rpartition(":")[2]
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        return f"{name}:{error.lineno} cannot be read: {error.msg}"
    functions = {one.name: one for one in tree.body if isinstance(one, ast.FunctionDef)}
    if wanted not in functions:
        return f"no function {wanted!r} in {name}: {did_you_mean(wanted, functions)}"
    arguments = functions[wanted].args
    names = [one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    if names[1:] != list(feature.inputs) and arguments.kwarg is None:
        wants = ", ".join(("as_of", *feature.inputs))
        return f"{name}:{functions[wanted].lineno}: {wanted} has to take ({wants})"
    return None

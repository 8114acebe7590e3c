"""Which files an import means: one, those of a folder, or those that fit a pattern."""

from __future__ import annotations

from pathlib import Path

from liftwerk.connectors.definition import ImportDefinition, format_of
from liftwerk.errors import InputError


def files_of(root: Path, definition: ImportDefinition, file: Path | None = None) -> list[Path]:
    """List the files of an import, in the order of their names.

    Parameters
    ----------
    root : pathlib.Path
        The project's folder.
    definition : ImportDefinition
    file : pathlib.Path, optional
        A file or a folder instead of the declared one.

    Returns
    -------
    list of pathlib.Path
        At least one. Of a folder, and of the folders in it, those with a known ending.

    Raises
    ------
    InputError
        If there is none.
    """
    if file is not None:
        found, label = _inside(file, definition), str(file)
    elif any(sign in definition.file for sign in "*?["):
        pattern = Path(definition.file)
        start = root
        if pattern.is_absolute():
            start = Path(pattern.anchor)
            pattern = pattern.relative_to(start)
        found = [path for path in start.glob(str(pattern)) if path.is_file()]
        label = definition.file
    else:
        found, label = _inside(root / definition.file, definition), definition.file
    if not found:
        hint = "put the files there; known endings: .csv, .ndjson, .json, each also .gz, .parquet"
        raise InputError("no file to import", label, hint)
    return sorted(found)


def _inside(path: Path, definition: ImportDefinition) -> list[Path]:
    if not path.is_dir():
        return [path]
    return [
        one
        for one in path.rglob("*")
        if one.is_file() and (definition.format is not None or format_of(one.name) is not None)
    ]

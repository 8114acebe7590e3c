"""NDJSON: one flat object a line, read as text; what a line doesn't say is null."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from liftwerk.connectors.definition import ImportDefinition
from liftwerk.connectors.rows import Rows, demand, found, is_gzip, readable
from liftwerk.errors import InputError
from liftwerk.events.engine import text

_object = msgspec.json.Decoder(dict[str, Any])


def opened(
    path: Path, label: str, definition: ImportDefinition, wanted: Iterable[str], scratch: Path
) -> Rows:
    """Read an NDJSON file through; see `liftwerk.connectors.kinds.csv.opened`."""
    found(path, label)
    plain, _ = readable(path, label, definition.encoding, scratch)
    columns: dict[str, None] = {}
    for number, line in lines_of(plain):
        try:
            columns.update(dict.fromkeys(_object.decode(line)))
        except (ValueError, RecursionError):
            hint = "write one flat object a line"
            raise InputError("not a JSON object", f"{label}:{number}", hint) from None
    demand(list(columns), wanted, label)
    compression = "none"
    if is_gzip(plain):
        compression = "gzip"
    types = ", ".join(f"{text(column)}: 'VARCHAR'" for column in columns)
    sql = (
        f"SELECT * FROM read_json({text(str(plain))}, format = 'newline_delimited',"
        f" columns = {{{types}}}, compression = '{compression}')"
    )

    def explain(error: Exception) -> InputError:
        first = str(error).strip().partition("\n")[0]
        return InputError(f"the file cannot be read ({first})", label, "export it again")

    return Rows(tuple(columns), sql, explain)


def lines_of(path: Path) -> Iterator[tuple[int, bytes]]:
    """Return the lines of a file that say something, each with its number from 1."""
    reader: Any = open
    if is_gzip(path):
        reader = gzip.open
    with reader(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield number, line.strip()

"""CSV as RFC 4180 has it: a header, quotes doubled, the same number of fields in every row."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from pathlib import Path

from liftwerk.connectors.definition import ImportDefinition
from liftwerk.connectors.rows import Rows, demand, found, is_gzip, readable
from liftwerk.errors import InputError
from liftwerk.events.engine import text

_LINE = re.compile(r"CSV Error on Line: (\d+)")
_FIELDS = re.compile(r"Expected Number of Columns: (\d+) Found: (\d+)")


def opened(
    path: Path, label: str, definition: ImportDefinition, wanted: Iterable[str], scratch: Path
) -> Rows:
    """Read a CSV file through and return its rows.

    Parameters
    ----------
    path : pathlib.Path
        The file, plain or gzipped.
    label : str
        What to call it in messages.
    definition : ImportDefinition
        Says delimiter and encoding.
    wanted : iterable of str
        Columns that must be there.
    scratch : pathlib.Path
        A folder for a copy in UTF-8, where one is needed.

    Returns
    -------
    Rows
        Empty fields are null.

    Raises
    ------
    InputError
        If the file is not whole, not text, or lacks a column.
    """
    found(path, label)
    plain, head = readable(path, label, definition.encoding, scratch)
    header = next(csv.reader(io.StringIO(head), delimiter=definition.delimiter), [])
    if not header:
        raise InputError("the file is empty", label, "export it again")
    _demand_delimiter(header, definition, label)
    demand(header, wanted, label)
    types = ", ".join(f"{text(column)}: 'VARCHAR'" for column in header)
    compression = "none"
    if is_gzip(plain):
        compression = "gzip"
    sql = (
        f"SELECT * FROM read_csv({text(str(plain))}, columns = {{{types}}}, header = true,"
        f" auto_detect = false, delim = {text(definition.delimiter)}, quote = '\"', escape = '\"',"
        f" strict_mode = true, null_padding = false, compression = '{compression}')"
    )

    def explain(error: Exception) -> InputError:
        return _explained(str(error), label)

    return Rows(tuple(header), sql, explain)


def _demand_delimiter(header: list[str], definition: ImportDefinition, label: str) -> None:
    """Refuse a whole header in one field: it almost always means another delimiter."""
    if len(header) > 1:
        return
    for other in (",", ";", "\t", "|"):
        if other != definition.delimiter and other in header[0]:
            what = f"the header is one field: it has {other!r} and not {definition.delimiter!r}"
            raise InputError(what, label, f"set delimiter = {other!r}")


def _explained(message: str, label: str) -> InputError:
    where = label
    line = _LINE.search(message)
    if line is not None:
        where = f"{label}:{line[1]}"
    fields = _FIELDS.search(message)
    if fields is not None:
        what = f"a row of {fields[2]} fields under a header of {fields[1]}"
        return InputError(what, where, "mend the row, or export the file again")
    if "unterminated quote" in message:
        return InputError("a quote that is not closed", where, 'write a quote inside as ""')
    if "invalid state" in message:
        hint = "end every line alike, and double the quotes inside quotes"
        return InputError("not a CSV file as RFC 4180 has it", where, hint)
    first = message.strip().partition("\n")[0]
    return InputError(f"the file cannot be read ({first})", where, "export it again")

"""A file's rows, ready for one SELECT, whatever format they came in."""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from liftwerk.errors import InputError, did_you_mean

CHUNK = 1 << 20
"""Bytes that are decoded at once."""


@dataclass(frozen=True)
class Rows:
    """Rows as DuckDB sees them.

    Attributes
    ----------
    columns : tuple of str
        The file's columns.
    sql : str
        A SELECT of the columns as text, in the file's order.
    explain : callable
        Turns a DuckDB error met while reading into one line about the file.
    """

    columns: tuple[str, ...]
    sql: str
    explain: Callable[[Exception], InputError]


def found(path: Path, label: str) -> None:
    """Refuse a file that is not there, cannot be read, or is empty.

    Raises
    ------
    InputError
    """
    try:
        with open(path, "rb") as file:
            first = file.read(1)
    except FileNotFoundError:
        raise InputError("no such file", label, "put it there, or name another file") from None
    except OSError as error:
        what = f"the file cannot be read ({error.strerror})"
        raise InputError(what, label, "check the path and its permissions") from None
    if not first:
        raise InputError("the file is empty", label, "export it again")


def text_of(path: Path, label: str, encoding: str) -> Iterator[str]:
    """Read a text file through, plain or gzipped, a piece at a time.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    label : str
        What to call it in messages.
    encoding : str
        A name that Python knows.

    Yields
    ------
    str
        Pieces; no byte order mark.

    Raises
    ------
    InputError
        If it is truncated, damaged, or not text in this encoding.
    """
    try:
        codec = codecs.lookup(encoding)
    except LookupError:
        hint = 'write encoding = "utf-8" or "latin-1"'
        raise InputError(f"unknown encoding {encoding!r}", label, hint) from None
    decoder = codecs.getincrementaldecoder(codec.name)()
    lines = 1
    start = True
    for data in (*_bytes_of(path, label), b""):
        try:
            piece = decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            line = lines + error.object[: error.start].count(b"\n")
            hint = 'save it as UTF-8, or name its encoding, such as encoding = "latin-1"'
            raise InputError(f"not {encoding.upper()} text", f"{label}:{line}", hint) from None
        if "\0" in piece:
            line = lines + piece[: piece.index("\0")].count("\n")
            hint = 'name its encoding, such as encoding = "utf-16"'
            raise InputError("a NUL character: not plain text", f"{label}:{line}", hint)
        lines += piece.count("\n")
        if start and piece:
            piece = piece.removeprefix("\ufeff")
            start = False
        yield piece


def is_gzip(path: Path) -> bool:
    """Say whether a file begins as gzip files do, whatever its name."""
    with open(path, "rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _bytes_of(path: Path, label: str) -> Iterator[bytes]:
    packed = is_gzip(path)
    if not packed and path.suffix.lower() == ".gz":
        raise InputError("not a gzip file", label, "compress it again, or drop the .gz")
    with open(path, "rb") as plain:
        if not packed:
            yield from iter(lambda: plain.read(CHUNK), b"")
            return
        try:
            with gzip.open(plain, "rb") as unpacked:
                yield from iter(lambda: unpacked.read(CHUNK), b"")
        except EOFError:
            hint = "copy or export it again"
            raise InputError("the gzip file is truncated", label, hint) from None
        except (gzip.BadGzipFile, zlib.error) as error:
            hint = "copy or export it again"
            raise InputError(f"the gzip file is damaged ({error})", label, hint) from None


def readable(path: Path, label: str, encoding: str, scratch: Path) -> tuple[Path, str]:
    """Read a text file through, and have it as plain UTF-8.

    Parameters
    ----------
    path, label, encoding
        As in `text_of`.
    scratch : pathlib.Path
        A folder for a copy, where one is needed.

    Returns
    -------
    (pathlib.Path, str)
        The file that DuckDB reads (the same one when it is UTF-8), and the text's beginning.
    """
    pieces = text_of(path, label, encoding)
    head = ""
    if codecs.lookup(encoding).name == "utf-8":
        for piece in pieces:
            head = head or piece
        return path, head
    copy = scratch / "utf-8"
    with open(copy, "w", encoding="utf-8", newline="") as file:
        for piece in pieces:
            head = head or piece
            file.write(piece)
    return copy, head


def demand(columns: Sequence[str], wanted: Iterable[str], label: str) -> None:
    """Refuse a file whose header is not what the mapping needs.

    Raises
    ------
    InputError
        If a column has no name, has another's, or is missing.
    """
    for column in columns:
        if not column.strip():
            raise InputError("a column without a name", label, "name every column in the header")
        if sum(column.lower() == other.lower() for other in columns) > 1:
            hint = "give every column its own name"
            raise InputError(f"the column {column!r} is there twice", label, hint)
    missing = [column for column in wanted if column not in columns]
    if not missing:
        return
    others = [column for column in columns if column not in wanted]
    if len(missing) == 1:
        hint = did_you_mean(missing[0], others)
        raise InputError(f"no column {missing[0]!r}", label, hint)
    named = ", ".join(map(repr, missing))
    raise InputError(f"no columns {named}", label, did_you_mean(missing[0], others))

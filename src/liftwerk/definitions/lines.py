"""Where in a TOML text each key stands.

`tomllib` forgets lines, and an error without a line costs a reader minutes. This walks a text
that `tomllib` has already accepted, so it checks nothing; it only has to find keys again.
"""

from __future__ import annotations

import re
import tomllib

Path = tuple[str | int, ...]
"""Keys from the top; a number is a place in an array."""

_GAP = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_BLANKS = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BARE_VALUE = re.compile(r"[^,\]}\n#]*")
_STRING = re.compile(
    r'""""""|"""(?:[^\\]|\\.)*?"{3,5}|"(?:[^"\\]|\\.)*"'
    r"|'''.*?'{3,5}|'[^']*'",
    re.DOTALL,
)


def index(text: str) -> dict[Path, int]:
    r"""Map every table, key and array element to its line.

    Parameters
    ----------
    text : str
        A valid TOML document.

    Returns
    -------
    dict of tuple to int
        Path -> line, counted from 1, of the place where the path is first written.

    Examples
    --------
    >>> index('[shop]\nname = "a"\nsize = { wide = 1 }\n')[("shop", "size", "wide")]
    3
    """
    scanner = _Scanner(text)
    scanner.document()
    return scanner.lines


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text.replace("\r\n", "\n")
        self.at = 0
        self.line = 1
        self.lines: dict[Path, int] = {}
        self.elements: dict[Path, int] = {}

    def document(self) -> None:
        table: Path = ()
        self.skip(_GAP)
        while self.at < len(self.text):
            if self.peek("[["):
                self.step(2)
                table = self.header(element=True)
                self.step(2)
            elif self.peek("["):
                self.step(1)
                table = self.header(element=False)
                self.step(1)
            else:
                self.pair(table)
            self.skip(_GAP)

    def header(self, *, element: bool) -> Path:
        line = self.line
        path: Path = ()
        keys = self.dotted()
        for place, key in enumerate(keys):
            path = (*path, key)
            self.note(path, line)
            last = place == len(keys) - 1
            if last and element:
                self.elements[path] = self.elements.get(path, -1) + 1
            if path in self.elements:
                path = (*path, self.elements[path])
                self.note(path, line)
        return path

    def pair(self, table: Path) -> None:
        line = self.line
        path = table
        for key in self.dotted():
            path = (*path, key)
            self.note(path, line)
        self.step(1)
        self.skip(_BLANKS)
        self.value(path)

    def value(self, path: Path) -> None:
        if self.peek("["):
            self.array(path)
        elif self.peek("{"):
            self.inline_table(path)
        elif self.peek('"') or self.peek("'"):
            self.skip(_STRING)
        else:
            self.skip(_BARE_VALUE)

    def array(self, path: Path) -> None:
        self.step(1)
        self.skip(_GAP)
        place = 0
        while not self.peek("]"):
            self.note((*path, place), self.line)
            self.value((*path, place))
            self.comma()
            place += 1
        self.step(1)

    def inline_table(self, path: Path) -> None:
        self.step(1)
        self.skip(_GAP)
        while not self.peek("}"):
            self.pair(path)
            self.comma()
        self.step(1)

    def comma(self) -> None:
        self.skip(_GAP)
        if self.peek(","):
            self.step(1)
            self.skip(_GAP)

    def dotted(self) -> list[str]:
        keys = [self.key()]
        self.skip(_BLANKS)
        while self.peek("."):
            self.step(1)
            self.skip(_BLANKS)
            keys.append(self.key())
            self.skip(_BLANKS)
        return keys

    def key(self) -> str:
        start = self.at
        if self.peek('"') or self.peek("'"):
            self.skip(_STRING)
            return str(tomllib.loads(f"key = {self.text[start : self.at]}")["key"])
        self.skip(_BARE_KEY)
        return self.text[start : self.at]

    def skip(self, what: re.Pattern[str]) -> None:
        match = what.match(self.text, self.at)
        if match is None:
            raise ValueError(f"lost the thread at line {self.line}")
        self.step(match.end() - self.at)

    def note(self, path: Path, line: int) -> None:
        self.lines.setdefault(path, line)

    def peek(self, wanted: str) -> bool:
        return self.text.startswith(wanted, self.at)

    def step(self, count: int) -> None:
        end = self.at + count
        if end > len(self.text):
            raise ValueError(f"text ends at line {self.line}")
        self.line += self.text.count("\n", self.at, end)
        self.at = end

"""Where in a TOML text each key stands.

`tomllib` forgets lines, and an error without a line costs a reader minutes. This walks a text
that `tomllib` has already accepted, so it checks nothing; it only has to find keys again.
"""

from __future__ import annotations

import tomllib

Path = tuple[str | int, ...]
"""Keys from the top; a number is a place in an array."""

_CLOSERS = ",]}\n#"


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
        self.space(newlines=True)
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
            self.space(newlines=True)

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
        self.space(newlines=False)
        self.value(path)

    def value(self, path: Path) -> None:
        if self.peek("["):
            self.array(path)
        elif self.peek("{"):
            self.inline_table(path)
        elif self.peek('"') or self.peek("'"):
            self.string()
        else:
            while self.at < len(self.text) and self.text[self.at] not in _CLOSERS:
                self.step(1)

    def array(self, path: Path) -> None:
        self.step(1)
        self.space(newlines=True)
        place = 0
        while not self.peek("]"):
            self.note((*path, place), self.line)
            self.value((*path, place))
            self.comma()
            place += 1
        self.step(1)

    def inline_table(self, path: Path) -> None:
        self.step(1)
        self.space(newlines=True)
        while not self.peek("}"):
            self.pair(path)
            self.comma()
        self.step(1)

    def comma(self) -> None:
        self.space(newlines=True)
        if self.peek(","):
            self.step(1)
            self.space(newlines=True)

    def dotted(self) -> list[str]:
        keys = [self.key()]
        self.space(newlines=False)
        while self.peek("."):
            self.step(1)
            self.space(newlines=False)
            keys.append(self.key())
            self.space(newlines=False)
        return keys

    def key(self) -> str:
        start = self.at
        if self.peek('"') or self.peek("'"):
            self.string()
            return str(tomllib.loads(f"key = {self.text[start : self.at]}")["key"])
        while self.at < len(self.text) and (self.text[self.at].isalnum() or self.peek_any("-_")):
            self.step(1)
        if self.at == start:
            raise ValueError(f"no key at line {self.line}")
        return self.text[start : self.at]

    def string(self) -> None:
        mark = self.text[self.at]
        if self.peek(mark * 3):
            mark = mark * 3
        self.step(len(mark))
        while not self.peek(mark):
            if self.peek("\\") and mark[0] == '"':
                self.step(1)
            self.step(1)
        self.step(len(mark))
        # A multi-line string may end in up to two quotes of its own.
        while len(mark) == 3 and self.peek(mark[0]):
            self.step(1)

    def space(self, *, newlines: bool) -> None:
        while self.at < len(self.text):
            if self.peek("#") and newlines:
                while self.at < len(self.text) and not self.peek("\n"):
                    self.step(1)
            elif self.peek_any(" \t") or (newlines and self.peek("\n")):
                self.step(1)
            else:
                return

    def note(self, path: Path, line: int) -> None:
        self.lines.setdefault(path, line)

    def peek(self, wanted: str) -> bool:
        return self.text.startswith(wanted, self.at)

    def peek_any(self, wanted: str) -> bool:
        return self.at < len(self.text) and self.text[self.at] in wanted

    def step(self, count: int) -> None:
        end = self.at + count
        if end > len(self.text):
            raise ValueError(f"text ends at line {self.line}")
        self.line += self.text.count("\n", self.at, end)
        self.at = end

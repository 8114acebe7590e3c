"""Lines of a project file, and the questions among them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from math import floor, log10


class Page:
    """A project file in the making.

    Attributes
    ----------
    lines : list of str
        So far.
    questions : list of str
        What is marked "PLEASE CHECK".
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.questions: list[str] = []

    def title(self, text: str) -> None:
        """Begin a part."""
        self.lines += ["", f"# {'-' * 66} {text}"]

    def table(self, name: str, **values: str) -> None:
        """Add a table; values are TOML."""
        self.lines += ["", f"[{name}]"]
        self.set(**values)

    def set(self, **values: str) -> None:
        """Add keys; values are TOML."""
        self.lines += [f"{key.rstrip('_')} = {value}" for key, value in values.items()]

    def note(self, text: str) -> None:
        """Add a comment."""
        self.lines.append(f"# {_one_line(text)}")

    def ask(self, question: str) -> None:
        """Mark the next line as something to check; an empty question asks nothing."""
        if question:
            self.lines.append(f"# PLEASE CHECK: {_one_line(question)}")
            self.questions.append(_one_line(question))

    @property
    def text(self) -> str:
        """The file."""
        return "\n".join(self.lines) + "\n"


def _one_line(text: str) -> str:
    """Keep what a header or a value says from ending the comment it stands in."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def string(value: str) -> str:
    r"""Write a TOML string.

    Examples
    --------
    >>> print(string('a "b" ü'))
    "a \"b\" ü"
    """
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def strings(values: Iterable[str]) -> str:
    """Write a TOML list of strings.

    Examples
    --------
    >>> print(strings(["a", "b"]))
    ["a", "b"]
    """
    return f"[{', '.join(map(string, values))}]"


def inline(**values: str) -> str:
    """Write a TOML inline table; values are TOML.

    Examples
    --------
    >>> print(inline(type='"money"', required="false"))
    { type = "money", required = false }
    """
    return f"{{ {', '.join(f'{key} = {value}' for key, value in values.items())} }}"


def sized(value: float, decimals: int) -> str:
    """Round an amount to one leading digit, but not below the smallest coin.

    Examples
    --------
    >>> sized(1.05, 2), sized(0.0731, 2), sized(234.0, 2), sized(0.0, 2), sized(234.0, 0)
    ('1.00', '0.07', '200.00', '0.01', '200')
    """
    coin = 10.0**-decimals
    if value < coin:
        return f"{coin:.{decimals}f}"
    step = 10.0 ** floor(log10(value))
    return f"{max(round(value / step) * step, coin):.{decimals}f}"

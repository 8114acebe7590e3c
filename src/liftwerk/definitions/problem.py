"""One thing that is wrong with a project, and the words for it."""

from __future__ import annotations

from msgspec import Struct

from liftwerk.definitions.lines import Path
from liftwerk.errors import DefinitionError

_LONGEST = 60


class Problem(Struct, frozen=True):
    """Something wrong with a project.

    Attributes
    ----------
    what : str
        What was found, naming the key.
    file : str
        The file, relative to the project's folder.
    line : int or None
        The line in it, when known.
    key : str
        The dotted key.
    hint : str
        What would be right.

    Examples
    --------
    >>> print(Problem("goal.metric is 'spnd'", "shop.toml", 4, "goal.metric", "sum money"))
    goal.metric is 'spnd': shop.toml:4: sum money
    """

    what: str
    file: str
    line: int | None
    key: str
    hint: str

    @property
    def where(self) -> str:
        """File and, when known, line."""
        if self.line is None:
            return self.file
        return f"{self.file}:{self.line}"

    def error(self) -> DefinitionError:
        """Return the problem as an error to raise."""
        return DefinitionError(self.what, self.where, self.hint)

    def __str__(self) -> str:
        return str(self.error())


def dotted(path: Path) -> str:
    """Write a path as a person would: ``imports.trial.events[0].time``.

    Examples
    --------
    >>> dotted(("imports", "trial", "events", 0, "time"))
    'imports.trial.events[0].time'
    """
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif text:
            text += f".{part}"
        else:
            text = part
    return text


def shown(value: object) -> str:
    """Write a found value, shortened when it is long.

    Examples
    --------
    >>> shown("lst"), shown(True), shown({"a": 1})
    ("'lst'", 'true', 'a table')
    >>> shown(["a", 1])
    "['a', 1]"
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list | tuple):
        return _shortened(f"[{', '.join(shown(item) for item in value)}]")
    if isinstance(value, str):
        return _shortened(repr(value))
    return _shortened(str(value))


def _shortened(text: str) -> str:
    if len(text) > _LONGEST:
        return text[: _LONGEST - 1] + "…"
    return text

"""Rooms list their public names here without importing the heavy files that hold them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def attach(room: str, where: Mapping[str, str]) -> Callable[[str], object]:
    """Make a module ``__getattr__`` that imports a name's file on its first use.

    Parameters
    ----------
    room : str
        The room's module name, for the message of an unknown name.
    where : mapping of str to str
        Public name -> module that holds it.

    Returns
    -------
    callable
        To be bound to ``__getattr__`` in the room's ``__init__.py``.

    Examples
    --------
    >>> attach("demo", {"sqrt": "math"})("sqrt")(4.0)
    2.0
    """

    def getattr_lazily(name: str) -> object:
        if name not in where:
            raise AttributeError(f"module {room!r} has no attribute {name!r}")
        return getattr(importlib.import_module(where[name]), name)

    return getattr_lazily


class LazyModule:
    """A module that is imported on its first use, for commands that must start fast.

    Parameters
    ----------
    name : str
        The module's full name.

    Examples
    --------
    >>> LazyModule("math").sqrt(4.0)
    2.0
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(importlib.import_module(self._name), attribute)


_hidden: set[str] = set()


class _Hidden:
    """Finds nothing; it comes before those who would."""

    @staticmethod
    def find_spec(name: str, path: object, target: object = None) -> None:
        if name in _hidden:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def hide(name: str) -> None:
    """Let a module count as missing, for libraries that load it wherever it is.

    Only a process that is ours may do so, until it runs code that is not (`unhide`).

    Examples
    --------
    >>> import importlib.util
    >>> hide("antigravity")
    >>> try: importlib.util.find_spec("antigravity")
    ... except ModuleNotFoundError as error: print(error)
    No module named 'antigravity'
    >>> unhide()
    >>> importlib.util.find_spec("antigravity").name
    'antigravity'
    """
    _hidden.add(name)
    if _Hidden not in sys.meta_path:
        sys.meta_path.insert(0, _Hidden)


def unhide() -> None:
    """Let all that is hidden be found again."""
    _hidden.clear()

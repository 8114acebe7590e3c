"""Rooms list their public names here without importing the heavy files that hold them."""

from __future__ import annotations

import importlib
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

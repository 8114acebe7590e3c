"""Choosing a store by its URL: the scheme names the kind, the rest says where it is."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from liftwerk.errors import UnknownName, did_you_mean


def open_url(promise: str, kinds: Mapping[str, str], url: str) -> Any:
    """Open the store that a URL names.

    Parameters
    ----------
    promise : str
        What the store is for, for the message.
    kinds : mapping of str to str
        Scheme -> ``"module:Class"``; the module is imported only now.
    url : str
        Such as ``"sqlite:/var/shop/inbox.sqlite"``.

    Returns
    -------
    object
        An instance of the kind's class, opened at the URL's path.

    Raises
    ------
    UnknownName
        If no kind has the scheme.
    """
    scheme, _, path = url.partition(":")
    if scheme not in kinds:
        what = f"no kind of {promise} is called {scheme!r}"
        raise UnknownName(what, url, did_you_mean(scheme, kinds))
    module, _, name = kinds[scheme].partition(":")
    return getattr(importlib.import_module(module), name)(Path(path))

"""The tracker's bytes, and the tag by which a browser knows that it has them already."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

SCRIPT = Path(__file__).parent / "t.js"
"""Built by ``npm run build`` in ``frontend/``, and committed."""


@lru_cache(maxsize=1)
def tracker_script() -> bytes:
    """Return the script that ``/t.js`` serves.

    Returns
    -------
    bytes
        JavaScript in UTF-8.

    Examples
    --------
    >>> tracker_script()[:27].decode()
    '/*! liftwerk, Apache-2.0 */'
    """
    return SCRIPT.read_bytes()


@lru_cache(maxsize=1)
def tracker_etag() -> str:
    """Return the script's strong entity tag, with its quotes.

    Returns
    -------
    str
        It changes when a byte of the script does.

    Examples
    --------
    >>> len(tracker_etag())
    18
    """
    return f'"{hashlib.sha256(tracker_script()).hexdigest()[:16]}"'

"""Privacy tags: how close a value is to a person."""

from __future__ import annotations

from typing import Literal

Tag = Literal["none", "pseudonymous", "personal", "sensitive"]
"""The tag on a property, an identifier or a context field."""

TAGS: tuple[Tag, ...] = ("none", "pseudonymous", "personal", "sensitive")
"""Every tag, from the farthest to the closest."""


def strictest(*tags: Tag) -> Tag:
    """Return the closest of several tags; what is made from values inherits it.

    Examples
    --------
    >>> strictest("none", "personal", "pseudonymous")
    'personal'
    >>> strictest()
    'none'
    """
    return max(tags, key=TAGS.index, default="none")

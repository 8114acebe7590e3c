"""The model kinds, by the name that a project file gives them; one folder or file each."""

from __future__ import annotations

KINDS: dict[str, str] = {"uplift": "liftwerk.models.kinds.uplift"}
"""Kind -> module; adding one is a file and a line."""

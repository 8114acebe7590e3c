"""The Python door to all of it: open a project, run it, ask it, decide with it.

It opens stores and holds the home; what is done stands in the rooms below.
"""

from __future__ import annotations

from liftwerk.lazy import attach

__all__ = ["Drawing", "Project", "Report", "open"]

_WHERE = {
    "Drawing": "liftwerk.project.report",
    "Project": "liftwerk.project.door",
    "Report": "liftwerk.project.report",
    "open": "liftwerk.project.door",
}

__getattr__ = attach(__name__, _WHERE)

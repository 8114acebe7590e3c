"""Ways in and out: files, Segment's calls and the browser tracker in; vendors told out.

A file's rows become events, or an entity's rows, by a declared mapping; every row is judged as a
whole. What an event must look like is left to `liftwerk.events`, whose admission every way in goes
through.
"""

from __future__ import annotations

from liftwerk.lazy import attach

__all__ = ["Imported"]

_WHERE = {"Imported": "liftwerk.connectors.job"}

__getattr__ = attach(__name__, _WHERE)

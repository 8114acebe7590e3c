"""Segment's tracking API as a way in: its clients send here unchanged, and wire events come out.

How its names become the project's is declared in ``[segment]``, with defaults that fit a project
which names its events as Segment's tracking plans do. Admission is left to the events room.
"""

from __future__ import annotations

from liftwerk.lazy import attach

__all__ = ["KINDS", "Calls", "translate"]

__getattr__ = attach(
    __name__,
    {
        "KINDS": "liftwerk.connectors.segment.translate",
        "Calls": "liftwerk.connectors.segment.translate",
        "translate": "liftwerk.connectors.segment.translate",
    },
)

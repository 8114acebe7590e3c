"""The web side of the loop: pages for people, JSON for programs, both read-only.

It takes a `ReportSource` (the loop implements it), shows what it says on server-rendered pages and
under ``/v1``, and runs the application with Granian on a loopback port. It computes nothing about
the business: every figure, interval and verdict comes from the source, every number is written by
`liftwerk.server.format`, and no page asks another origin for anything.
"""

from __future__ import annotations

from liftwerk.lazy import attach

__all__ = ["ReportSource", "create_app"]

__getattr__ = attach(
    __name__,
    {
        "ReportSource": "liftwerk.server.source",
        "create_app": "liftwerk.server.app",
    },
)

"""The command line: one file per room, no logic.

Commands parse, call the Python door and print. Results go to stdout (exactly one JSON document
with ``--json``), everything else to stderr.
"""

from __future__ import annotations

from liftwerk.cli.main import main

__all__ = ["main"]

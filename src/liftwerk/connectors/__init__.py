"""Ways in and out: files, Segment's calls and the browser tracker in; vendors told out.

A file's rows become events by a declared mapping, or a file of events goes in as it is. A
file is read through before anything is written, and every row is judged as a whole. What an event
must look like is left to `liftwerk.events`, whose admission every way in goes through.
"""

from __future__ import annotations

from liftwerk.lazy import attach

# `import_file` and `import_events` are imported from their files, whose names they have.
__all__ = ["Imported"]

_WHERE = {"Imported": "liftwerk.connectors.import_file"}

__getattr__ = attach(__name__, _WHERE)

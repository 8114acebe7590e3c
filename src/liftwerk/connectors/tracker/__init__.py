"""The browser tracker: one small script that a shop's pages load, as it was built from frontend/.

This room holds the built file and says what it is. Serving it is left to `liftwerk.server`; what it
sends goes through the collector's door like everybody's events.
"""

from __future__ import annotations

from liftwerk.lazy import attach

__all__ = ["tracker_etag", "tracker_script"]

_WHERE = dict.fromkeys(__all__, "liftwerk.connectors.tracker.script")

__getattr__ = attach(__name__, _WHERE)

"""Compact, once or for as long as the process runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from liftwerk.errors import HomeInUse
from liftwerk.events.compact import Compacted


def compacted(done: Compacted) -> dict[str, Any]:
    """Say what a compaction did, as plain values."""
    snapshot = None
    if done.snapshot is not None:
        snapshot = done.snapshot.id
    return {
        "events": done.events,
        "duplicates": done.duplicates,
        "quarantined": done.quarantined,
        "erased": done.erased,
        "snapshot": snapshot,
    }


def keep_on(
    compact: Callable[[], dict[str, Any]],
    seconds: float,
    ending: threading.Event,
    tell: Callable[[dict[str, Any]], None],
) -> None:
    """Compact again and again until told to end; a compaction under way is finished.

    Parameters
    ----------
    compact : callable
        `liftwerk.project.Project.keep_up`.
    seconds : float
        Time between the end of one and the start of the next.
    ending : threading.Event
        Set by whoever wants it to end.
    tell : callable
        Told what each one did that found something to do.
    """
    while not ending.is_set():
        try:
            done = compact()
        except HomeInUse:
            pass  # a run or an import holds the home, and compacts too
        else:
            news = ("events", "duplicates", "quarantined", "erased", "customers", "expired")
            if any(done[name] for name in news):
                tell(done)
        ending.wait(seconds)

"""A value that is read again and again beside the work, so that who asks for it need not wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from liftwerk.errors import LiftwerkError

T = TypeVar("T")


class Refreshed(Generic[T]):
    """Keeps a value that is never older than it may be.

    Parameters
    ----------
    load : callable
        Reads the value; called from a thread of its own, too.
    seconds : float
        How old the value may be when it is asked for. It is read twice as often; where that does
        not succeed in time, whoever asks reads it, and learns what is wrong.

    Examples
    --------
    >>> words = iter(["first", "second"])
    >>> kept = Refreshed(lambda: next(words), seconds=3600)
    >>> kept.value(), kept.value()
    ('first', 'first')
    >>> kept.close()
    """

    def __init__(self, load: Callable[[], T], seconds: float) -> None:
        self._load = load
        self._seconds = seconds
        self._ending = threading.Event()
        self._kept = self._read()
        self._thread = threading.Thread(target=self._refresh, name="refresh", daemon=True)
        self._thread.start()

    def value(self) -> T:
        """Return the value as it was at most so many seconds ago."""
        at, value = self._kept
        if time.monotonic() - at > self._seconds:
            self._kept = self._read()
            at, value = self._kept
        return value

    def close(self) -> None:
        """End the thread."""
        self._ending.set()
        self._thread.join()

    def _read(self) -> tuple[float, T]:
        # Its age counts from before it was read: what changed meanwhile may not be in it.
        began = time.monotonic()
        return began, self._load()

    def _refresh(self) -> None:
        while not self._ending.wait(self._seconds / 2):
            try:
                self._kept = self._read()
            except LiftwerkError:
                continue  # whoever asks next is told, or the next time succeeds

"""A token bucket: how fast a source may send, with a burst of one second's worth."""

from __future__ import annotations

from liftwerk.definitions.typed import Rate

BURST_SECONDS = 1.0
"""A source that was silent may send this many seconds' worth at once."""


class Throttle:
    """Counts what a source sends against its declared rate.

    Parameters
    ----------
    rate : Rate
        The declared rate.
    share : float
        This process's part of it, where several collect.

    Examples
    --------
    >>> throttle = Throttle(Rate("10/s"))
    >>> throttle.wait(10, now=0.0), throttle.wait(5, now=0.0), throttle.wait(5, now=0.5)
    (0.0, 0.5, 0.0)
    """

    def __init__(self, rate: Rate, share: float = 1.0) -> None:
        self._per_second = rate.per_second * share
        self._burst = max(self._per_second * BURST_SECONDS, 1.0)
        self._tokens = self._burst
        self._at: float | None = None

    def wait(self, events: int, now: float) -> float:
        """Take so many, or say how long to wait; then nothing is taken.

        Parameters
        ----------
        events : int
            How many came.
        now : float
            Seconds of a clock that never runs back.

        Returns
        -------
        float
            0 when they were taken, else seconds. More than a burst at once is taken when the
            bucket is full, and paid for afterwards.
        """
        if self._at is not None:
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._per_second)
        self._at = now
        wanted = min(float(events), self._burst)
        if self._tokens < wanted:
            return (wanted - self._tokens) / self._per_second
        self._tokens -= events
        return 0.0

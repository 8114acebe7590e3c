"""Show on stderr what a long command is doing: a spinner for people, nothing for programs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from liftwerk.cli.app import err
from liftwerk.lazy import LazyModule

if TYPE_CHECKING:
    from rich import progress as rich
else:
    rich = LazyModule("rich.progress")


@contextmanager
def steps() -> Iterator[Callable[[str, str], None]]:
    """Yield a callback for ``(step, doing)``; each finished step leaves a line with its time."""
    if not err.is_terminal:
        yield lambda step, doing: None
        return
    columns = (
        rich.SpinnerColumn(),
        rich.TextColumn("{task.description}"),
        rich.TimeElapsedColumn(),
    )
    with rich.Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("starting", total=None)
        began = time.perf_counter()
        current = ""

        def tell(step: str, doing: str) -> None:
            nonlocal began, current
            if step != current:
                _leave(bar, current, began)
                began = time.perf_counter()
                current = step
            bar.update(task, description=f"{step}: {doing}")

        yield tell
        _leave(bar, current, began)


def _leave(bar: rich.Progress, step: str, began: float) -> None:
    if step:
        bar.console.print(f"  {step.ljust(10)} {time.perf_counter() - began:6.1f} s", style="dim")


class Parts:
    """Says how far something has come that is done in parts of about the same size.

    Parameters
    ----------
    rows : int
        In all of them.
    """

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._first: tuple[int, float] | None = None

    def words(self, done: int, parts: int, now: float) -> str:
        """Say which part it is at, how fast it goes, and how long the rest will take.

        Parameters
        ----------
        done, parts : int
            How many are done, of how many.
        now : float
            Seconds on any clock that only goes forward.

        Examples
        --------
        >>> fill = Parts(rows=3_000_000)
        >>> fill.words(0, 6, 100.0)
        'part 1 of 6'
        >>> fill.words(2, 6, 130.0)
        'part 3 of 6, 33,333 rows/s, 60 s left'
        """
        if self._first is None:
            self._first = (done, now)
        place = f"part {min(done + 1, parts)} of {parts}"
        first, began = self._first
        if done <= first or now <= began:
            return place
        each = (now - began) / (done - first)
        left = each * (parts - done)
        words = f"{left:.0f} s"
        if left >= 120:
            words = f"{left / 60:.0f} min"
        return f"{place}, {self._rows / parts / each:,.0f} rows/s, {words} left"

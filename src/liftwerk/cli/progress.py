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

"""Asks a source from one thread of its own, so that a slow question never holds the server up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from liftwerk.server.source import ReportSource

T = TypeVar("T")


class Reader:
    """Opens a source in a thread and asks it there, one question after the other.

    Parameters
    ----------
    open_source : callable
        Opens the source; called once, in the reader's thread.
    """

    def __init__(self, open_source: Callable[[], ReportSource]) -> None:
        self._open_source = open_source
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="source")
        self._source: ReportSource | None = None

    @property
    def ready(self) -> bool:
        """Whether the source is open."""
        return self._source is not None

    @property
    def source(self) -> ReportSource | None:
        """The source, once it is open: for questions that another thread may ask."""
        return self._source

    async def open(self) -> None:
        """Open the source, unless it is open."""
        if self._source is None:
            loop = asyncio.get_running_loop()
            self._source = await loop.run_in_executor(self._thread, self._open_source)

    async def ask(self, question: Callable[[ReportSource], T]) -> T:
        """Put a question to the source.

        Parameters
        ----------
        question : callable
            Called with the source, in its thread.

        Returns
        -------
        object
            The question's answer.
        """
        await self.open()
        source = self._source
        assert source is not None
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, lambda: question(source)
        )

    async def close(self) -> None:
        """Close the source and end the thread."""
        if self._source is not None:
            source = self._source
            self._source = None
            await asyncio.get_running_loop().run_in_executor(self._thread, source.close)
        self._thread.shutdown(wait=True)

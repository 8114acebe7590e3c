"""Memory that is free and still held goes back to the system: the sequencer runs for months."""

from __future__ import annotations

import ctypes

import pyarrow

_C = ctypes.CDLL(None)


def release() -> None:
    """Give free memory back: Arrow's, and that of the C library's allocator where it can.

    Writing a table takes memory in many threads, each with an arena of its own, and freed pieces of
    them would stay with the process.
    """
    pyarrow.default_memory_pool().release_unused()
    if hasattr(_C, "malloc_trim"):  # the GNU C library's; others have none
        _C.malloc_trim(0)

"""A benchmark of several parts: all of them, or one by its name."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from liftwerk.errors import UnknownName, did_you_mean

Parts = Mapping[str, Callable[[bool], dict[str, Any]]]


def run_parts(benchmark: str, parts: Parts, quick: bool, part: str | None) -> dict[str, Any]:
    """Measure every part, or one, and put what they found together."""
    if part is not None and part not in parts:
        raise UnknownName(f"no part {part!r}", benchmark, did_you_mean(part, parts))
    found: dict[str, Any] = {"figures": {}, "versions": {}, "bars": []}
    for name, measure in parts.items():
        if part in (None, name):
            began = time.perf_counter()
            one = measure(quick)
            found["figures"][name] = one["figures"]
            found["versions"] |= one.get("versions", {})
            found["bars"] += one["bars"]
            seconds = time.perf_counter() - began
            print(f"{name}: {seconds:.0f} s: {one['bars']}", file=sys.stderr)
    return found

"""The feature store: training sets, values served and values that follow a stream.

    .venv/bin/python -m benchmarks features [--quick] [--part join|peer|online|stream]

A part is measured in processes of its own, one after another:

- ``join``: 50 windowed features as of many times, against SQL by hand in three ways, and from 5 to
  100 million events;
- ``peer``: ready values as of many times, against Feast;
- ``online``: the fixed pack of 50 features of one customer, in process and over HTTP;
- ``stream``: from an event that was acknowledged to its value that is served, under load.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks import features_join, features_online, features_peer, features_stream
from benchmarks.parts import run_parts

PARTS: dict[str, Callable[[bool], dict[str, Any]]] = {
    "join": features_join.run,
    "peer": features_peer.run,
    "online": features_online.run,
    "stream": features_stream.run,
}


def run(quick: bool, part: str | None = None) -> dict[str, Any]:
    """Measure every part, or one."""
    return run_parts("features", PARTS, quick, part)

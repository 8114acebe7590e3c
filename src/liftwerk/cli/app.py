"""The application object, the options every command has, and how an answer is printed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

from cyclopts import App, Parameter
from rich.console import Console

from liftwerk import __version__
from liftwerk.lazy import LazyModule

if TYPE_CHECKING:
    from msgspec import json as msgspec_json

    from liftwerk.project import door as door
    from liftwerk.server import live
else:
    msgspec_json = LazyModule("msgspec.json")
    door = LazyModule("liftwerk.project.door")
    live = LazyModule("liftwerk.server.live")

app = App(
    name="liftwerk",
    help="From consented events to decisions, and what they earned. Start with `liftwerk demo`.",
    help_format="plaintext",
    version=f"liftwerk {__version__}",
)

WIDE = 160
"""Columns of what goes into a file or a pipe, where no window cuts it."""


def _console(stream: TextIO, *, stderr: bool) -> Console:
    width = None
    if not stream.isatty() and "COLUMNS" not in os.environ:
        width = WIDE
    return Console(stderr=stderr, highlight=False, width=width)


out = _console(sys.stdout, stderr=False)
err = _console(sys.stderr, stderr=True)


@Parameter(name="*")
@dataclass(frozen=True)
class Common:
    """Options of every command.

    Parameters
    ----------
    project
        The project's folder or its liftwerk.toml.
    json
        Print exactly one JSON document on stdout.
    debug
        Show the traceback of an error.
    """

    project: Path = Path()
    json: Annotated[bool, Parameter(negative="")] = False
    debug: Annotated[bool, Parameter(negative="")] = False


DEFAULTS = Common()


def open_project(common: Common) -> door.Project:
    """Open the project that the call names."""
    return door.open(common.project)


def emit(common: Common, document: Any, render: Callable[[], None]) -> None:
    """Print a result: as JSON when asked, else by the renderer.

    Parameters
    ----------
    common : Common
    document : object
        Anything msgspec can encode.
    render : callable
        Prints the result for people.
    """
    if not common.json:
        render()
        return
    text = msgspec_json.format(msgspec_json.encode(document), indent=2)
    sys.stdout.buffer.write(text + b"\n")
    sys.stdout.buffer.flush()


def source_of(project: door.Project) -> live.LiveSource:
    """Read a project as the pages do."""
    return live.LiveSource(project.definitions, project.stores, project.clock)

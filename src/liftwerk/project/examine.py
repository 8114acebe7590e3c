"""Examine the environment and the stores: what `doctor` says."""

from __future__ import annotations

import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from liftwerk import __version__
from liftwerk.clock import SystemClock
from liftwerk.definitions import load
from liftwerk.errors import LiftwerkError
from liftwerk.governance.catalogue import fill_catalogue
from liftwerk.sections import SECTIONS
from liftwerk.store.home import Home
from liftwerk.store.stores import open_stores

ENGINES = ("duckdb", "deltalake", "lightgbm", "numpy", "pyarrow", "scipy")
ROOM_BYTES = 500_000_000
"""Less free space than this is reported."""


def examine(path: Path) -> list[dict[str, Any]]:
    """Look at Python, the engines, the disk and every store of a project.

    Parameters
    ----------
    path : pathlib.Path
        The project's folder or its liftwerk.toml.

    Returns
    -------
    list of dict
        ``name``, ``fine``, ``detail``; nothing is repaired.
    """
    findings = [_row("python", True, sys.version.split()[0]), _row("liftwerk", True, __version__)]
    findings += [_engine(name) for name in ENGINES]
    try:
        project = load(path, SECTIONS)
    except LiftwerkError as error:
        return [*findings, _row("project", False, str(error))]
    findings.append(_row("project", True, str(project.file)))
    free = shutil.disk_usage(project.root).free
    findings.append(_row("free space", free > ROOM_BYTES, f"{free / 1e9:.1f} GB"))
    if not project.home.exists():
        return [*findings, _row("home", True, "none yet: `liftwerk run` makes it")]
    try:
        with open_stores(Home.of(project)) as stores:
            findings.append(_row("home", True, str(project.home)))
            damage = stores.damage()
            findings += [_row("store", False, one) for one in damage]
            if not damage:
                findings.append(_row("stores", True, "read through, nothing torn"))
            strays = fill_catalogue(project, stores, SystemClock()).unregistered(stores.home)
            words = "everything that is kept is registered"
            if strays:
                words = "kept but not registered: " + ", ".join(strays)
            findings.append(_row("catalogue", not strays, words))
    except LiftwerkError as error:
        findings.append(_row("home", False, str(error)))
    return findings


def _engine(name: str) -> dict[str, Any]:
    try:
        return _row(name, True, version(name))
    except PackageNotFoundError:
        return _row(name, False, "not installed")


def _row(name: str, fine: bool, detail: str) -> dict[str, Any]:
    return {"name": name, "fine": fine, "detail": detail}

"""A small result file of a trial, and the project that imports it."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from liftwerk.definitions import Project, build
from liftwerk.sections import SECTIONS
from tests.events.shop import SHOP

HEADER = "id,months,spent,mail,seen,paid,chance,on,area"
CONTROLS = {"mail": "nothing"}


def row(number: int, **changes: str) -> str:
    """Write one row: every third saw the shop, every fifth paid."""
    values = {
        "id": str(number),
        "months": "3",
        "spent": "29.99",
        "mail": ("none", "voucher")[number % 2],
        "seen": str(int(number % 3 == 0)),
        "paid": str(int(number % 5 == 0)),
        "chance": "0.5",
        "on": "2026-01-05 12:00:00",
        "area": "Rural",
    }
    values.update(changes)
    return ",".join(values.values())


def rows(count: int = 10, **bad: dict[str, str]) -> list[str]:
    """Write rows from 1; ``r3={"months": "x"}`` changes the third."""
    return [row(number, **bad.get(f"r{number}", {})) for number in range(1, count + 1)]


def content(lines: Sequence[str]) -> str:
    return "\n".join([HEADER, *lines]) + "\n"


def write(folder: Path, lines: Sequence[str], name: str = "trial.csv") -> Path:
    path = folder / name
    data = content(lines).encode()
    if name.endswith(".gz"):
        data = gzip.compress(data)
    path.write_bytes(data)
    return path


def project(folder: Path, **changes: Any) -> Project:
    """Build the project; ``changes`` go into its import."""
    values = {
        **SHOP,
        "identifiers": {"customer": {"normalise": "trim"}},
        "events": {
            "history": {
                "version": 1,
                "description": "What was known before",
                "properties": {
                    "months": {"type": "integer", "minimum": "0", "maximum": "120"},
                    "area": {"type": "string", "required": False},
                },
            },
            "visit": {"version": 1, "description": "A visit"},
            "order": {
                "version": 1,
                "description": "An order",
                "unique": ["order_id"],
                "properties": {
                    "order_id": {"type": "string"},
                    "revenue": {"type": "money", "minimum": "0"},
                },
            },
        },
        "actions": {
            "nothing": {"label": "Nothing", "cost": "0"},
            "voucher": {"label": "Voucher", "cost": "0"},
        },
        "placements": {"mail": {"channel": "email", "control": "nothing"}},
        "imports": {
            "trial": {
                "source": "file",
                "file": "trial.csv",
                "key": ["id"],
                "identifiers": {"customer": "id"},
                "consent": {
                    "granted": ["ads"],
                    "version": "v1",
                    "at": "2025-01-01T00:00:00Z",
                },
                "events": [
                    {
                        "event": "history",
                        "time": "2026-01-01T00:00:00Z",
                        "properties": {"months": "months", "area": "area"},
                    },
                    {
                        "event": "decision_made",
                        "time": {"column": "on"},
                        "placement": "mail",
                        "action": {
                            "column": "mail",
                            "map": {"none": "nothing", "voucher": "voucher"},
                        },
                        "eligible": ["nothing", "voucher"],
                        "probability": {"column": "chance"},
                    },
                    {
                        "event": "visit",
                        "when": {"column": "seen", "equals": "1"},
                        "time": "2026-01-06T00:00:00Z",
                        "known_at": "2d",
                        "answers": "decision_made",
                    },
                    {
                        "event": "order",
                        "when": {"column": "paid", "equals": "1"},
                        "time": "2026-01-07T00:00:00Z",
                        "answers": "decision_made",
                        "properties": {"order_id": "id", "revenue": "spent"},
                    },
                ],
                **changes,
            }
        },
    }
    values.setdefault("import", {"max_bad": "20%"})
    return build(values, SECTIONS, folder)

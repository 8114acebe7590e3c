"""Result files of made-up trials, with the column names that people use."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
HILLSTROM = ROOT / "examples" / "hillstrom" / "data" / "hillstrom.csv.gz"

Table = dict[str, list[Any]]


def rng(seed: int = 7) -> np.random.Generator:
    return np.random.default_rng(seed)


def trial(rows: int = 1200, shares: Mapping[str, float] | None = None, seed: int = 7) -> Table:
    """Make a clean trial: key, three known columns, an arm, a visit, an order, its amount."""
    random = rng(seed)
    arms = shares or {"Control": 0.5, "Voucher": 0.5}
    arm = random.choice(list(arms), rows, p=list(arms.values()))
    recency = random.integers(1, 13, rows)
    lift = np.where(arm == next(iter(arms)), 0.0, 0.08)
    visited = random.random(rows) < 0.15 + lift
    ordered = visited & (random.random(rows) < 0.4)
    amount = np.where(ordered, np.round(random.lognormal(3.5, 0.5, rows), 2), 0.0)
    return {
        "customer_id": [f"c{i:05d}" for i in range(rows)],
        "recency": recency.tolist(),
        "past_spend": np.round(random.exponential(80, rows), 2).tolist(),
        "region": random.choice(["north", "south", "west"], rows).tolist(),
        "arm": arm.tolist(),
        "visit": visited.astype(int).tolist(),
        "conversion": ordered.astype(int).tolist(),
        "spend": amount.tolist(),
    }


def hillstrom(rows: int | None = None) -> Table:
    """Read the real trial."""
    with gzip.open(HILLSTROM, "rt") as file:
        lines = list(csv.DictReader(file))[:rows]
    return {name: [line[name] for line in lines] for name in lines[0]}


def renamed(table: Table, names: Mapping[str, str]) -> Table:
    """Keep some columns, under other names."""
    return {new: table[old] for old, new in names.items()}


def where(table: Table, keep: Sequence[bool]) -> Table:
    """Keep some rows."""
    return {
        name: [value for value, kept in zip(values, keep, strict=True) if kept]
        for name, values in table.items()
    }


def save(path: Path, table: Table, delimiter: str = ",", encoding: str = "utf-8") -> Path:
    """Write a CSV file."""
    page = io.StringIO(newline="")
    writer = csv.writer(page, delimiter=delimiter)
    writer.writerow(table)
    writer.writerows(zip(*table.values(), strict=True))
    path.write_bytes(page.getvalue().encode(encoding))
    return path

"""Import the transactions, ask the definitions, and compare with the published table.

.venv/bin/python examples/cdnow/reproduce.py
"""

from __future__ import annotations

import csv
import gzip
import sys
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pyarrow as pa

import liftwerk

HERE = Path(__file__).parent
CALIBRATED = datetime(1997, 10, 1, tzinfo=UTC)
"""The end of the calibration period's last day, September 30."""
PUBLISHED = {
    "cdnow_customers_summary.csv.gz": ("frequency", "recency", "T"),
    "cdnow_customers_summary_with_transactions.csv.gz": ("x", "t_x", "T", "zbar"),
}
"""Files of the published table, and their columns beside the customer's number."""

FEATURES = ("frequency", "recency", "age", "repeat_value")
"""The features that make them, in the order of the table's columns."""

Row = tuple[Decimal, ...]
"""Frequency, recency in weeks, T in weeks and, last, the mean value of a repeat purchase."""


def published(name: str) -> dict[str, Row]:
    """Read a file of the published table: customer -> columns."""
    with gzip.open(HERE / "data" / name, "rt") as file:
        return {
            row["ID"]: tuple(Decimal(row[column]) for column in PUBLISHED[name])
            for row in csv.DictReader(file)
        }


def table(customers: list[str]) -> dict[str, Row]:
    """Make the table of the log, by the project's definitions alone: customer -> columns."""
    with liftwerk.open(HERE) as project:
        project.import_file()
        rows = pa.table({"customer_id": customers, "time": [CALIBRATED] * len(customers)})
        known = project.training_set(rows, FEATURES, purpose="measurement").table
    columns = [known[feature].to_pylist() for feature in FEATURES]
    return {
        number: tuple(map(rounded, row)) for number, *row in zip(customers, *columns, strict=True)
    }


def rounded(value: float) -> Decimal:
    """Round as the published table does: to hundredths, a half up.

    A quotient of cents by days that is no half is further than a millionth from one.
    """
    return Decimal(f"{value:.6f}").quantize(Decimal("0.01"), ROUND_HALF_UP)


def main() -> int:
    """Print what differs; 0 when nothing does."""
    every = {name: published(name) for name in PUBLISHED}
    found = table(list(every["cdnow_customers_summary.csv.gz"]))
    status = 0
    for name, wanted in every.items():
        columns = PUBLISHED[name]
        different = [
            number for number, row in found.items() if wanted.get(number) != row[: len(columns)]
        ]
        for number in different:
            ours = " ".join(map(str, found[number]))
            theirs = " ".join(map(str, wanted.get(number, ("nothing",))))
            print(f"customer {number}: {ours}, published {theirs}")
        size = f"{len(found):,} customers x {', '.join(columns)}"
        print(f"{name}: {size}: {len(different)} different")
        if different:
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())

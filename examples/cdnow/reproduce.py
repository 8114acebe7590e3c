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
import pyarrow.compute as pc

import liftwerk
from liftwerk.identity.resolve import leaf_of

HERE = Path(__file__).parent
CALIBRATED = datetime(1997, 10, 1, tzinfo=UTC)
"""The end of the calibration period's last day, September 30."""
DAY = 86_400_000_000
"""In microseconds."""
PUBLISHED = {
    "cdnow_customers_summary.csv.gz": ("frequency", "recency", "T"),
    "cdnow_customers_summary_with_transactions.csv.gz": ("x", "t_x", "T", "zbar"),
}
"""Files of the published table, and their columns beside the customer's number."""

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
        keys = [leaf_of(project.definitions, f"customer_id:{number}") for number in customers]
        end = pa.array([CALIBRATED] * len(keys), pa.timestamp("us", "UTC"))
        spine = pa.table({"customer": keys, "time": end})
        features = ["frequency", "recency", "age", "spent", "days_since_first"]
        known = project.training_set(spine, features, purpose="measurement")
        # The same definition, asked as of the end of each customer's first day.
        later = pc.cast(pc.subtract(known["days_since_first"], 1.0), pa.int64())
        first = pc.subtract(end, pc.cast(pc.multiply(later, DAY), pa.duration("us")))
        spine = spine.set_column(1, "time", first)
        at_first = project.training_set(spine, ["spent"], purpose="measurement")
    repeated = pc.subtract(known["spent"], at_first["spent"])
    mean = pc.divide(repeated, pc.max_element_wise(known["frequency"], 1.0))
    columns = [known["frequency"], known["recency"], known["age"], mean]
    rows = zip(*(column.to_pylist() for column in columns), strict=True)
    return {number: tuple(map(rounded, row)) for number, row in zip(customers, rows, strict=True)}


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

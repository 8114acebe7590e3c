from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from liftwerk.stats.synthetic_control import Panel

FILE = Path(__file__).parents[3] / "examples" / "geolift" / "geolift_test.csv"
TREATED = ("chicago", "portland")


@pytest.fixture(scope="session")
def walkthrough():
    """GeoLift's walkthrough: 40 cities, two of them treated in the last 15 of 105 days."""
    with FILE.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    places = {name: place for place, name in enumerate(sorted({row["location"] for row in rows}))}
    days = {day: place for place, day in enumerate(sorted({row["date"] for row in rows}))}
    values = np.empty((len(days), len(places)))
    for row in rows:
        values[days[row["date"]], places[row["location"]]] = float(row["Y"])
    treated = [places[name] for name in TREATED]
    return Panel(values[:, treated], np.delete(values, treated, axis=1), before=90)

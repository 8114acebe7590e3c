from __future__ import annotations

from pathlib import Path

import pytest

from liftwerk.simulation.hillstrom import read

FILE = Path(__file__).parents[2] / "examples" / "hillstrom" / "data" / "hillstrom.csv.gz"


@pytest.fixture(scope="session")
def published():
    """Covariates and reference of the published trial."""
    return read(FILE)

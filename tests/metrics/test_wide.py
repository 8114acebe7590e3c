"""Moments of a ready table are those of its arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from liftwerk.errors import InputError
from liftwerk.metrics.wide import moments_of_file
from liftwerk.stats.moments import Moments


def test_moments_of_a_file_are_those_of_its_arrays(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    n = 30_000
    arms = rng.choice(["control", "treated"], n)
    columns = {"spend": rng.lognormal(3, 1, n) + 1e6, "orders": rng.poisson(0.2, n)}
    path = tmp_path / "wide.parquet"
    pq.write_table(pa.table({"arm": arms, **columns}), path, row_group_size=7_000)
    found = moments_of_file(path, "arm", list(columns))
    assert list(found) == ["control", "treated"]
    for arm, moments in found.items():
        wanted = Moments.of([column[arms == arm] for column in columns.values()])
        assert moments.n == wanted.n
        np.testing.assert_allclose(moments.means, wanted.means, rtol=1e-12)
        np.testing.assert_allclose(moments.products, wanted.products, rtol=1e-8)
        np.testing.assert_allclose(moments.cubes, wanted.cubes, rtol=1e-8)


def test_what_is_no_number_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "wide.parquet"
    pq.write_table(pa.table({"arm": ["a", "b"], "spend": [1.0, None]}), path)
    with pytest.raises(InputError, match="'spend' is not a number in every row"):
        moments_of_file(path, "arm", ["spend"])
    with pytest.raises(InputError, match="no column 'orders'"):
        moments_of_file(path, "arm", ["orders"])

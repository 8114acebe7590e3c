"""Training sets by command: taken from a file, made again from what was written."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.system.conftest import call
from tests.system.test_features import project_in, see

pytestmark = pytest.mark.slow

SPINE = """\
visitor,at,churned
v1,2026-03-02 08:00,1
v2,2026-03-02 08:00,0
v1,2026-03-01 08:00,0
"""


def test_a_set_is_taken_and_made_again(tmp_path: Path) -> None:
    project = project_in(tmp_path / "shop")
    see(project, ["v1", "v1", "v2"], "/shoes")
    (project / "spine.csv").write_text(SPINE)
    asked = ("features", "training-set", "spine.csv", "--features", "views,recent_share")
    asked += ("--purpose", "measurement", "--time", "at", "--out")
    taken = call(*asked, "one.parquet", "--json", cwd=project)
    assert taken.returncode == 0, taken.stderr
    facts = json.loads(taken.stdout)
    table = pq.read_table(project / "one.parquet")
    assert table.column("churned").to_pylist() == [1, 0, 0]
    assert table.column("views").to_pylist() == [2.0, 1.0, 0.0]
    see(project, ["v1"], "/socks")  # in time, and sorted later
    old = ("--snapshot", facts["snapshot"])
    again = json.loads(call(*asked, "again.parquet", *old, "--json", cwd=project).stdout)
    assert again["sha256"] == facts["sha256"]
    assert (project / "again.parquet").read_bytes() == (project / "one.parquet").read_bytes()
    same = call("features", "rebuild", "one.parquet", cwd=project)
    assert same.returncode == 0, same.stderr
    assert "the same in all 3 rows" in same.stdout
    assert "3 times name no zone, and were read in" in same.stdout
    text = (project / "liftwerk.toml").read_text()
    (project / "liftwerk.toml").write_text(
        text.replace(
            '[features.views]\nentity = "customer"',
            '[features.views]\nentity = "customer"\nwindow = "1h"\nhop = "1h"',
        )
    )
    other = call("features", "rebuild", "one.parquet", "--out", "now.parquet", cwd=project)
    assert other.returncode == 1
    assert "2 of 3 rows differ" in other.stdout
    assert "views is declared otherwise" in other.stdout
    refused = call(*asked, "set.csv", cwd=project)
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: a training set is written to a .parquet file: set.csv")

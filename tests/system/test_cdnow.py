"""The published table of CDNOW's customers is made of the log by definitions alone."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "cdnow"


def reproduce(project: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "reproduce.py"],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_every_customer_and_column(tmp_path: Path) -> None:
    project = tmp_path / "cdnow"
    shutil.copytree(EXAMPLE, project, ignore=shutil.ignore_patterns(".liftwerk"))
    done = reproduce(project)
    assert done.stderr == ""
    assert done.stdout in (EXAMPLE / "README.md").read_text()
    assert done.stdout.count("2,357 customers") == done.stdout.count(": 0 different") == 2
    assert done.returncode == 0

    table = project / "data" / "cdnow_customers_summary_with_transactions.csv.gz"
    text = gzip.decompress(table.read_bytes()).decode()
    assert text.count("\n1,2,30.43,38.86,22.35\r\n") == 1
    table.write_bytes(gzip.compress(text.replace("38.86,22.35", "38.86,22.34", 1).encode()))
    again = reproduce(project)
    line = "customer 1: 2.00 30.43 38.86 22.35, published 2 30.43 38.86 22.34\n"
    assert again.stdout.splitlines(keepends=True)[1] == line
    assert again.returncode == 1

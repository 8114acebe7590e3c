"""A run that was killed anywhere is run again, and gives the same hash."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from liftwerk.faults import SITES
from tests.system.conftest import call

pytestmark = pytest.mark.slow

RUN_SITES = [
    site
    for site in SITES
    if site not in ("decision_commit", "erase_collection", "tombstone_commit", "inbox_trim")
]


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("site", RUN_SITES)
def test_a_kill_at_every_site_of_a_run_changes_nothing(
    site: str, moment: str, small: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    pristine, document = small
    project = tmp_path / "shop"
    shutil.copytree(pristine, project)
    killed = call("run", "--json", cwd=project, env={"LIFTWERK_FAULT": f"{site}:{moment}"})
    assert killed.returncode == -signal.SIGKILL, f"{site} was never reached: {killed.stderr}"
    again = call("run", "--json", cwd=project)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["reproducible_hash"] == document["reproducible_hash"]


def test_kills_at_random_moments_change_nothing(
    small: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    pristine, document = small
    moments = random.Random(20080318)
    seconds = document["seconds"]
    project = tmp_path / "shop"
    shutil.copytree(pristine, project)
    killed = 0
    for _ in range(20):
        # The home stays: each attempt goes on from wherever the one before was killed.
        command = [sys.executable, "-m", "liftwerk.cli", "run", "--json", "--force"]
        running = subprocess.Popen(
            command, cwd=project, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(moments.uniform(0.3, 0.3 + seconds))
        running.kill()
        killed += running.wait() == -signal.SIGKILL
    assert killed >= 10
    again = call("run", "--json", cwd=project)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["reproducible_hash"] == document["reproducible_hash"]
    assert os.listdir(project / ".liftwerk" / "tables")

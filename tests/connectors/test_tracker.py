"""The committed tracker: small, whole, and built from what frontend/ holds."""

from __future__ import annotations

import gzip
import re
import subprocess
from pathlib import Path

import pytest

from liftwerk.connectors.tracker import tracker_etag, tracker_script
from tests.conftest import need_package

FRONTEND = Path(__file__).parents[2] / "frontend"
BYTES_MOST = 3000


def test_script_is_small() -> None:
    assert len(gzip.compress(tracker_script(), 9, mtime=0)) < BYTES_MOST


def test_script_names_its_licence_and_nobody_else() -> None:
    text = tracker_script().decode("ascii")
    assert text.startswith("/*! liftwerk, Apache-2.0 */\n")
    assert re.findall(r"https?:", text) == []
    for word in ("cookie", "sessionStorage", "indexedDB", "userAgent", "eval(", "new Function"):
        assert word not in text, word


def test_tag_is_that_of_the_bytes() -> None:
    assert re.fullmatch(r'"[0-9a-f]{16}"', tracker_etag())


@pytest.mark.slow
def test_committed_script_is_what_the_sources_give(tmp_path: Path) -> None:
    need_package("esbuild")
    built = tmp_path / "t.js"
    command = ["node", str(FRONTEND / "tracker" / "build.mjs"), str(built)]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
    assert built.read_bytes() == tracker_script()


@pytest.mark.slow
def test_sources_have_the_types_that_they_say() -> None:
    done = subprocess.run(
        [
            "node",
            str(need_package("typescript") / "bin" / "tsc"),
            "--project",
            str(FRONTEND / "tracker"),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout

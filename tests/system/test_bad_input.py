"""Bad files, rows and projects: one line, the documented exit code, nothing half-written."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.system.conftest import call, small_example


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return small_example(tmp_path / "shop")


def data(project: Path) -> Path:
    return project / "data" / "hillstrom.csv.gz"


def lines(project: Path) -> list[str]:
    with gzip.open(data(project), "rt") as file:
        return file.readlines()


def rewrite(project: Path, rows: list[str]) -> None:
    with gzip.open(data(project), "wt") as file:
        file.writelines(rows)


def refused(done: subprocess.CompletedProcess[str], project: Path, *words: str) -> None:
    assert done.returncode == 2, (done.returncode, done.stderr)
    message = done.stderr.strip()
    assert message.startswith("error: "), message
    assert "\n" not in message
    for word in words:
        assert word in message
    assert done.stdout == ""
    assert not (project / ".liftwerk").exists()


def test_a_missing_file_is_named(project: Path) -> None:
    data(project).unlink()
    refused(call("run", cwd=project), project, "hillstrom.csv.gz")


def test_a_truncated_file_is_refused(project: Path) -> None:
    whole = data(project).read_bytes()
    data(project).write_bytes(whole[: len(whole) // 2])
    refused(call("run", cwd=project), project, "hillstrom.csv.gz")


def test_an_empty_file_is_refused(project: Path) -> None:
    data(project).write_bytes(b"")
    refused(call("run", cwd=project), project, "hillstrom.csv.gz")


def test_a_missing_column_is_named(project: Path) -> None:
    rows = lines(project)
    rows[0] = rows[0].replace("spend", "spent")
    rewrite(project, rows)
    refused(call("run", cwd=project), project, "spend", "did you mean 'spent'?")


def test_a_wrong_encoding_is_refused(project: Path) -> None:
    rows = lines(project)
    rows[5] = rows[5].replace("Web", "Wéb").replace("Phone", "Phöne").replace("Multi", "Mülti")
    with gzip.open(data(project), "wb") as file:
        file.write("".join(rows).encode("latin-1"))
    refused(call("run", cwd=project), project, "UTF-8")


def test_an_unknown_key_gets_a_suggestion(project: Path) -> None:
    definitions = project / "liftwerk.toml"
    definitions.write_text(definitions.read_text().replace("aggregate = ", "agregate = ", 1))
    done = call("run", cwd=project)
    refused(done, project, "liftwerk.toml:", "did you mean 'aggregate'?")
    checked = call("check", cwd=project)
    assert checked.returncode == 2
    assert "did you mean 'aggregate'?" in checked.stdout


def test_a_folder_without_a_project_is_refused(tmp_path: Path) -> None:
    refused(call("run", cwd=tmp_path), tmp_path, "liftwerk.toml", "liftwerk init")


def test_a_few_bad_rows_are_quarantined_and_the_run_goes_on(project: Path) -> None:
    rows = lines(project)
    rows[1] = rows[1].replace(rows[1].split(",")[1], "soon", 1)
    rows[2] = rows[2].replace("E-Mail", "Pigeon")
    rewrite(project, rows)
    done = call("run", "--json", cwd=project)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["quarantined"] == 2


def test_too_many_bad_rows_stop_the_run_with_nothing_published(project: Path) -> None:
    rows = lines(project)
    bad = [row.replace("E-Mail", "Pigeon") for row in rows[1:100]]
    rewrite(project, [rows[0], *bad, *rows[100:]])
    done = call("run", "--json", cwd=project)
    assert done.returncode == 1, done.stderr
    assert "99 of 3000 rows are bad, 1% are allowed" in done.stderr
    assert call("release", "list", "--json", cwd=project).stdout.strip() == "[]"
    answer = call(
        "sql", "--purpose", "measurement", "select count(*) as n from visit", "--json", cwd=project
    )
    assert answer.returncode != 0 or json.loads(answer.stdout)["rows"] == [{"n": 0}]


def test_a_repeated_id_with_other_content_is_quarantined(project: Path) -> None:
    rows = lines(project)
    again = rows[1].split(",")
    again[1] = str((int(again[1]) % 12) + 1)
    rewrite(project, [*rows, ",".join(again)])
    done = call("run", "--json", cwd=project)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["quarantined"] >= 1


def test_a_home_in_use_names_the_holder(project: Path, small: tuple[Path, dict[str, Any]]) -> None:
    holder = (
        "import sys, time; from pathlib import Path; from liftwerk.store.home import Home\n"
        "home = Home.open(Path('.liftwerk'), create=True)\n"
        "with home.hold('test'):\n"
        "    print('held', flush=True); time.sleep(120)\n"
    )
    running = subprocess.Popen(
        [sys.executable, "-c", holder], cwd=project, stdout=subprocess.PIPE, text=True
    )
    try:
        assert running.stdout is not None
        assert running.stdout.readline() == "held\n"
        done = call("run", cwd=project)
        assert done.returncode == 3, done.stderr
        assert str(running.pid) in done.stderr
    finally:
        running.kill()
        running.wait()
        running.stdout.close()

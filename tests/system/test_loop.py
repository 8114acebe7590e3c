"""The whole loop on the real trial: one document, one hash, wherever and however often it runs."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import rfc8785

import liftwerk
from liftwerk.features.as_of import current
from liftwerk.features.serve import Server
from liftwerk.identity.resolve import leaf_of
from liftwerk.models.definition import MODELS
from tests.system.conftest import call, copy_example, small_example

POLICIES = ["learned", "mens_to_all", "womens_to_all", "control", "uniform", "logged"]


def rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: rounded(part) for name, part in value.items()}
    if isinstance(value, list):
        return [rounded(part) for part in value]
    if isinstance(value, float):
        return float(f"{value:.12g}")
    return value


def figure(answer: dict[str, Any]) -> None:
    if "unknown" in answer:
        assert set(answer) == {"unknown", "needs"}
        return
    assert set(answer) == {"value", "low", "high"}
    assert answer["low"] <= answer["value"] <= answer["high"]


def test_the_document_has_exactly_the_promised_shape(finished: tuple[Path, dict[str, Any]]) -> None:
    document = finished[1]
    assert set(document) == {
        "customers", "events", "quarantined", "policies", "differences", "headline", "uplift",
        "release", "reproducible_hash", "seconds", "stages",
    }  # fmt: skip
    assert document["customers"] == 32026
    assert document["quarantined"] == 0
    assert list(document["policies"]) == POLICIES
    for policy in document["policies"].values():
        assert set(policy) == {"dr", "ips", "snips", "dm", "treated_share"}
        for name in ("dr", "ips", "snips", "dm"):
            figure(policy[name])
    assert set(document["differences"]) == set(POLICIES[1:])
    for difference in document["differences"].values():
        figure(difference)
    assert document["headline"]["verdict"] in {"better", "worse", "unclear", "unknown"}
    assert set(document["uplift"]) == {"mens_email", "womens_email"}
    for outcomes in document["uplift"].values():
        assert set(outcomes) == {"visit", "spend"}
        for answer in outcomes.values():
            figure(answer["qini"])
    assert all(set(stage) == {"name", "seconds", "skipped"} for stage in document["stages"])


def test_published_totals_are_reproduced(finished: tuple[Path, dict[str, Any]]) -> None:
    """Margins of the arms, straight from the file, equal the fixed policies' SNIPS values."""
    project, document = finished
    with gzip.open(project / "data" / "hillstrom.csv.gz", "rt") as file:
        header = file.readline().strip().split(",")
        rows = [
            line.strip().replace('"6) $750 - $1,000"', "6").replace('"7) $1,000 +"', "7")
            for line in file
        ]
    arm, spend = header.index("segment"), header.index("spend")
    cells = [row.split(",") for row in rows]
    for name, segment, cost in (
        ("mens_to_all", "Mens E-Mail", 0.05),
        ("womens_to_all", "Womens E-Mail", 0.05),
        ("control", "No E-Mail", 0.0),
    ):
        spends = [float(cell[spend]) for cell in cells if cell[arm] == segment]
        mean = 0.5 * sum(spends) / len(spends) - cost
        assert document["policies"][name]["snips"]["value"] == pytest.approx(mean, abs=1e-9)


def test_the_hash_is_that_of_the_printed_document(finished: tuple[Path, dict[str, Any]]) -> None:
    document = dict(finished[1])
    claimed = document.pop("reproducible_hash")
    del document["seconds"], document["stages"]
    assert hashlib.sha256(rfc8785.dumps(rounded(document))).hexdigest() == claimed


@pytest.mark.slow
def test_a_second_run_skips_every_step_and_keeps_the_hash(
    copied: Path, finished: tuple[Path, dict[str, Any]]
) -> None:
    again = json.loads(call("run", "--json", cwd=copied).stdout)
    assert all(stage["skipped"] for stage in again["stages"])
    assert again["reproducible_hash"] == finished[1]["reproducible_hash"]


@pytest.mark.slow
def test_fresh_another_folder_and_more_threads_keep_the_hash(
    copied: Path, finished: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    fresh = json.loads(call("run", "--json", "--fresh", cwd=copied).stdout)
    assert not any(stage["skipped"] for stage in fresh["stages"])
    assert fresh["reproducible_hash"] == finished[1]["reproducible_hash"]
    elsewhere = copy_example(tmp_path / "a folder with spaces")
    threads = {"OMP_NUM_THREADS": "3", "OPENBLAS_NUM_THREADS": "3"}
    program = "import liftwerk; print(liftwerk.open('.').run().document['reproducible_hash'])"
    other = subprocess.run(
        [sys.executable, "-c", program],
        cwd=elsewhere,
        env={**os.environ, **threads},
        capture_output=True,
        text=True,
        check=True,
    )
    assert other.stdout.strip() == finished[1]["reproducible_hash"]


@pytest.mark.slow
def test_the_view_knows_of_every_customer_what_a_decision_is_told(copied: Path) -> None:
    filled = call("features", "backfill", "--json", cwd=copied)
    assert filled.returncode == 0, filled.stderr
    assert json.loads(filled.stdout)["views"][0]["rows"] == 32026
    with liftwerk.open(copied) as project:
        model = project.definitions.get(MODELS)["email_uplift"]
        leaves = [leaf_of(project.definitions, str(number)) for number in range(1, 64000, 13)]
        view = Server(project.definitions, project.stores, "campaign", project.clock)
        served = view.get_many([(leaf,) for leaf in leaves])
        stores, now = project.stores, served[0].as_of
        told = current(
            project.definitions, stores, leaves, model.features, model.purpose, now
        ).select(model.features)
        known = sum(one.values["history"] is not None for one in served)
        assert 0 < known < len(leaves)
        assert [one.values for one in served] == told.to_pylist()

        # And what was told then, in the decision's own words.
        (release,) = json.loads(call("release", "list", "--json", cwd=copied).stdout)
        decided = project.decide("3", release=release["id"])
        snapshot = project.decision(decided["id"])["features"]
        values = view.get(leaf_of(project.definitions, "3")).values
        assert {one["name"]: one["value"] for one in snapshot} == values


@pytest.mark.slow
def test_another_file_in_its_place_just_works(tmp_path: Path) -> None:
    project = small_example(tmp_path / "shop")
    done = call("run", "--json", cwd=project)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["customers"] == 3000


@pytest.mark.slow
def test_importing_twice_changes_nothing(
    copied: Path, finished: tuple[Path, dict[str, Any]]
) -> None:
    again = call("import", "--json", cwd=copied)
    assert again.returncode == 0, again.stderr
    after = json.loads(call("run", "--json", cwd=copied).stdout)
    assert after["reproducible_hash"] == finished[1]["reproducible_hash"]


@pytest.mark.slow
def test_an_erased_customer_is_nowhere_and_stays_away(
    small: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    project = tmp_path / "shop"
    shutil.copytree(small[0], project)
    assert call("run", cwd=project).returncode == 0
    erased = call("erase", "3", "--yes", "--json", cwd=project)
    assert erased.returncode == 0, erased.stderr
    assert json.loads(erased.stdout)["found"] == []
    # The model that learned from them is flagged, until one is trained without them.
    [model] = json.loads(call("models", "list", "--json", cwd=project).stdout)
    assert model["erased_since"] == 1
    after = call("run", "--json", cwd=project)
    assert after.returncode == 0, after.stderr
    assert json.loads(after.stdout)["customers"] == small[1]["customers"] - 1
    models = json.loads(call("models", "list", "--json", cwd=project).stdout)
    assert sorted(model["erased_since"] for model in models) == [0, 1]

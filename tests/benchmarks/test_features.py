"""The benchmark of features measures equal things: each way by hand, each event, each mark."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from benchmarks.features_traffic import BROWSER, SHOP, VIEW, Shop, number_of, project_text

from benchmarks import features_home, features_join, features_online, features_peer, features_sql
from liftwerk.definitions import load
from liftwerk.events.admit import admit
from liftwerk.events.schema import schema_of
from liftwerk.features.views import FEATURE_VIEWS
from liftwerk.sections import SECTIONS

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


def test_each_way_by_hand_gives_the_compiled_values(tmp_path: Path) -> None:
    for place in range(2):
        features_join._make(tmp_path, place, 4_000)
    answers = {
        name: features_join._answer(name, str(tmp_path), 2)["check"]
        for name in features_sql.METHODS
    }
    assert len(set(answers.values())) == 1, answers
    one_file = features_join._answer("compiled", str(tmp_path), 1)["check"]
    assert one_file != answers["compiled"]  # the check sees the rows


def test_ready_values_are_those_of_an_asof_join(tmp_path: Path) -> None:
    features_peer._make(tmp_path, customers=50, each=20, rows=300)
    for method in ("liftwerk", "floor"):
        features_peer._answer(method, str(tmp_path))
    assert features_peer._different(tmp_path, "liftwerk", "floor") == 0
    (tmp_path / "other").mkdir()
    features_peer._make(tmp_path / "other", customers=50, each=10, rows=300)
    features_peer._answer("floor", str(tmp_path / "other"))
    (tmp_path / "other" / "floor.parquet").rename(tmp_path / "other.parquet")
    assert features_peer._different(tmp_path, "liftwerk", "other") > 200


def test_the_pack_is_of_fifty_features(tmp_path: Path) -> None:
    (tmp_path / "liftwerk.toml").write_text(project_text())
    view = load(tmp_path, SECTIONS).get(FEATURE_VIEWS)[VIEW]
    assert len(set(view.features)) == 50


def test_every_event_of_the_shop_is_taken(tmp_path: Path) -> None:
    (tmp_path / "liftwerk.toml").write_text(project_text())
    schema = schema_of(load(tmp_path, SECTIONS))
    shop = Shop(1, customers=40)
    names: Counter[str] = Counter()
    for source in (BROWSER, SHOP):
        texts = shop.take(source, 300, NOW - timedelta(days=1), NOW)
        rows = admit(texts, schema, source, NOW).rows
        names.update(row.name for row in rows)
    assert names.total() == 600
    assert names["order_completed"] == 300
    assert set(names) == {"page_viewed", "product_viewed", "order_completed"}


def test_few_customers_come_often() -> None:
    numbers = [number_of(draw / 20_000, 1_000) for draw in range(20_000)]
    assert sum(number < 10 for number in numbers) / 20_000 == pytest.approx(0.08, abs=0.005)
    assert (min(numbers), max(numbers)) == (0, 999)


@pytest.mark.slow
def test_what_is_acknowledged_is_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(features_home, "CHUNK", 1_000)
    project = features_home.prepared(tmp_path, customers=50, events=2_000)
    with features_home.serving(project) as (port, pids):
        sent = features_online.client("stream", port, 200, 3, 50)
        asked = features_online.client("get", port, 50, 2, 50)
    assert [len(group) for group in pids.values()] == [1, 1, 1]
    assert sent["events"] == 600 + 30
    assert sent["not_served"] == 0
    assert sent["fresh"]["p50_ms"] > 0
    assert asked["answers"] == {"200": 100}


def test_a_part_that_is_not_there_is_named() -> None:
    command = [sys.executable, "-m", "benchmarks", "features", "--quick", "--part", "strem"]
    asked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert asked.returncode == 2
    assert "did you mean 'stream'?" in asked.stderr

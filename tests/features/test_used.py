"""Versions are kept when definitions are put to use, with all that their values depend on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from liftwerk.errors import UnknownName
from liftwerk.features.diff import difference
from liftwerk.features.used import put_to_use, version_named, versions_of
from liftwerk.store.ledger import LEDGERS, Ledger
from liftwerk.store.urls import open_url
from tests.governance.declared import declared

AT = datetime(2026, 3, 1, tzinfo=UTC)
LATER = AT + timedelta(days=1)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger: Ledger = open_url("ledger", LEDGERS, f"sqlite:{tmp_path / 'ledger'}")
    yield ledger
    ledger.close()


def test_what_is_put_to_use_is_kept_once_with_one_entry(ledger: Ledger) -> None:
    news = put_to_use(declared(), ledger, "ann", AT)
    assert "features.spend" in news
    assert "feature_views.crm" in news
    (entry,) = ledger.audit(action="features.use")
    assert set(entry.detail["versions"]) == set(news)
    assert put_to_use(declared(), ledger, "ann", LATER) == []
    assert len(ledger.audit()) == 1


def test_a_version_tells_all_that_its_values_depend_on(ledger: Ledger) -> None:
    put_to_use(declared(), ledger, "ann", AT)
    (version,) = versions_of(declared(), ledger, "local_share")
    assert version.definition["features"]["local"]["where"] == "city = 'Graz'"
    assert version.definition["events"]["order"] == {
        "version": 1,
        "properties": {"city": {"type": "string", "privacy": "personal"}},
    }
    assert (version.first, version.last) == (AT, AT)


def test_going_back_takes_the_old_version_up_again(ledger: Ledger) -> None:
    other = declared(features__spend__window="30d")
    for day, project in enumerate((declared(), other, declared())):
        put_to_use(project, ledger, "ann", AT + timedelta(days=day))
    old, new = versions_of(declared(), ledger, "spend")
    assert old.definition["window"] != new.definition["window"]
    assert (new.first, new.last) == (AT, AT + timedelta(days=2))
    assert len(ledger.audit(action="features.use")) == 3


def test_what_is_declared_now_is_a_version_before_it_is_used(ledger: Ledger) -> None:
    put_to_use(declared(), ledger, "ann", AT)
    old, new = versions_of(declared(features__spend__window="30d"), ledger, "spend")
    assert (old.first, new.first) == (AT, None)
    assert [one.first for one in versions_of(declared(), None, "spend")] == [None]


def test_versions_of_what_is_declared_no_longer_can_be_read(ledger: Ledger) -> None:
    put_to_use(declared(), ledger, "ann", AT)
    without = declared(features__spend=None, feature_views=None)
    assert [one.name for one in versions_of(without, ledger, "spend")] == ["spend"]
    with pytest.raises(UnknownName):
        versions_of(without, ledger, "never_there")


def test_a_version_is_named_by_its_first_digits(ledger: Ledger) -> None:
    put_to_use(declared(), ledger, "ann", AT)
    put_to_use(declared(features__spend__owner="bob"), ledger, "ann", LATER)
    versions = versions_of(declared(features__spend__owner="bob"), ledger, "spend")
    assert version_named(versions, versions[0].short) == versions[1]
    with pytest.raises(UnknownName, match="no version 'zz'"):
        version_named(versions, "zz")


def test_a_difference_says_key_by_key_what_it_means() -> None:
    def version(**changed):
        (one,) = versions_of(declared(**changed), None, "spend")
        return one

    words = difference(version(), version(features__spend__owner="bob@shop.example"))
    assert (words.values, words.words) == (False, "only words change")
    assert [(one.key, one.meaning) for one in words.changes] == [("owner", "words")]
    values = difference(
        version(),
        version(
            features__spend__window="30d",
            features__spend__description="Spend in 30 days",
            features__spend__checks={"minimum": 0},
            events__order__unique=["city"],
        ),
    )
    assert values.words == "values change"
    assert {one.key: (one.before, one.after, one.meaning) for one in values.changes} == {
        "window": ("90d", "30d", "values"),
        "description": ("Spend in 90 days", "Spend in 30 days", "words"),
        "checks.minimum": (None, "0.0", "words"),
        "events.order.unique": (None, "city", "values"),
    }
    assert difference(version(), version()).words == "nothing changes"


def test_other_words_are_kept_too_and_are_no_news_for_what_reads_the_feature(
    ledger: Ledger,
) -> None:
    put_to_use(declared(), ledger, "ann", AT)
    other = declared(features__local__owner="bob")
    assert put_to_use(other, ledger, "ann", LATER) == ["features.local"]
    old, new = versions_of(other, ledger, "local")
    assert old.version == new.version
    assert difference(old, new).words == "only words change"

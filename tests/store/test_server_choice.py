"""``[store] inbox`` and ``online``: what a server keeps, and that no URL tells a password."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftwerk.definitions import Project
from liftwerk.errors import DefinitionError, StoreFault
from liftwerk.store.definition import server_urls
from liftwerk.store.home import Home
from liftwerk.store.stores import open_stores
from liftwerk.store.urls import holds_secret, without_secrets
from tests.events.shop import shop

URL = "postgresql://collector@db.shop.example/shop"


def project(root: Path | str = ".", **store: str) -> Project:
    return shop(root, store=store)


def test_the_home_keeps_the_inbox_unless_a_server_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert server_urls(project()) == {}
    home = Home.of(project(tmp_path), create=True)
    assert home.urls["inbox"] == f"sqlite:{home.path / 'inbox.sqlite'}"
    assert Home.of(project(tmp_path, inbox=URL)).urls["inbox"] == URL
    monkeypatch.setenv("SHOP_INBOX", "postgresql://collector:pa55word@db.shop.example/shop")
    named = Home.of(project(tmp_path, inbox_env="SHOP_INBOX"))
    assert named.urls["inbox"] == "postgresql://collector:pa55word@db.shop.example/shop"


def test_so_it_is_with_the_online_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home.of(project(tmp_path), create=True)
    assert home.urls["online"] == f"sqlite:{home.path / 'online.sqlite'}"
    assert Home.of(project(tmp_path, online=URL)).urls == home.urls | {"online": URL}
    monkeypatch.setenv("SHOP_ONLINE", URL)
    both = Home.of(project(tmp_path, inbox=URL, online_env="SHOP_ONLINE"))
    assert both.urls == home.urls | {"inbox": URL, "online": URL}


def test_values_that_an_erasure_would_miss_do_not_stay_behind(tmp_path: Path) -> None:
    home = Home.of(project(tmp_path), create=True)
    open_stores(home).close()
    with pytest.raises(StoreFault, match=r"the home has online values of its own.*: delete it"):
        Home.of(project(tmp_path, online=URL))
    (home.path / "online.sqlite").unlink()
    assert Home.of(project(tmp_path, online=URL)).urls["online"] == URL


def test_where_it_lies_is_not_what_is_meant() -> None:
    assert project(inbox=URL).hash == project().hash == project(inbox_env="SHOP_INBOX").hash
    assert project(online=URL).hash == project().hash == project(online_env="SHOP_ONLINE").hash


def test_a_variable_that_is_not_set_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHOP_INBOX", raising=False)
    with pytest.raises(StoreFault, match="SHOP_INBOX is not set: \\[store\\] inbox_env: export"):
        server_urls(project(inbox_env="SHOP_INBOX"))


@pytest.mark.parametrize(
    ("store", "says"),
    [
        ({"inbox": "postgresql://ada:pa55word@db/shop"}, "store.inbox holds a password"),
        ({"inbox": "postgresql://db/shop?password=pa55word"}, "store.inbox holds a password"),
        ({"inbox": "postgresql://ada:pa/55word@db/shop"}, "store.inbox holds a password"),
        ({"inbox": "mysql://ada:pa55word@db/shop"}, "not the URL of a server"),
        ({"inbox": "sqlite:/var/inbox.sqlite"}, "not the URL of a server"),
        ({"online": "postgresql://ada:pa55word@db/shop"}, "store.online holds a password"),
        ({"online": "redis://db/0"}, "store.online is not the URL of a server"),
        ({"online": URL, "online_env": "SHOP_ONLINE"}, "store.online has two URLs"),
        ({"inbox": URL, "inbox_env": "SHOP_INBOX"}, "store.inbox has two URLs"),
    ],
)
def test_the_project_file_holds_no_password(store: dict[str, str], says: str) -> None:
    with pytest.raises(DefinitionError, match=says) as caught:
        project(**store)
    assert "55word" not in str(caught.value)


@given(
    secret=st.text(st.characters(codec="ascii", exclude_categories=("Cc",)), min_size=4),
    form=st.sampled_from(
        [
            "postgresql://ada:S3-{}-S3@db.shop.example:5432/shop",
            "postgresql://ada:S3-{}-S3@h1:1,h2:2/shop?sslmode=require",
            "postgresql://db.shop.example/shop?user=ada&password=S3-{}-S3",
            "postgresql:ada:S3-{}-S3@db",
        ]
    ),
)
def test_whatever_a_password_holds_it_is_not_shown(secret: str, form: str) -> None:
    url = form.format(secret)
    assert "S3-" not in without_secrets(url)
    assert "-S3" not in without_secrets(url)
    assert holds_secret(url)

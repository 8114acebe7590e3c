"""Erasing over HTTP, by a real server, beside real load."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.byte_search import search
from tests.system.erasure_load import Server, World, erase_under_load


def test_customers_are_erased_under_load_and_no_byte_is_left(tmp_path: Path) -> None:
    figures = erase_under_load(
        tmp_path / "shop", customers=1_000, erased=20, seed=3, rate=100, patience=300
    )
    assert figures["canaries_found_before"] > 100  # the search finds what is there
    assert figures["canaries_found"] == {}
    assert figures["keys_found_outside_the_ledger"] == {}
    assert set(figures["answers"]) == {200}
    went = figures["last_receipt"]["collections"]["events"]["fields"]
    assert went["order_completed_v1.leaf_customer"] >= 2
    assert went["page_viewed_v1.leaf_device"] >= 3
    for how in ("one_by_bucket", "one_with_the_search"):
        assert figures[how]["events"]["rows"] >= 6
        assert not figures[how]["found"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    world = World(tmp_path_factory.mktemp("http") / "shop", customers=1, seed=1)
    with Server(world.folder, "--no-compact") as running:
        yield running


@pytest.mark.parametrize(
    ("path", "token", "status", "words"),
    [
        ("customers/customer:a", "", 401, "token"),
        ("customers/customer:a", "another token of the soak", 401, "token"),
        ("customers/%ff", None, 400, "not UTF-8"),
        ("customers/%20", None, 400, "no identifier"),
        ("customers/" + "a" * 1001, None, 400, "more than 1000 characters"),
        ("customers/", None, 404, "nothing at this address"),
    ],
)
def test_who_may_not_or_names_nobody_is_told_so(
    server: Server, path: str, token: str | None, status: int, words: str
) -> None:
    answered, said = server.ask("DELETE", f"/v1/{path}", token)
    assert answered == status
    assert words in said["detail"]
    assert said["status"] == status


@pytest.mark.parametrize("identifier", ["a", "customer:a%2Fb", "a:b", "a%20b", "%C3%BC%00'--"])
def test_a_queued_erasure_has_an_address(server: Server, identifier: str) -> None:
    status, said = server.ask("DELETE", f"/v1/customers/{identifier}")
    assert (status, said["state"], said["finished"]) == (202, "queued", None)
    status, again = server.ask("GET", f"/v1/erasures/{said['erasure']}")
    assert (status, again["state"]) == (200, "queued")
    assert "identifier" not in again


def test_no_receipt_under_another_id(server: Server) -> None:
    status, said = server.ask("GET", "/v1/erasures/nothing")
    assert (status, said["title"]) == (404, "Not Found")


def test_the_search_finds_a_canary_in_every_form(tmp_path: Path) -> None:
    canary = b"cnry" + b"0123456789abcdef" * 2
    forms = {
        "plain": b"x" + canary,
        "hex": canary.hex().encode(),
        "base64": base64.b64encode(b"x" + canary),
    }
    for name, content in forms.items():
        (tmp_path / name).write_bytes(bytes(5000) + content + bytes(5000))
    (tmp_path / "key").write_bytes(bytes(4101) + b"0123456789abcdef" + bytes(3))
    left, keys, _ = search(tmp_path, frozenset([canary]), frozenset([b"0123456789abcdef"]))
    assert set(left) == set(forms)
    assert "key" in keys

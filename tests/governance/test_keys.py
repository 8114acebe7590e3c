"""Write keys: whom they speak for, until when, and that nothing gives one away."""

from __future__ import annotations

import base64
import json
import multiprocessing
import os
import signal
import string
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liftwerk.cli.main import main
from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.errors import ProjectError, Refused, UnknownName
from liftwerk.governance.key_ring import KeyRing
from liftwerk.governance.keys import (
    GRACE_MAX,
    NewKey,
    create_key,
    list_keys,
    revoke_key,
    rotate_key,
)
from liftwerk.store.home import Home
from liftwerk.store.stores import Stores, open_stores
from tests.events import shop as shops
from tests.events.shop import NOW
from tests.system.conftest import call

pytestmark = pytest.mark.slow

DAY = timedelta(days=1)
LETTERS = string.ascii_letters + string.digits + "-_"
SHOP = shops.shop()


def make(stores: Stores, clock: FixedClock, source: str = "web", label: str = "") -> NewKey:
    return create_key(SHOP, stores, clock, "jane", source, label)


def source_of(
    stores: Stores, secret: str, now: datetime = NOW, project: Project = SHOP, **environ: str
) -> str | None:
    return KeyRing.load(project, stores, environ).source_of(secret, now)


def states(stores: Stores, now: datetime = NOW) -> list[str]:
    return [key.state for key in list_keys(SHOP, stores, now)]


# ------------------------------------------------------------------------------- what a key may do


def test_a_key_speaks_for_its_source_alone(stores: Stores, clock: FixedClock) -> None:
    web, till = make(stores, clock), make(stores, clock, "till", "shop server")
    assert source_of(stores, web.secret) == "web"
    assert source_of(stores, till.secret) == "till"
    swapped = till.secret.replace(till.id, web.id)
    assert source_of(stores, swapped) is None
    listed = [(key.id, key.source, key.label) for key in list_keys(SHOP, stores, NOW)]
    assert listed == [(web.id, "web", ""), (till.id, "till", "shop server")]


def test_every_other_text_opens_nothing(stores: Stores, clock: FixedClock) -> None:
    secret = make(stores, clock).secret
    ring = KeyRing.load(SHOP, stores, {"SHOP_TILL_KEY": "a long key of one's own"})
    changed = [
        secret[:place] + letter + secret[place + 1 :]
        for place in range(len(secret))
        for letter in "AaQ0-\x00\ud800"
        if letter != secret[place]
    ]
    longer_or_shorter = [
        secret[:-1],
        secret + "A",
        secret + "\n",
        secret.upper(),
        "",
        "ü",
        "\ud800",
    ]
    for text in (*changed, *longer_or_shorter):
        assert ring.source_of(text, NOW) is None
    # Two bits of the last letter say nothing; it must be this very letter all the same.
    raw = base64.urlsafe_b64decode(secret[-43:] + "=")
    alike = {secret[:-1] + letter for letter in LETTERS if decoded(secret, letter) == raw}
    assert len(alike) == 4
    assert [text for text in alike if ring.source_of(text, NOW)] == [secret]


def decoded(secret: str, last: str) -> bytes:
    return base64.urlsafe_b64decode(f"{secret[-43:-1]}{last}=")


def test_only_sources_that_speak_http_take_keys(stores: Stores, clock: FixedClock) -> None:
    with pytest.raises(UnknownName, match=r"no source 'wbe'.*did you mean 'web'"):
        make(stores, clock, "wbe")
    with pytest.raises(ProjectError, match="the source 'file' is a file"):
        make(stores, clock, "file")
    assert stores.ledger.audit() == []


@pytest.mark.parametrize("label", ["two\nlines", "\x1b[31m", "x" * 81])
def test_a_label_is_a_line(stores: Stores, clock: FixedClock, label: str) -> None:
    with pytest.raises(ProjectError, match="the label can't be shown in a line") as caught:
        make(stores, clock, label=label)
    assert label not in str(caught.value)


def test_the_key_of_a_source_that_went_opens_nothing(stores: Stores, clock: FixedClock) -> None:
    key = make(stores, clock)
    for kept in ({}, {"web": {"kind": "file", "trust": "partner"}}):
        changed = shops.shop(sources={"file": {"kind": "file", "trust": "import"}, **kept})
        assert source_of(stores, key.secret, project=changed) is None
        assert [one.state for one in list_keys(changed, stores, NOW)] == ["orphaned"]
        with pytest.raises(ProjectError, match="web"):
            rotate_key(changed, stores, clock, "jane", key.id)
    revoke_key(stores, clock, "jane", key.id)
    assert states(stores) == ["revoked"]


# ------------------------------------------------------------------------------ rotated and revoked


@dataclass
class Known:
    """What a key must be worth, by a model that is nothing but these facts."""

    key: NewKey
    expires: datetime | None = None
    revoked: bool = False

    def works(self, now: datetime) -> bool:
        return not self.revoked and (self.expires is None or now < self.expires)


STEPS = st.one_of(
    st.tuples(st.just("create"), st.sampled_from(["web", "till"])),
    st.tuples(st.just("rotate"), st.integers(0, 5), st.timedeltas(timedelta(0), GRACE_MAX)),
    st.tuples(st.just("rotate"), st.integers(0, 5), st.sampled_from([timedelta(0), DAY, 2 * DAY])),
    st.tuples(st.just("revoke"), st.integers(0, 5)),
    # A machine's clock may also be set back.
    st.tuples(st.just("wait"), st.timedeltas(-2 * DAY, 40 * DAY)),
    st.tuples(st.just("wait"), st.just(DAY)),
)


@settings(max_examples=20)
@given(st.lists(STEPS, min_size=1, max_size=12), st.timedeltas(-DAY, 100 * DAY))
def test_a_key_works_until_it_ends_by_any_clock(steps: list[tuple], later: timedelta) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        open_stores(Home.open(Path(folder) / "home", create=True)) as stores,
    ):
        clock = FixedClock(NOW)
        made = [Known(make(stores, clock))]
        entries = 1
        for verb, *given_ in steps:
            entries += take(stores, clock, made, verb, *given_)
            ring = KeyRing.load(SHOP, stores, {})
            for now in (clock.now(), clock.now() + later):
                works = [one.works(now) for one in made]
                answers = [ring.source_of(one.key.secret, now) for one in made]
                assert answers == [
                    one.key.source if works_ else None
                    for one, works_ in zip(made, works, strict=True)
                ]
                listed = list_keys(SHOP, stores, now)
                assert [one.state in ("live", "expiring") for one in listed] == works
                assert [one.expires for one in listed] == [one.expires for one in made]
        check = stores.ledger.verify_audit()
        assert (check.ok, check.entries) == (True, entries)


def take(
    stores: Stores, clock: FixedClock, made: list[Known], verb: str, what: object, *more: timedelta
) -> int:
    """Take one step in the project and in the model; returns how many audit entries it makes."""
    if isinstance(what, timedelta):
        clock.advance(what)
        return 0
    if isinstance(what, str):
        made.append(Known(make(stores, clock, what)))
        return 1
    assert isinstance(what, int)
    old = made[what % len(made)]
    if verb == "revoke":
        was = old.revoked
        assert revoke_key(stores, clock, "jane", old.key.id) == old.key.id
        old.revoked = True
        return int(not was)
    if not old.works(clock.now()):
        with pytest.raises(Refused, match="the key has ended already"):
            rotate_key(SHOP, stores, clock, "jane", old.key.id, *more)
        return 0
    done = rotate_key(SHOP, stores, clock, "jane", old.key.id, *more)
    until = clock.now() + more[0]
    old.expires = min(until, old.expires or until)
    assert (done.old, done.until, done.new.source) == (old.key.id, old.expires, old.key.source)
    made.append(Known(done.new))
    return 1


def test_a_rotated_key_works_for_seven_days_more(stores: Stores, clock: FixedClock) -> None:
    old = make(stores, clock, label="shop server")
    new = rotate_key(SHOP, stores, clock, "jane", old.id).new
    last = NOW + 7 * DAY - timedelta(microseconds=1)
    assert source_of(stores, old.secret, last) == source_of(stores, new.secret, last) == "web"
    assert source_of(stores, old.secret, NOW + 7 * DAY) is None
    assert source_of(stores, new.secret, NOW + 7 * DAY) == "web"
    assert [key.label for key in list_keys(SHOP, stores, NOW)] == ["shop server"] * 2
    assert (states(stores), states(stores, NOW + 7 * DAY)) == (
        ["expiring", "live"],
        ["expired", "live"],
    )


def test_rotating_again_prolongs_nothing(stores: Stores, clock: FixedClock) -> None:
    old = make(stores, clock)
    ends = [
        rotate_key(SHOP, stores, clock, "jane", old.id, grace).until - NOW
        for grace in (2 * DAY, 9 * DAY, DAY)
    ]
    assert ends == [2 * DAY, 2 * DAY, DAY]
    said = [entry.detail["expires"] for entry in stores.ledger.audit(after=1)]
    assert said == [(NOW + end).isoformat() for end in ends]
    assert source_of(stores, old.secret, NOW + DAY) is None


@pytest.mark.parametrize("grace", [-timedelta(microseconds=1), GRACE_MAX + DAY, timedelta.max])
def test_a_grace_is_neither_negative_nor_endless(
    stores: Stores, clock: FixedClock, grace: timedelta
) -> None:
    key = make(stores, clock)
    with pytest.raises(ProjectError, match="from 0d to 90d"):
        rotate_key(SHOP, stores, clock, "jane", key.id, grace)
    assert states(stores) == ["live"]


def test_a_leaked_key_is_revoked_by_itself_and_never_repeated(
    stores: Stores, clock: FixedClock
) -> None:
    key = make(stores, clock)
    unknown = key.secret.replace(key.id, "0" * 12)
    for text in (unknown, "a key of one's own"):
        with pytest.raises(UnknownName, match="no such key") as caught:
            revoke_key(stores, clock, "jane", text)
        assert text not in str(caught.value)
        assert key.secret[-43:] not in str(caught.value)
    assert revoke_key(stores, clock, "jane", key.secret) == key.id
    assert source_of(stores, key.secret) is None
    assert source_of(stores, key.secret, NOW - DAY) is None  # whatever a collector's clock says


# ------------------------------------------------------------------------------ the environment


def test_the_environment_gives_keys_too(stores: Stores, clock: FixedClock) -> None:
    environ = {"SHOP_WEB_KEY": " a key of one's own\n", "SHOP_TILL_KEY": "", "OTHER": "x"}
    ring = KeyRing.load(SHOP, stores, environ)
    assert ring.source_of("a key of one's own", NOW) == "web"
    for text in ("", " a key of one's own\n", "x"):
        assert ring.source_of(text, NOW) is None
    # One that was made in another home is a key like any other.
    key = make(stores, clock, "till")
    foreign = key.secret.replace(key.id, "0" * 12)
    assert source_of(stores, foreign, SHOP_WEB_KEY=foreign) == "web"


def test_the_ledger_has_the_last_word(stores: Stores, clock: FixedClock) -> None:
    key = make(stores, clock, "web")
    assert source_of(stores, key.secret, SHOP_TILL_KEY=key.secret) == "web"
    revoke_key(stores, clock, "jane", key.id)
    assert source_of(stores, key.secret, SHOP_WEB_KEY=key.secret) is None


def test_two_sources_cannot_share_a_key(stores: Stores) -> None:
    with pytest.raises(ProjectError, match="two sources have one key: sources web and till") as no:
        source_of(stores, "x", SHOP_WEB_KEY="one for all", SHOP_TILL_KEY="one for all")
    assert "one for all" not in str(no.value)


# ---------------------------------------------------------------------------- nothing gives it away


def spellings(secret: str) -> list[bytes]:
    """Return every form in which a key could lie somewhere."""
    raw = base64.urlsafe_b64decode(secret[-43:] + "=")
    return [secret.encode(), secret[-43:].encode(), raw, raw.hex().encode()]


def test_no_file_of_the_home_holds_a_secret(stores: Stores, clock: FixedClock) -> None:
    first = make(stores, clock, label="shop server")
    done = rotate_key(SHOP, stores, clock, "jane", first.id)
    revoke_key(stores, clock, "jane", first.secret)
    everything = {path: path.read_bytes() for path in stores.home.path.rglob("*") if path.is_file()}
    assert any(first.id.encode() in content for content in everything.values())
    for secret in (first.secret, done.new.secret):
        for spelled in spellings(secret):
            assert [path for path, content in everything.items() if spelled in content] == []
    assert first.secret not in repr(first)
    assert done.new.secret not in repr(done)


def test_the_audit_names_ids_alone(stores: Stores, clock: FixedClock) -> None:
    first = make(stores, clock, label="Jane's laptop")
    done = rotate_key(SHOP, stores, clock, "jane", first.id, DAY)
    revoke_key(stores, clock, "jane", first.id)
    told = [(entry.action, entry.subject, entry.detail) for entry in stores.ledger.audit()]
    until = (NOW + DAY).isoformat()
    assert told == [
        ("key.create", first.id, {"source": "web"}),
        ("key.rotate", first.id, {"source": "web", "new": done.new.id, "expires": until}),
        ("key.revoke", first.id, {"source": "web"}),
    ]
    assert stores.ledger.verify_audit().ok


# ------------------------------------------------------------------------------ by the command


TOML = """
[project]
name = "shop"
currency = "EUR"
timezone = "Europe/Berlin"
[sources.web]
kind = "http"
trust = "browser"
[sources.till]
kind = "http"
trust = "server"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "shop"
    place.mkdir()
    (place / "liftwerk.toml").write_text(TOML)
    return place


@pytest.mark.slow
def test_the_command_makes_rotates_and_revokes(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    # As a collector has them open, beside the command.
    kept = open_stores(Home.open(folder / ".liftwerk", create=True))
    shown = call("keys", "create", "web", "--label", "shop [server]", cwd=folder)
    assert (shown.returncode, shown.stderr) == (0, "")
    first = next(word for word in shown.stdout.split() if word.startswith("lw_write_"))
    key_id = first.split("_")[2]
    assert "not shown again" in shown.stdout
    assert f"curl -A trial -H 'Authorization: Bearer {first}' " in shown.stdout
    assert shown.stdout.endswith("/v1/events\n")
    assert source_of(kept, first) == "web"

    done = json.loads(here(folder, capfd, "rotate", key_id, "--grace", "12h", "--json"))
    until = datetime.fromisoformat(done["until"])
    assert done["old"] == key_id
    assert [key.expires for key in list_keys(SHOP, kept, NOW)] == [until, None]
    assert source_of(kept, first, until - DAY / 24) == "web"
    assert source_of(kept, first, until) is None
    listed = here(folder, capfd, "list")
    assert "shop [server]" in listed
    assert "expires in 11 h 5" in listed  # and so many minutes

    revoked = call("keys", "revoke", first, cwd=folder)
    assert revoked.stdout == f"key {key_id} is revoked\n"
    assert source_of(kept, first, until - DAY / 24) is None  # by stores that were open all along
    assert source_of(kept, done["new"]["secret"]) == "web"
    rows = here(folder, capfd, "list", "--json")
    assert [row["state"] for row in json.loads(rows)] == ["revoked", "live"]
    for secret in (first, done["new"]["secret"]):
        assert secret[-43:] not in listed + rows
    assert kept.ledger.verify_audit().ok
    kept.close()


def here(folder: Path, capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return what the command prints, in this process."""
    with pytest.raises(SystemExit) as ended:
        main(["keys", *arguments, "--project", str(folder)])
    printed = capfd.readouterr()
    assert ended.value.code == 0, printed.err
    return printed.out


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["create", "wbe"], "error: no source 'wbe': [sources]: did you mean 'web'?"),
        (["revoke", "abc"], "error: no such key: keys: none is declared"),
        (["rotate", "abc", "--grace", "soon"], "error: Invalid value for --grace: write a"),
    ],
)
def test_the_command_refuses_in_a_line(
    folder: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], line: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["keys", *arguments, "--project", str(folder)])
    printed = capfd.readouterr()
    assert (ended.value.code, printed.out) == (2, "")
    assert printed.err.startswith(line)
    assert printed.err.count("\n") == 1


# ------------------------------------------------------------------------------ killed


def _change_and_die(home: Path, verb: str, key_id: str, moment: str) -> None:
    os.environ["LIFTWERK_FAULT"] = f"key_commit:{moment}"
    stores, clock = open_stores(Home.open(home)), FixedClock(NOW)
    if verb == "create":
        make(stores, clock)
    elif verb == "rotate":
        rotate_key(SHOP, stores, clock, "jane", key_id)
    else:
        revoke_key(stores, clock, "jane", key_id)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("verb", "moment", "expected"),
    [
        ("create", "after", ["live", "live"]),
        ("rotate", "before", ["live"]),
        ("rotate", "after", ["expiring", "live"]),
        ("revoke", "after", ["revoked"]),
    ],
)
def test_a_killed_change_is_whole_or_not_there(
    stores: Stores, clock: FixedClock, verb: str, moment: str, expected: list[str]
) -> None:
    key = make(stores, clock)
    arguments = (stores.home.path, verb, key.id, moment)
    spawn = multiprocessing.get_context("spawn")
    process = spawn.Process(target=_change_and_die, args=arguments)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert states(stores) == expected
    assert len(stores.ledger.audit()) == 1 + (moment == "after")
    assert stores.ledger.verify_audit().ok
    # A secret that was lost on the way can still be ended: its id is listed.
    for one in list_keys(SHOP, stores, NOW):
        revoke_key(stores, clock, "jane", one.id)
    assert set(states(stores)) == {"revoked"}

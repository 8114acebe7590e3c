"""Every kind of online store keeps the promises of `liftwerk.store.online.Online`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from liftwerk.errors import Conflict
from liftwerk.store.online import ONLINES, Changes, Online, Progress, Row, Space
from liftwerk.store.online.protocol import KEY_MAX
from liftwerk.store.urls import open_url

pytestmark = pytest.mark.slow

Open = Callable[[], Online]
Search = Callable[[bytes], bool]
AT = datetime(2026, 3, 4, 15, 0, 0, 123456, tzinfo=UTC)
CRM, MEMBERS = "crm@3fa2…:personalisation", "crm@3fa2…:personalisation/members"


@pytest.fixture(params=sorted(ONLINES))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def url(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if kind == "postgresql":
        return str(request.getfixturevalue("postgresql_url"))
    return f"{kind}:{tmp_path / 'online'}"


@pytest.fixture
def reopen(url: str) -> Iterator[Open]:
    with ExitStack() as opened:

        def reopened() -> Online:
            online: Online = open_url("online store", ONLINES, url)
            opened.callback(online.close)
            return online

        yield reopened


@pytest.fixture
def in_a_file(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Search:
    """Say whether some bytes are in a file: of a server, in one of the tables' files."""
    if kind == "postgresql":
        search: Search = request.getfixturevalue("postgresql").holds
        return search
    return lambda secret: any(secret in path.read_bytes() for path in tmp_path.iterdir())


def put(
    online: Online,
    offset: int,
    expected: Progress | None,
    *pairs: tuple[bytes, bytes],
    drops: Iterable[bytes] = (),
    clear: bool = False,
) -> Progress:
    return online.apply({CRM: Changes(expected, pairs, drops, clear)}, offset, AT)


def kept(online: Online, space: str = CRM) -> dict[bytes, bytes]:
    return {row.key: row.body for row in online.rows(space)}


def fails_to_put(online: Online, expected: Progress | None, *pairs: tuple[bytes, bytes]) -> bool:
    try:
        put(online, 9, expected, *pairs)
    except Conflict:
        return True
    return False


# ---------------------------------------------------------------------- rows and progress


def test_rows_come_back_in_the_order_they_were_asked_for(reopen: Open) -> None:
    online = reopen()
    assert online.get(CRM, [b"a"]) == ([None], None)
    progress = put(online, 7, None, (b"a", b"1"), (b"b", b"\x00\xff"), (b"a\x00", b""))
    assert (progress.offset, progress.at) == (7, AT)
    online.close()
    again = reopen()
    asked = [b"b", b"nobody", b"a\x00", b"a", b"b"]
    assert again.get(CRM, asked) == ([b"\x00\xff", None, b"", b"1", b"\x00\xff"], progress)
    assert again.get(CRM, []) == ([], progress)
    assert again.get("another", [b"a"]) == ([None], None)
    assert again.progress(CRM) == progress
    assert again.progress("another") is None


def test_changes_clear_then_drop_then_put(reopen: Open) -> None:
    online = reopen()
    progress = put(online, 1, None, (b"a", b"1"), (b"b", b"1"), (b"c", b"1"))
    progress = put(online, 2, progress, (b"b", b"2"), drops=[b"a", b"b", b"nobody"])
    assert kept(online) == {b"b": b"2", b"c": b"1"}
    progress = put(online, 3, progress, (b"d", b"3"), (b"d", b"4"), clear=True)
    assert kept(online) == {b"d": b"4"}  # of one key the last counts
    progress = put(online, 4, progress)
    assert kept(online) == {b"d": b"4"}
    assert online.progress(CRM) == progress
    assert progress.offset == 4


def test_many_keys_at_once(reopen: Open) -> None:
    online = reopen()
    keys = [number.to_bytes(4, "big") for number in range(1, 3001)]
    progress = put(online, 1, None, *((key, key * 3) for key in keys[::2]))
    for many in (1, 2, 3, 511, 512, 513, 1024, 3000):
        bodies, found = online.get(CRM, keys[:many])
        assert bodies == [
            key * 3 if place % 2 == 0 else None for place, key in enumerate(keys[:many])
        ]
        assert found == progress


def test_several_spaces_move_in_one_transaction_or_not_at_all(reopen: Open) -> None:
    online = reopen()
    first = {CRM: Changes(None, [(b"leaf", b"1")]), MEMBERS: Changes(None, [(b"leaf", b"ada")])}
    progress = online.apply(first, 5, AT)
    assert online.progress(CRM) == online.progress(MEMBERS) == progress
    later = AT + timedelta(seconds=1)
    alone = online.apply({MEMBERS: Changes(progress, [(b"leaf", b"bob")])}, 6, later)
    assert online.progress(CRM) == progress
    with pytest.raises(Conflict, match=f"{MEMBERS}: read them again"):
        online.apply(
            {CRM: Changes(progress, [(b"leaf", b"2")]), MEMBERS: Changes(progress)}, 7, later
        )
    assert online.get(CRM, [b"leaf"]) == ([b"1"], progress)
    assert online.get(MEMBERS, [b"leaf"]) == ([b"bob"], alone)
    together = {CRM: Changes(progress, [(b"leaf", b"2")]), MEMBERS: Changes(alone)}
    after = online.apply(together, 7, later)
    assert online.spaces() == [Space(CRM, after, 1), Space(MEMBERS, after, 1)]
    assert online.names() == [CRM, MEMBERS]


@pytest.mark.parametrize("key", [b"", b"k" * (KEY_MAX + 1)])
def test_a_key_that_cannot_be_kept_leaves_nothing_half(reopen: Open, key: bytes) -> None:
    online = reopen()
    progress = put(online, 1, None, (b"a", b"1"))
    with pytest.raises(ValueError, match="a key has 1 to 1000 bytes"):
        put(online, 2, progress, (b"b", b"2"), (key, b"2"), clear=True)
    assert online.get(CRM, [b"a", b"b"]) == ([b"1", None], progress)
    longest = b"\x00" * KEY_MAX
    put(online, 2, progress, (longest, b"2"))
    assert online.get(CRM, [longest])[0] == [b"2"]


def test_rows_are_walked_through_in_the_order_of_their_bytes(reopen: Open) -> None:
    online = reopen()
    keys = [b"\x00", b"\x01", b"a", b"a\x00", b"ab", b"b", b"\xc3\xa4", b"\xff"]
    put(online, 1, None, *((key, b"x") for key in reversed(keys)))
    online.apply({MEMBERS: Changes(None, [(b"aa", b"other")])}, 1, AT)
    walked: list[bytes] = []
    while page := online.rows(CRM, walked[-1] if walked else b"", 3):
        walked += [row.key for row in page]
    assert walked == keys
    assert online.rows(CRM, b"b", 1) == [Row(CRM, b"\xc3\xa4", b"x")]
    assert online.rows("another") == []


def test_a_space_is_forgotten_alone(reopen: Open) -> None:
    online = reopen()
    progress = put(online, 4, None, (b"a", b"1"), (b"b", b"1"))
    online.apply({MEMBERS: Changes(None, [(b"a", b"2")])}, 4, AT)
    assert online.drop(CRM) == 2
    assert online.drop(CRM) == 0
    assert online.get(CRM, [b"a"]) == ([None], None)
    assert kept(online, MEMBERS) == {b"a": b"2"}
    assert fails_to_put(online, progress, (b"a", b"3"))
    # begun anew it is another: what was worked out for the first must not fit
    put(online, 4, None, (b"a", b"4"))
    assert fails_to_put(online, progress, (b"a", b"3"))
    assert kept(online) == {b"a": b"4"}


BYTES = st.binary(min_size=1, max_size=2)
STEP = st.tuples(
    st.sampled_from([CRM, MEMBERS]),
    st.lists(st.tuples(BYTES, st.binary(max_size=3)), max_size=4),
    st.lists(BYTES, max_size=3),
    st.booleans(),
    st.lists(BYTES, max_size=1),
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEP, max_size=6))
def test_whatever_is_done_the_rows_are_those_of_a_dictionary(
    reopen: Open, steps: list[tuple[str, list[tuple[bytes, bytes]], list[bytes], bool, list[bytes]]]
) -> None:
    online = reopen()
    twin: dict[str, dict[bytes, bytes]] = {}
    for number, (space, puts, drops, clear, erased) in enumerate(steps):
        changes = Changes(online.progress(space), puts, drops, clear)
        assert online.apply({space: changes}, number, AT).offset == number
        rows = twin.setdefault(space, {})
        if clear:
            rows.clear()
        for key in drops:
            rows.pop(key, None)
        rows.update(puts)
        if erased:
            gone = sum(other.pop(erased[0], None) is not None for other in twin.values())
            assert online.erase(erased) == gone
    assert {space.name: kept(online, space.name) for space in online.spaces()} == twin
    assert {space.name: space.rows for space in online.spaces()} == {
        name: len(rows) for name, rows in twin.items()
    }
    for name in twin:
        online.drop(name)
    assert online.spaces() == []


# ---------------------------------------------------------------------- others who write


def test_of_two_who_apply_the_same_stretch_one_wins(reopen: Open) -> None:
    online, writers, rounds = reopen(), 4, 25
    expected = put(online, 0, None, (b"n", b"0"))
    gate = threading.Barrier(writers)

    def work(number: int) -> int:
        mine, won = reopen(), 0
        for _ in range(rounds):
            gate.wait(30)
            [body], progress = mine.get(CRM, [b"n"])
            assert body is not None
            gate.wait(30)  # all have read the same
            lost = fails_to_put(
                mine, progress, (b"n", b"%d" % (int(body) + 1)), (b"%d" % number, b"")
            )
            won += not lost
        return won

    with ThreadPoolExecutor(writers) as pool:
        won = list(pool.map(work, range(writers)))
    assert sum(won) == rounds
    assert online.get(CRM, [b"n"])[0] == [b"%d" % rounds]
    assert fails_to_put(online, expected)


def test_of_two_who_begin_a_space_one_wins(reopen: Open) -> None:
    gate = threading.Barrier(2)

    def begin(number: int) -> bool:
        mine = reopen()
        gate.wait(30)
        return fails_to_put(mine, None, (b"who", b"%d" % number))

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(begin, range(2))) == [False, True]
    assert len(reopen().rows(CRM)) == 1


def test_rows_that_were_replaced_up_to_the_same_offset_are_noticed(reopen: Open) -> None:
    online = reopen()
    before = put(online, 5, None, (b"a", b"with what was withdrawn"))
    after = put(online, 5, before, (b"a", b"without"))
    assert (after.offset, after.at) == (before.offset, before.at)
    assert fails_to_put(online, before, (b"a", b"with what was withdrawn, and more"))
    assert online.get(CRM, [b"a"]) == ([b"without"], after)


def test_what_was_worked_out_before_an_erasure_brings_nobody_back(reopen: Open) -> None:
    online = reopen()
    progress = put(online, 1, None, (b"ada", b"1"))
    assert online.erase([b"ada"]) == 1
    assert fails_to_put(online, progress, (b"ada", b"2"))
    again = online.progress(CRM)
    assert again is not None
    assert (again.offset, again.at) == (1, AT)  # the progress itself is as it was
    # nor somebody who was on the way into the store when they were erased
    assert online.erase([b"bob"]) == 0
    assert fails_to_put(online, again, (b"bob", b"1"))
    assert kept(online) == {}


def test_a_reading_sees_one_state_whatever_is_written(reopen: Open) -> None:
    online, other = reopen(), reopen()
    begun = {CRM: Changes(None, [(b"l1", b"1"), (b"l2", b"2")])}
    begun[MEMBERS] = Changes(None, [(b"l1", b"ada"), (b"ada", b"l1,l2")])
    progress = online.apply(begun, 1, AT)
    with ThreadPoolExecutor(1) as pool:
        with online.reading() as reading:
            [customer], seen = reading.get(MEMBERS, [b"l1"])
            assert customer == b"ada"
            pool.submit(
                other.apply,
                {
                    CRM: Changes(progress, [(b"l1", b"10")], drops=[b"l2"]),
                    MEMBERS: Changes(progress, clear=True),
                },
                2,
                AT,
            ).result(30)
            # An erasure may wait for whoever reads, and must not show them an empty table.
            erasing = pool.submit(other.erase, [b"l1", b"ada"])
            assert reading.get(MEMBERS, [b"ada"]) == ([b"l1,l2"], progress)
            assert reading.get(CRM, [b"l1", b"l2"]) == ([b"1", b"2"], progress)
            assert seen == progress
        assert erasing.result(60) == 1
    assert online.get(CRM, [b"l1", b"l2"])[0] == [None, None]


def test_readers_see_whole_transactions_only(reopen: Open) -> None:
    online, stop = reopen(), threading.Event()
    keys = [b"%d" % number for number in range(20)]
    progress = put(online, 0, None, *((key, b"0") for key in keys))

    def read() -> int:
        mine, last = reopen(), 0
        while not stop.is_set():
            bodies, seen = mine.get(CRM, keys)
            assert seen is not None
            assert bodies == [b"%d" % seen.offset] * len(keys)
            assert seen.offset >= last
            last = seen.offset
        return last

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        for offset in range(1, 60):
            progress = put(online, offset, progress, *((key, b"%d" % offset) for key in keys))
            if offset % 20 == 0:
                online.erase([b"somebody else"])
                found = online.progress(CRM)
                assert found is not None
                progress = found
        stop.set()
        assert max(reader.result(30) for reader in readers) <= 59


# ---------------------------------------------------------------------- erasure and damage


def test_about_tells_of_every_space(reopen: Open) -> None:
    online = reopen()
    online.apply(
        {
            MEMBERS: Changes(None, [(b"ada", b"m"), (b"bob", b"m")]),
            CRM: Changes(None, [(b"ada", b"c")]),
        },
        1,
        AT,
    )
    assert online.about([b"ada", b"nobody", b"ada"]) == [
        Row(CRM, b"ada", b"c"),
        Row(MEMBERS, b"ada", b"m"),
    ]
    assert online.about([]) == []


def test_erased_bytes_are_in_no_file(reopen: Open, in_a_file: Search) -> None:
    online = reopen()
    secret, earlier, key = b"jane.doe@example.org", b"jane before she moved", b"jane's own key!!"
    others = [(b"key %d" % number, b"keep %d" % number) for number in range(200)]
    progress = put(online, 1, None, (key, earlier * 20), *others)
    progress = put(online, 2, progress, (key, secret * 20))
    online.apply({MEMBERS: Changes(None, [(key, secret)])}, 2, AT)
    assert in_a_file(secret)
    assert online.erase([key, b"nobody", key]) == 2
    for erased in (secret, earlier, key):
        assert not in_a_file(erased)
    assert online.about([key]) == []
    assert kept(online) == dict(others)
    assert online.erase([key]) == 0
    assert online.erase([]) == 0


def test_bytes_that_were_dropped_before_the_erasure_are_in_no_file(
    reopen: Open, in_a_file: Search
) -> None:
    online = reopen()
    progress = put(online, 1, None, (b"jane", b"jane.doe@example.org"), (b"joe", b"keep"))
    put(online, 2, progress, drops=[b"jane"])
    assert online.erase([b"jane"]) == 0
    assert not in_a_file(b"jane.doe@example.org")
    assert kept(online) == {b"joe": b"keep"}
    online.scrub()
    assert kept(online) == {b"joe": b"keep"}


def test_rows_of_no_space_are_damage(
    reopen: Open, kind: str, request: pytest.FixtureRequest
) -> None:
    online = reopen()
    put(online, 1, None, (b"a", b"1"))
    assert online.damage() == []
    if kind == "postgresql":
        admin = request.getfixturevalue("admin")
        admin.execute("delete from liftwerk.online_spaces")
    else:
        database = online.database  # type: ignore[attr-defined]
        with database.transaction() as connection:
            connection.execute("delete from spaces")
    [line] = online.damage()
    assert line.endswith("1 rows of no space")


# ---------------------------------------------------------------------- kills

_TWO_CHANGES = """
import sys
from datetime import UTC, datetime
from liftwerk.store.online import ONLINES, Changes
from liftwerk.store.urls import open_url
online = open_url("online store", ONLINES, sys.argv[1])
progress = None
for offset in (1, 2):
    puts = [(b"%d" % n, b"%d" % offset) for n in range(500)]
    changes = {"crm": Changes(progress, puts), "members": Changes(progress, puts)}
    progress = online.apply(changes, offset, datetime(2026, 3, 4, tzinfo=UTC))
"""


@pytest.mark.parametrize(("moment", "offset"), [("before:2", 1), ("after:2", 2)])
def test_a_kill_leaves_rows_and_progress_of_one_offset(
    reopen: Open, url: str, moment: str, offset: int
) -> None:
    environment = os.environ | {"LIFTWERK_FAULT": f"online_commit:{moment}"}
    killed = subprocess.run([sys.executable, "-c", _TWO_CHANGES, url], env=environment)
    assert killed.returncode == -signal.SIGKILL
    online = reopen()
    for space in ("crm", "members"):
        assert set(kept(online, space).values()) == {b"%d" % offset}
        assert len(kept(online, space)) == 500
        progress = online.progress(space)
        assert progress is not None
        assert progress.offset == offset
    assert online.damage() == []


def test_a_kill_in_the_middle_of_a_transaction_leaves_what_was_there(
    reopen: Open, url: str
) -> None:
    online = reopen()
    progress = put(online, 1, None, *((b"%d" % number, b"1") for number in range(100)))
    program = (
        "import os, signal, sys\n"
        "from datetime import UTC, datetime\n"
        "from liftwerk.store.online import ONLINES, Changes\n"
        "from liftwerk.store.urls import open_url\n"
        "online = open_url('online store', ONLINES, sys.argv[1])\n"
        "def puts():\n"
        "    for number in range(100_000):\n"
        "        if number == 50_000:\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        "        yield b'%d' % number, b'2' * 100\n"
        "space = sys.argv[2]\n"
        "expected = online.progress(space)\n"
        "at = datetime(2026, 3, 4, tzinfo=UTC)\n"
        "online.apply({space: Changes(expected, puts(), clear=True)}, 2, at)\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, url, CRM])
    assert killed.returncode == -signal.SIGKILL
    assert kept(online) == {b"%d" % number: b"1" for number in range(100)}
    assert online.progress(CRM) == progress
    put(online, 2, progress, (b"0", b"2"))

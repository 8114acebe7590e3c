"""Whoever can write the ledger's file can't change what the chain says without being seen."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from liftwerk.store.ledger.kinds.sqlite import SqliteLedger

AT = datetime(2026, 3, 1, tzinfo=UTC)

TAMPERING = {
    "content": ("update audit set detail = '{\"n\":99}' where seq = 3", 3),
    "content that is no JSON": ("update audit set detail = '{' where seq = 3", 3),
    "time": ("update audit set at = at + 1 where seq = 2", 2),
    "actor": ("update audit set actor = 'somebody' where seq = 5", 5),
    "action": ("update audit set action = 'other' where seq = 1", 1),
    "subject": ("update audit set subject = 'other' where seq = 4", 4),
    "hash": ("update audit set hash = previous where seq = 4", 4),
    "removed first": ("delete from audit where seq = 1", 1),
    "removed middle": ("delete from audit where seq = 3", 3),
    "removed last": ("delete from audit where seq = 5", 5),
    "removed all": ("delete from audit", 1),
    "removed and closed up": (
        "delete from audit where seq = 3; update audit set seq = seq - 1 where seq > 3",
        3,
    ),
    "swapped": (
        "update audit set seq = 9 where seq = 2; update audit set seq = 2 where seq = 3;"
        " update audit set seq = 3 where seq = 9",
        2,
    ),
    "added at the end": (
        "insert into audit select 6, at, actor, action, subject, detail, hash, hash"
        " from audit where seq = 5",
        6,
    ),
    "cut off with an older head count": (
        "delete from audit where seq = 5; update audit_head set entries = 4",
        4,
    ),
    "head removed": ("delete from audit_head", 1),
}


@pytest.mark.parametrize("how", TAMPERING)
def test_tampering_is_found_where_it_is(how: str, tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    ledger = SqliteLedger(path)
    for number in range(1, 6):
        with ledger.change("jane", "act", f"s{number}", {"n": number}, AT + timedelta(number)):
            pass
    assert ledger.verify_audit().ok
    sql, where = TAMPERING[how]
    editor = sqlite3.connect(path)
    editor.executescript(sql)
    editor.close()
    check = ledger.verify_audit()
    assert not check.ok
    assert check.broken_at == where
    assert check.reason
    ledger.close()

"""Every store of a home, opened together."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any

from liftwerk.store.artefacts import ARTEFACTS, Artefacts
from liftwerk.store.catalogue import NOBODY, Catalogue, Collection, Taken
from liftwerk.store.day_keys import DayKeys
from liftwerk.store.decisions import DECISIONS, DecisionRecord, Decisions
from liftwerk.store.home import DAY_KEYS, Home
from liftwerk.store.ids import Ids
from liftwerk.store.inbox import INBOXES, Inbox
from liftwerk.store.ledger import LEDGERS, Ledger
from liftwerk.store.online import ONLINES, Online, Row
from liftwerk.store.outbox import OUTBOXES, Outbox
from liftwerk.store.tables import TABLES, Tables
from liftwerk.store.urls import is_server, open_url


@dataclass(frozen=True)
class Stores:
    """One store a promise, and the catalogue of what is in them.

    The catalogue holds the store room's own collections; the rooms that know what is inside the
    inbox, the tables and the artefacts register those.
    """

    home: Home
    inbox: Inbox
    tables: Tables
    ledger: Ledger
    decisions: Decisions
    outbox: Outbox
    online: Online
    artefacts: Artefacts
    ids: Ids
    day_keys: DayKeys
    catalogue: Catalogue

    @property
    def embedded(self) -> bool:
        """Whether all that is kept lies in files of this machine, and at no server's."""
        return not any(is_server(url) for url in self.home.urls.values())

    def scrub(self) -> None:
        """Remove erased values from the write-ahead logs of every database, and what they made."""
        self.ids.clear()
        self.inbox.scrub()
        self.ledger.scrub()
        self.decisions.scrub()
        self.outbox.scrub()
        self.online.scrub()

    def expire(self, at: datetime) -> None:
        """Drop what was sealed for a delivery that did not come, and the keys nothing needs."""
        self.outbox.expire_sealed(at)
        for day in self.day_keys.ended(at):
            if not self.outbox.needs_key(day):
                self.day_keys.drop(day)

    def damage(self) -> list[str]:
        """Read everything through; returns a line for each thing that is torn or changed."""
        return [line for store in self._all() for line in store.damage()]

    def close(self) -> None:
        """Close them all."""
        for store in self._all():
            store.close()

    def _all(
        self,
    ) -> Sequence[Inbox | Tables | Ledger | Decisions | Outbox | Online | Artefacts | Ids]:
        return (
            self.inbox,
            self.tables,
            self.ledger,
            self.decisions,
            self.outbox,
            self.online,
            self.artefacts,
            self.ids,
        )

    def __enter__(self) -> Stores:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_stores(home: Home) -> Stores:
    """Open every store of a home.

    Parameters
    ----------
    home : Home
        Says by URL which kind keeps each promise.

    Returns
    -------
    Stores
        Usable from many threads; open one's own in each process.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with open_stores(Home.open(Path(folder) / "home", create=True)) as stores:
    ...         stores.inbox.last_offset()
    0
    """
    urls = home.urls
    with ExitStack() as opened:
        inbox: Inbox = open_url("inbox", INBOXES, urls["inbox"])
        opened.callback(inbox.close)
        tables: Tables = open_url("tables", TABLES, urls["tables"])
        opened.callback(tables.close)
        ledger: Ledger = open_url("ledger", LEDGERS, urls["ledger"])
        opened.callback(ledger.close)
        decisions: Decisions = open_url("decisions", DECISIONS, urls["decisions"])
        opened.callback(decisions.close)
        outbox: Outbox = open_url("outbox", OUTBOXES, urls["outbox"])
        opened.callback(outbox.close)
        online: Online = open_url("online store", ONLINES, urls["online"])
        opened.callback(online.close)
        artefacts: Artefacts = open_url("artefacts", ARTEFACTS, urls["artefacts"])
        ids = Ids(home.path / "ids")
        day_keys = DayKeys(home.path / DAY_KEYS)
        opened.pop_all()  # all are open: from here on the caller closes them
    catalogue = Catalogue()
    for collection in _own_collections(decisions, outbox, online):
        catalogue.register(collection)
    return Stores(
        home, inbox, tables, ledger, decisions, outbox, online, artefacts, ids, day_keys, catalogue
    )


def _own_collections(decisions: Decisions, outbox: Outbox, online: Online) -> Sequence[Collection]:
    """List what means the same in every project: what the other rooms put in is theirs to list."""
    audit = ("audit", "audit_head")
    kept = ("published_schemas", "used_definitions", "experiment_log", "effects")
    state = ("snapshots", "steps", "leases", "releases", "pointers", "keys", *kept)
    return (
        Collection(
            name="ledger",
            room="store",
            holds=tuple(f"ledger.sqlite/{table}" for table in (*audit, *state)),
            subject=NOBODY,
            purposes=("audit",),
            retention="as long as the home",
        ),
        Collection(
            name="ids",
            room="store",
            holds=("ids/*",),
            subject=NOBODY,  # hashes of random ids; made anew after an erasure
            purposes=("deduplication",),
            retention="until the next compaction makes them anew",
        ),
        Collection(
            name="people",
            room="store",
            holds=("ledger.sqlite/people",),
            subject=NOBODY,  # of the staff, by name: `Ledger.erase_person`
            purposes=("audit",),
            retention="as long as the home",
        ),
        Collection(
            name="tombstones",
            room="store",
            holds=(
                "ledger.sqlite/tombstones",
                "ledger.sqlite/erasures",
                "ledger.sqlite/erasure_keys",
            ),
            subject=NOBODY,  # what keeps an erased customer from coming back
            purposes=("erasure",),
            retention="as long as the home",
        ),
        Collection(
            name="budgets",
            room="store",
            holds=("decisions.sqlite/budgets",),
            subject=NOBODY,
            purposes=("guardrails",),
            retention="as long as the home",
        ),
        Collection(
            name="live decisions",
            room="store",
            holds=("decisions.sqlite/decisions",),
            subject="unit",
            purposes=("guardrails", "measurement"),
            retention="until it rests in the event tables",
            erase=lambda subject: Taken({"unit": decisions.erase(subject.keys)}),
            export=lambda subject: [_decision(one) for one in decisions.about(subject.keys)],
        ),
        Collection(
            name="forwarding",
            room="store",
            holds=("outbox.sqlite/destinations", "outbox.sqlite/counts"),
            subject=NOBODY,
            purposes=("audit",),
            retention="as long as the home",
        ),
        Collection(
            name="delivery keys",
            room="store",
            holds=(DAY_KEYS,),
            subject=NOBODY,
            purposes=("erasure",),
            retention="until nothing that it sealed waits any more, at least a day",
        ),
        Collection(
            name="outbox",
            room="store",
            holds=("outbox.sqlite/entries", "outbox.sqlite/conversions"),
            subject="lane",
            purposes=("deduplication",),
            retention="until the destination has it; a conversion's key as long as the home",
            erase=lambda subject: Taken({"lane": outbox.erase(subject.keys)}),
            export=lambda subject: _forwarded(outbox, subject.keys),
        ),
        Collection(
            name="online progress",
            room="store",
            holds=("online.sqlite/head", "online.sqlite/spaces"),
            subject=NOBODY,
            purposes=("audit",),
            retention="until the view's version is dropped",
        ),
        Collection(
            name="online values",
            room="store",
            holds=("online.sqlite/online",),
            subject="key",
            purposes=("the one in the name of each space",),
            retention="until the view's version is dropped",
            erase=lambda subject: Taken({"key": online.erase(subject.keys)}),
            export=lambda subject: [_kept(row) for row in online.about(subject.keys)],
        ),
    )


def _kept(row: Row) -> dict[str, Any]:
    """Tell of an online row; what its bytes say is known to the features room."""
    return {"space": row.space, "key": row.key.hex(), "body": row.body.hex()}


def _decision(record: DecisionRecord) -> dict[str, Any]:
    """Tell of a decision as it waits for the tables."""
    said: Any = json.loads(record.body)
    facts = {"id": record.id.hex(), "placement": record.placement, "at": record.at.isoformat()}
    return {**facts, "decided": said}


def _forwarded(outbox: Outbox, lanes: Sequence[bytes]) -> list[dict[str, Any]]:
    """Tell what waits to be sent, and which destinations were told of conversions."""
    waiting = [
        {"destination": name, "event": entry.event, "id": entry.event_id.hex(), "state": "waiting"}
        for name, entry in outbox.about(lanes)
    ]
    told = outbox.told_of(lanes).items()
    return [*waiting, *({"destination": name, "conversions_told": many} for name, many in told)]

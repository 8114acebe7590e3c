"""One value, made in five ways: they must not differ in anything.

    batch on DuckDB · batch over Spark Connect · stream to SQLite · stream to PostgreSQL · twin

A world is lived event by event while two updaters follow its log, each at its own pace. When it is
asked, both answer from what they keep; then what came in is sorted, and the batch ways and the twin
answer for the same time and the same offset of the log. Spark answers for many worlds at once: the
questions' keys say of which.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.events.admit import admit
from liftwerk.events.compact import compact
from liftwerk.events.definition import known_events
from liftwerk.events.entities.definition import ENTITIES
from liftwerk.events.schema import schema_of
from liftwerk.features.as_of import training_set, with_expressions, with_inputs
from liftwerk.features.compile import Plan, compile_features
from liftwerk.features.concerned import mark_stale
from liftwerk.features.join import finalised
from liftwerk.features.recompute import Question, recompute
from liftwerk.features.serve import Server
from liftwerk.features.update import Updater
from liftwerk.governance.erase import erase, look_up, request
from liftwerk.identity.resolve import CUSTOMER, customers_of, relations
from liftwerk.privacy.permitted import AsOf
from liftwerk.store.home import Home
from liftwerk.store.online import Online
from liftwerk.store.stores import Stores, open_stores

from .twin import Row, Twin, key_of
from .worlds import SPACES, Case, World

LATER = (0, 1, 3_600_000_000)
"""Microseconds after the last event at which a world is asked, one ask after another."""

KEYS = {"customer": "customer", "visitor": "visitor", "session": "session", "article": "sku"}
"""Entity -> its column in a spine."""

WAYS = ("batch", "trained", "sqlite", "postgresql", "spark")


@dataclass
class Asked:
    """One question about one case, and what each way answers."""

    world: World
    case: Case
    time: datetime
    offset: int
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    wanted: dict[str, dict[str, Any]] = field(default_factory=dict)
    late: bool = False

    def differences(self) -> list[str]:
        """Say where a way answers otherwise than the twin."""
        found = []
        for way, answer in self.answers.items():
            wanted = self.wanted["trained" if way == "trained" else "served"]
            for name in self.world.features:
                if not _same(answer[name], wanted[name]):
                    found.append(f"{way} {name}: {answer[name]!r}, the twin: {wanted[name]!r}")
        return found

    def text(self) -> str:
        """Tell all that is needed to see what differs, and how to ask it again alone."""
        lines = self.differences()
        named = {line.split()[1].rstrip(":") for line in lines}
        declared = {name: self.world.features[name] for name in sorted(named)}
        return "\n".join(
            [
                f"seed {self.world.seed}, case {self.case.number}, for {self.world.purpose}"
                f" at {self.time.isoformat()}, offset {self.offset}",
                *lines,
                json.dumps(declared, indent=1, ensure_ascii=False),
                self.case.text(),
                "alone: .venv/bin/python -m soak.parity"
                f" --seed {self.world.seed} --case {self.case.number}",
            ]
        )


def _key(case: Case) -> Any:
    """Return what a case is asked by: a leaf key, or the text that is the key."""
    kind, name = case.asked
    if kind in SPACES:
        return key_of((SPACES.index(kind), name))
    return name


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def live(folder: Path, world: World, postgresql: Online, spark: Spark) -> list[Asked]:
    """Live a world, and ask it whenever it is to be asked."""
    project = world.project()
    with open_stores(Home.open(folder, create=True)) as stores, stores.home.hold("test"):
        for space in postgresql.spaces():
            postgresql.drop(space.name)
        return _Life(world, project, stores, postgresql, spark).live()


class _Life:
    def __init__(
        self, world: World, project: Project, stores: Stores, postgresql: Online, spark: Spark
    ) -> None:
        self.world = world
        self.project = project
        self.stores = {"sqlite": stores, "postgresql": replace(stores, online=postgresql)}
        self.home = stores
        self.spark = spark
        self.now = FixedClock(world.ticks[0])
        self.updaters = self._updaters()
        self.rows: dict[int, list[Row]] = {case.number: [] for case in world.cases}
        self.offset = 0
        self.asks = 0

    def _updaters(self) -> dict[str, Updater]:
        return {
            name: Updater(self.project, stores, self.now) for name, stores in self.stores.items()
        }

    def live(self) -> list[Asked]:
        asked: list[Asked] = []
        for tick, moment in enumerate(self.world.ticks):
            self.now.advance(moment - self.now.now())
            self._come(tick, moment)
            for act in self.world.acts[tick]:
                match act:
                    case "sort":
                        compact(self.project, self.home, self.now)
                    case "erase":
                        self._erase()
                    case "ask":
                        asked += self._ask(moment)
                    case name:
                        self.updaters[name].catch_up()
        return asked

    def _come(self, tick: int, moment: datetime) -> None:
        """Let in what comes at a tick, a source after another."""
        schema = schema_of(self.project)
        buried = self.home.ledger.buried()
        for source in ("till", "file", "web"):
            comes = [
                (case.number, come)
                for case in self.world.cases
                for come in case.comes
                if come.tick == tick and come.source == source
            ]
            bodies = [msgspec.json.encode(come.body) for _, come in comes]
            admitted = admit(bodies, schema, source, moment, buried)
            # A browser that sends again with an old `sent_at` seems to be days behind.
            for one in admitted.refused:
                assert one.reason == "erased" or one.reason.endswith("more than a day ahead"), one
            self.home.inbox.append([row for row in admitted.rows if row is not None])
            for (number, come), row in zip(comes, admitted.rows, strict=True):
                if row is not None:
                    self.offset += 1
                    self.rows[number].append(Row(self.offset, source, moment, come.body))

    def _erase(self) -> None:
        gone = [case.erased for case in self.world.cases if case.erased is not None]
        if not gone:
            return
        compact(self.project, self.home, self.now)
        customers = [f"{space}:{name}" for space, name in gone]
        request(self.project, self.home, customers, "test", self.now, "request")
        look_up(self.project, self.home, "test", self.now)
        waiting = self.home.ledger.erasing()
        keys = [leaf for one in waiting for leaf in one.leaves]
        # A home has one online store, and this one has two: what erasing does there is done here.
        mark_stale(self.project, self.stores["postgresql"], keys)
        erase(self.project, self.home, waiting, "test", self.now, search=False)
        self.stores["postgresql"].online.erase(keys)

    def _ask(self, moment: datetime) -> list[Asked]:
        delay = LATER[(self.asks + self.world.seed) % len(LATER)]
        self.asks += 1
        time = moment + timedelta(microseconds=delay)
        cases = self.world.cases
        keys = [_key(case) for case in cases]
        if self.asks % 2:
            self.updaters = self._updaters()  # another process goes on from what is kept
        answers: dict[str, list[dict[str, Any]]] = {}
        for name, stores in self.stores.items():
            self.updaters[name].catch_up()
            server = Server(self.project, stores, "kept", FixedClock(time))
            served = server.get_many([(key,) for key in keys])
            assert {(one.as_of, one.offset) for one in served} == {(time, self.offset)}
            answers[name] = [dict(one.values) for one in served]
        compact(self.project, self.home, self.now)
        questions = [Question((key,), time) for key in keys]
        names, purpose = list(self.world.features), self.world.purpose
        batch = recompute(self.project, self.home, questions, names, purpose, self.offset)
        answers["batch"] = batch.to_pylist()
        spine = pa.table(
            {
                KEYS[self.world.entity]: pa.array(keys),
                "time": pa.array([time] * len(keys), pa.timestamp("us", "UTC")),
            }
        )
        known = AsOf(offset=self.offset)
        trained = training_set(self.project, self.home, spine, names, purpose, known)
        answers["trained"] = trained.select(names).to_pylist()
        asked = [Asked(self.world, case, time, self.offset) for case in cases]
        gone = set(self.home.ledger.buried())
        for place, one in enumerate(asked):
            one.answers = {name: found[place] for name, found in answers.items()}
            self._twin(one, gone)
        self.spark.take(self.project, self.home, self.world, asked, questions, self.offset)
        return asked

    def _twin(self, one: Asked, gone: set[bytes]) -> None:
        leaves = [(SPACES.index(space), name) for space, name in one.case.leaves]
        leaf = (0, one.case.asked[1])
        if one.case.asked[0] in SPACES:
            leaf = (SPACES.index(one.case.asked[0]), one.case.asked[1])
        twin = Twin(self.world, self.project, self.rows[one.case.number], leaves, gone)
        one.wanted["served"] = twin.served(leaf, one.time, one.offset)
        one.wanted["trained"] = twin.trained(leaf, one.time, one.offset)
        one.late = twin.is_late_within(leaf, one.time, one.offset)


# ---------------------------------------------------------------------------------------- Spark


class Spark:
    """What waits for Spark: the events and questions of many worlds with the same definitions.

    Parameters
    ----------
    session : pyspark.sql.SparkSession
    folder : Path
        For the files that hand them over; it is made.
    """

    def __init__(self, session: Any, folder: Path) -> None:
        self.session = session
        self.folder = folder
        folder.mkdir(parents=True)
        self.waiting: dict[tuple[str, str], _Waiting] = {}

    def take(
        self,
        project: Project,
        stores: Stores,
        world: World,
        asked: Sequence[Asked],
        questions: Sequence[Question],
        offset: int,
    ) -> None:
        """Take what may be read and what is asked; the keys get a number in front of them."""
        key = (world.purpose, json.dumps(world.features, sort_keys=True))
        as_of = AsOf(offset=offset)
        keys = [one.key[0] for one in questions]
        if world.entity == CUSTOMER:
            customers = customers_of(project, stores, keys, as_of)
            keys = [customers[leaf] for leaf in keys]
        else:  # each question by itself: there are other keys than one that could be numbered
            key = (world.purpose, f"{world.seed} {offset}")
        waiting = self.waiting.setdefault(key, _Waiting(project, world))
        prefix = b""
        if world.entity == CUSTOMER:
            prefix = waiting.asks.to_bytes(4, "big")
        waiting.asks += 1
        names = sorted({plan.event for plan in waiting.plans})
        with relations(project, stores, world.purpose, as_of, names) as connection:
            for name in names:
                table = connection.sql(f"SELECT * FROM {name}").to_arrow_table()
                place = table.schema.get_field_index(CUSTOMER)
                keyed = pc.binary_join_element_wise(
                    pa.scalar(prefix, pa.binary()),
                    table.column(CUSTOMER).cast(pa.binary()),
                    pa.scalar(b"", pa.binary()),
                )
                waiting.tables.setdefault(name, []).append(table.set_column(place, CUSTOMER, keyed))
        waiting.asked += asked
        waiting.keys += [prefix + one if prefix else one for one in keys]
        waiting.times += [one.time for one in questions]

    def answer(self) -> None:
        """Put all that waits to Spark, a definition set at a time."""
        for waiting in self.waiting.values():
            waiting.answer(self.session, self.folder)
        self.waiting.clear()


class _Waiting:
    def __init__(self, project: Project, world: World) -> None:
        self.project = project
        self.features = with_inputs(project, list(world.features))
        self.plans: list[Plan] = compile_features(
            self.features,
            known_events(project),
            project.currency,
            project.get(ENTITIES),
            by_time=False,
        )
        self.asks = 0
        self.tables: dict[str, list[pa.Table]] = {}
        self.asked: list[Asked] = []
        self.keys: list[Any] = []
        self.times: list[datetime] = []

    def answer(self, session: Any, folder: Path) -> None:
        for name, tables in self.tables.items():
            _hand_over(session, folder, name, pa.concat_tables(tables))
        as_of = pa.array(self.times, pa.timestamp("us", "UTC")).cast(pa.int64())
        rows = pa.array(range(len(self.keys)), pa.int64())
        spine = {"_row": rows, "e0": pa.array(self.keys), "as_of": as_of}
        _hand_over(session, folder, "_spine", pa.table(spine))
        columns = {}
        for plan in self.plans:
            states = session.sql(plan.sql("pyspark")).toArrow()
            for value in plan.values:
                columns[value.name] = finalised(value, states, as_of.to_numpy())
        table = with_expressions(self.project, self.features, pa.table(columns))
        names = list(self.asked[0].world.features)
        for one, row in zip(self.asked, table.select(names).to_pylist(), strict=True):
            one.answers["spark"] = row


def _hand_over(session: Any, folder: Path, name: str, table: pa.Table) -> None:
    """Write a relation where Spark reads it: it reads later, and no file that begins with a _."""
    file = folder / f"{len(list(folder.iterdir()))}{name}.parquet"
    pq.write_table(table, file)
    session.read.parquet(str(file)).createOrReplaceTempView(name)


# ------------------------------------------------------------------------------------- the check


def check(
    folder: Path, worlds: Iterable[World], postgresql: Online, spark: Spark
) -> tuple[Counter[str], list[Asked]]:
    """Live worlds and compare; returns what there was, and the questions that were answered apart.

    Parameters
    ----------
    folder : Path
        An empty folder for the homes.
    worlds : iterable of World
    postgresql : Online
        The store of the second stream.
    spark : Spark
        Empty.
    """
    counts: Counter[str] = Counter()
    asked: list[Asked] = []
    for place, world in enumerate(worlds):
        counts[f"worlds about a {world.entity}"] += 1
        asked += live(folder / f"home{place}", world, postgresql, spark)
        counts["worlds"] += 1
        counts["erased"] += sum(case.erased is not None for case in world.cases)
    spark.answer()
    cases: dict[tuple[int, int], list[Asked]] = {}
    for one in asked:
        assert set(one.answers) == set(WAYS)
        cases.setdefault((one.world.seed, one.case.number), []).append(one)
        values = list(one.wanted["served"].values())
        counts["values"] += len(values)
        counts["known"] += sum(not _is_empty(value) for value in values)
    counts["cases"] = len(cases)
    for questions in cases.values():
        counts["cases known"] += any(
            not _is_empty(value) for one in questions for value in one.wanted["served"].values()
        )
        counts["cases late"] += any(one.late for one in questions)
    return counts, [one for one in asked if one.differences()]


def _is_empty(value: Any) -> bool:
    return value is None or value == 0.0

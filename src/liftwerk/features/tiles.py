"""The same definitions by tiles: exact states of each entity and hop, to be merged and kept."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct
from msgspec.structs import replace

from liftwerk.events.definition import EventDefinition
from liftwerk.events.entities.definition import EntityDefinition
from liftwerk.events.read import refused_name
from liftwerk.features.compile import NOTHING, sources_of
from liftwerk.features.definition import FeatureDefinition
from liftwerk.features.join import check_currency, exact_states
from liftwerk.features.kinds.aggregate import DECAY_BITS
from liftwerk.features.rows import Columns, Slot, Source, floor, read_steps, slot_of
from liftwerk.features.states import UNTOUCHED, Grid, Reading, Row, Tiles
from liftwerk.features.steps import Statement, Step
from liftwerk.lazy import LazyModule

if TYPE_CHECKING:
    import ibis
else:
    ibis = LazyModule("ibis")

TILE, PENDING = "_tile", "_pending"


class TilePlan(Struct, frozen=True):
    """The steps that make the tiles of one grid.

    Attributes
    ----------
    source : Source
        The event, and what is read of it.
    grid : Grid
        Which tiles.
    states : Statement
        Gives the entity's ``e0``, …, the tile, the time of what is pending (null for what is not)
        and every state but those by value. It reads the event's relation and ``_clock`` (``now``).
    by_value : tuple of (int, Statement)
        For each state by value its place among the grid's, and what gives the entity, the
        tile, the pending time, ``value`` and ``weight``.
    """

    source: Source
    grid: Grid
    states: Statement
    by_value: tuple[tuple[int, Statement], ...]


class View(Struct, frozen=True):
    """How some features of one entity are kept in rows, and read off them.

    Attributes
    ----------
    plans : tuple of TilePlan
        Make the tiles of a row, a grid after another.
    readings : tuple of Reading
        Make the features.
    keys : tuple of (str, Statement)
        For each event (and list of its items) what gives the keys that its rows are about.
    refused : tuple of (str, Statement)
        The same of the rows that may not be read, in the relation `refused_name`.
    """

    plans: tuple[TilePlan, ...]
    readings: tuple[Reading, ...]
    keys: tuple[tuple[str, Statement], ...]
    refused: tuple[tuple[str, Statement], ...]

    @property
    def grids(self) -> tuple[Grid, ...]:
        """The grids of a row."""
        return tuple(plan.grid for plan in self.plans)


def compile_view(
    features: Mapping[str, FeatureDefinition],
    events: Mapping[str, EventDefinition],
    currency: str,
    entities: Mapping[str, EntityDefinition] = NOTHING,
) -> View:
    """Compile the aggregates among some features of one entity to tiles.

    Parameters
    ----------
    features : mapping of str to FeatureDefinition
        Of one entity; those that aggregate no event are left out.
    events : mapping of str to EventDefinition
        The events they read.
    currency : str
        The project's currency.
    entities : mapping of str to EntityDefinition
        The declared ones.

    Returns
    -------
    View
    """
    plans: list[TilePlan] = []
    readings: list[Reading] = []
    keys: list[tuple[str, Statement]] = []
    refused: list[tuple[str, Statement]] = []
    for source, group in sources_of(features, events, currency, entities):
        by_hop: dict[int | None, dict[str, Slot]] = {}
        for name, feature in group.items():
            slot = slot_of(feature, source.definition, currency)
            hop = slot.hop
            if feature.window is None and not slot.kind.decays:
                hop = 0
            by_hop.setdefault(hop or None, {})[name] = slot
        for length, slots in by_hop.items():
            grid = Grid(
                tuple(dict.fromkeys(slots.values())),
                length,
                _needed([group[name] for name in slots], list(slots.values())),
            )
            for name, slot in slots.items():
                window = group[name].window
                readings.append(
                    Reading(
                        name,
                        len(plans),
                        slot,
                        None if window is None else window.microseconds,
                        slot.kind.ratio(slot.operand, group[name].belief),
                    )
                )
            plans.append(_plan(source, grid, currency))
        keys.append((source.event, _keys_of(source, currency)))
        hidden = replace(source, event=refused_name(source.event))
        refused.append((source.event, _keys_of(hidden, currency)))
    return View(tuple(plans), tuple(readings), tuple(keys), tuple(refused))


def _keys_of(source: Source, currency: str) -> Statement:
    events, rows = read_steps(replace(source, slots=()), currency, by_time=False)
    names = [f"e{place}" for place, _ in enumerate(source.key)]
    return Statement.of(events, rows, Step.of("_keys", rows.relation[names].distinct()))


def _needed(features: Sequence[FeatureDefinition], slots: Sequence[Slot]) -> int | None:
    """Say how long a tile can still count; None for ever."""
    longest = 0
    for feature, slot in zip(features, slots, strict=True):
        if feature.window is not None:
            length = feature.window.microseconds + slot.hop
        elif slot.kind.decays:
            length = (DECAY_BITS + 2) * slot.halving * slot.hop
        else:
            return None
        longest = max(longest, length)
    return longest


def _plan(source: Source, grid: Grid, currency: str) -> TilePlan:
    source = replace(source, slots=grid.slots)
    events, rows = read_steps(source, currency, by_time=False)
    placed = Step.of("_placed", _placed(rows.relation, grid))
    table, columns = placed.relation, Columns(source)
    keys = [name for name in table.columns if name[0] == "e"] + [TILE, PENDING]
    states: dict[str, Any] = {}
    by_value = []
    place = 0
    for slot in grid.slots:
        of = columns.of(slot, table)
        if slot.kind.prepare is None:
            counts = (
                table.mutate(value=of.value, _weight=of.weight)
                .filter(of.said)
                .group_by([*keys, "value"])
                .aggregate(weight=ibis._["_weight"].sum())
            )
            counted = Statement.of(events, rows, placed, Step.of("_counts", counts))
            by_value.append((place, counted))
        else:
            prepared = slot.kind.prepare(of)
            states |= {f"s{place}_{name}": value for name, value in prepared.items()}
        place += len(slot.kind.merges)
    # Counted too, so that there is a row for each tile even where all states are by value.
    tiles = table.group_by(keys).aggregate(_rows=table.count(), **states)
    made = Statement.of(events, rows, placed, Step.of("_tiles", tiles))
    return TilePlan(source, grid, made, tuple(by_value))


def _placed(rows: ibis.Table, grid: Grid) -> ibis.Table:
    """Say in which tile a row is, and whether it is pending; the rows of nobody are left out."""
    clock = ibis.table({"now": "int64"}, name="_clock")
    table = rows.cross_join(clock)
    tile: Any = ibis.literal(0, "int64")
    if grid.hop is not None:
        tile = floor(table["time"], grid.hop)
    ahead = table["time"] >= table["now"]
    pending = ibis.cases((ahead, table["time"]), else_=ibis.null("int64"))
    placed = table.mutate(**{TILE: tile, PENDING: pending}).drop("now")
    return placed.filter(*[placed[name].notnull() for name in placed.columns if name[0] == "e"])


def tiles_of(
    connection: duckdb.DuckDBPyConnection,
    view: View,
    now: int,
    currency: str,
    refused: Collection[str] = (),
) -> dict[tuple[Any, ...], Row]:
    """Make the rows of every entity that relations tell of.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        Has a relation for each event that the view reads: what may be read, each event once.
    view : View
    now : int
        Microseconds since 1970; rows from then on are pending.
    currency : str
        The project's currency.
    refused : collection of str
        Events of which to note, by the relation `liftwerk.events.read.refused_name`, of whom there
        are rows that may not be read; who has no others has a row for this alone.

    Returns
    -------
    dict of tuple to Row
        The entity's key -> its tiles.

    Raises
    ------
    Refused
        If money in another currency would have to be mixed in, or a number is too large.
    """
    found: dict[tuple[Any, ...], Row] = {}
    connection.register("_clock", pa.table({"now": pa.array([now], pa.int64())}))
    try:
        for event, money in dict.fromkeys((p.source.event, p.source.money) for p in view.plans):
            check_currency(connection, event, money, currency)
        for place, plan in enumerate(view.plans):
            _add_states(connection, view, place, found)
            for state, counted in plan.by_value:
                table = exact_states(connection, plan.source.event, counted.duckdb)
                _add_counts(table, view, place, state, found)
        _mark_refused(connection, view, refused, found)
    finally:
        connection.unregister("_clock")
    return found


def _mark_refused(
    connection: duckdb.DuckDBPyConnection,
    view: View,
    events: Collection[str],
    found: dict[tuple[Any, ...], Row],
) -> None:
    for event, statement in view.refused:
        if event not in events:
            continue
        keys = connection.execute(statement.duckdb).fetchall()
        places = [place for place, plan in enumerate(view.plans) if plan.source.event == event]
        for key in keys:
            if None not in key:
                for place in places:
                    _tiles(view, place, found, key).refused = True


def _add_states(
    connection: duckdb.DuckDBPyConnection,
    view: View,
    place: int,
    found: dict[tuple[Any, ...], Row],
) -> None:
    plan = view.plans[place]
    table = exact_states(connection, plan.source.event, plan.states.duckdb)
    columns: list[list[Any]] = []
    for slot in plan.grid.slots:
        first = len(columns)
        for name, merge in slot.kind.merges.items():
            column = f"s{first}_{name}"
            if merge == "by_value":
                columns.append([None] * table.num_rows)  # `_add_counts` fills them in
            elif merge in ("earliest", "latest"):
                columns.append(_pairs(table, column))
            else:
                columns.append(_plain(table.column(column)))
    every = zip(*columns, strict=True)
    for key, start, time, states in zip(*_keys(table), every, strict=True):
        tiles = _tiles(view, place, found, key)
        if time is None:
            tiles.whole[start] = list(states)
        else:
            tiles.pending[time] = list(states)


def _add_counts(
    table: pa.Table, view: View, place: int, state: int, found: dict[tuple[Any, ...], Row]
) -> None:
    values, weights = _plain(table.column("value")), _plain(table.column("weight"))
    for key, start, time, value, weight in zip(*_keys(table), values, weights, strict=True):
        tiles = _tiles(view, place, found, key)
        states = tiles.whole[start] if time is None else tiles.pending[time]
        if states[state] is None:
            states[state] = []
        states[state].append([value, weight])


def _keys(table: pa.Table) -> tuple[list[Any], list[int], list[int | None]]:
    entity = [table.column(name).to_pylist() for name in table.column_names if name[0] == "e"]
    starts, pending = table.column(TILE).to_pylist(), table.column(PENDING).to_pylist()
    return list(zip(*entity, strict=True)), starts, pending


def _tiles(
    view: View,
    place: int,
    found: dict[tuple[Any, ...], Row],
    key: tuple[Any, ...],
) -> Tiles:
    row = found.get(key)
    if row is None:
        row = found[key] = [UNTOUCHED] * len(view.plans)
    tiles = row[place]
    if tiles is UNTOUCHED:
        tiles = row[place] = Tiles({}, {})
    return tiles


def _plain(column: pa.ChunkedArray) -> list[Any]:
    """Return Python's own values: whole numbers of any length are integers."""
    if pa.types.is_decimal(column.type):
        try:
            column = pc.cast(column, pa.int64())
        except pa.ArrowInvalid:  # one has more than 64 bits
            return [None if number is None else int(number) for number in column.to_pylist()]
    plain: list[Any] = column.to_pylist()
    return plain


def _pairs(table: pa.Table, column: str) -> list[list[Any] | None]:
    keys, values = _plain(table.column(f"{column}_key")), _plain(table.column(column))
    return [None if key is None else [key, value] for key, value in zip(keys, values, strict=True)]

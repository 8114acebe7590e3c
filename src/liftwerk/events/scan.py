"""How one event is scanned: what may be read of it and is wanted, each conversion once."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from liftwerk.events.as_current import read_columns
from liftwerk.events.columns import leaf_columns
from liftwerk.events.engine import quoted, text
from liftwerk.events.schema import EventType, Schema
from liftwerk.events.state import EVERYTHING, State, Wanted
from liftwerk.privacy.definition import HOUSEKEEPING, Purpose
from liftwerk.privacy.permitted import AsOf, permitted_sql

WITHDRAWALS = "_withdrawals"
BURIED = "_buried"
LEAVES = "_leaves"

TRUST_ORDER = ("server", "import", "partner", "browser")
"""Whose report of a conversion counts, the surest first."""

SUPERSEDED_AT = "superseded_at"
SUPERSEDED_BY = "superseded_by"
"""When a better report of the same conversion was known, and the id of the best; null if none."""


_PERMITTED = "_is_permitted"


class Scans:
    """Writes the scans of one event over the tables of every version, and the tail's.

    The columns are the current version's, whatever the files hold.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        schema: Schema,
        state: State,
        kind: EventType,
        name: str,
        purpose: Purpose,
        as_of: AsOf,
        wanted: Wanted,
    ) -> None:
        self.connection = connection
        self.schema = schema
        self.state = state
        self.kind = kind
        self.name = name
        self.purpose = purpose
        self.as_of = as_of
        self.wanted = wanted
        self.leaves = leaf_columns(schema)
        self.keys = ", ".join(map(quoted, kind.definition.unique))
        self._is_held = False

    def hold(self) -> None:
        """Read what is wanted and known once, for all that is asked of it; where that is little."""
        flag = f"coalesce(({self._permitted()}), FALSE) AS {_PERMITTED}"
        conditions = [*self._known(), *self._conditions(self.wanted)]
        rows = self._rows(conditions, self.wanted, more=flag)
        self.connection.execute(f"CREATE TABLE {self._held} AS {rows}")
        self._is_held = True

    @property
    def _held(self) -> str:
        return quoted(f"_held_{self.kind.name}")

    def once(self, superseded: bool) -> str:
        """Keep the best report of each conversion, or all of them beside what came in their place.

        Only rows that are wanted; which of them count is a matter of all rows.
        """
        is_told_once = self.name not in HOUSEKEEPING or superseded
        if not self.keys or not is_told_once:
            scan = self._scan(self.wanted)
            if not superseded:
                return scan
            nothing = f"NULL::TIMESTAMPTZ AS {SUPERSEDED_AT}, NULL::BLOB AS {SUPERSEDED_BY}"
            return f"SELECT *, {nothing} FROM ({scan})"
        if self.wanted == EVERYTHING:
            return self._reports(self._scan(EVERYTHING), superseded)
        first = last = self.wanted
        if superseded and self.wanted.after_offset is not None:
            first = Wanted(after_offset=self.wanted.after_offset)
            last = Wanted(leaves=self.wanted.leaves)
        concerned = quoted(f"_concerned_{self.kind.name}")
        self.connection.execute(
            f"CREATE TABLE {concerned} AS"
            f" SELECT DISTINCT synthetic, {self.keys} FROM ({self._scan(first)})"
        )
        scan = self._scan(first)
        if self._is_reported_elsewhere(first, concerned):
            # Without its whole key a report is of a conversion of its own.
            joined = f"SEMI JOIN {concerned} USING (synthetic, {self.keys})"
            partial = f"SELECT * FROM ({scan}) WHERE {self._partial()}"
            scan = f"{self._scan(EVERYTHING, joined)} UNION ALL {partial}"
        conditions = " AND ".join(self._conditions(last)) or "TRUE"
        return f"SELECT * FROM ({self._reports(scan, superseded)}) AS e WHERE {conditions}"

    def _is_reported_elsewhere(self, wanted: Wanted, concerned: str) -> bool:
        """Say whether conversions have reports that are not wanted; looks at the keys alone."""
        if wanted.after_offset is None or wanted.leaves is not None:
            return True
        selects = self._selects(EVERYTHING)
        older = (
            f"SELECT 1 FROM ({' UNION ALL '.join(selects)}) AS e"
            f" SEMI JOIN {concerned} USING (synthetic, {self.keys})"
            f' WHERE e."offset" <= {wanted.after_offset} LIMIT 1'
        )
        return bool(selects) and bool(self.connection.execute(older).fetchall())

    def _selects(self, wanted: Wanted) -> list[str]:
        return [
            f"SELECT {read_columns(self.schema, version, relation.present)} FROM {relation.sql}"
            for version in self.schema.versions(self.kind.name)
            for relation in self.state.relations(version, wanted, self.leaves)
        ]

    def refused(self) -> str:
        """Return the rows that are wanted and known, and may not be read for the purpose."""
        if self._is_held:
            return f"SELECT * EXCLUDE {_PERMITTED} FROM {self._held} WHERE NOT {_PERMITTED}"
        refused = f"NOT coalesce(({self._permitted()}), FALSE)"
        return self._rows([refused, *self._known(), *self._conditions(self.wanted)], self.wanted)

    def _scan(self, wanted: Wanted, joined: str = "") -> str:
        """Return the rows that may be read and are wanted, as one SELECT."""
        if self._is_held and wanted == self.wanted:
            return f"SELECT * EXCLUDE {_PERMITTED} FROM {self._held} WHERE {_PERMITTED}"
        conditions = [self._permitted(), *self._known(), *self._conditions(wanted)]
        return self._rows(conditions, wanted, joined)

    def _rows(
        self, conditions: Sequence[str], wanted: Wanted, joined: str = "", more: str = ""
    ) -> str:
        selects = self._selects(wanted)
        if not selects:
            nothing = read_columns(self.schema, self.kind, ())
            if more:
                nothing += f", FALSE AS {_PERMITTED}"
            return f"SELECT {nothing} WHERE FALSE"
        columns = ", ".join(filter(None, ["e.*", more]))
        return (
            f"SELECT {columns} FROM ({' UNION ALL '.join(selects)}) AS e {joined}"
            f" WHERE {' AND '.join(conditions)}"
        )

    def _permitted(self) -> str:
        return permitted_sql(
            self.name,
            self.purpose,
            leaf_columns=self.leaves,
            withdrawals=WITHDRAWALS,
            agreed_column="consent_at",
            table="e",
        )

    def _known(self) -> list[str]:
        bounds = bounds_of(self.as_of)
        conditions = [f"e.{quoted(column)} <= {bound}" for column, bound in bounds.items()]
        if self.name not in HOUSEKEEPING:
            conditions.append("NOT e.synthetic")
            conditions += [
                f"NOT EXISTS (SELECT 1 FROM {BURIED} AS b WHERE b.leaf = e.{quoted(leaf)})"
                for leaf in self.leaves
            ]
        return conditions

    def _conditions(self, wanted: Wanted) -> list[str]:
        conditions = []
        if wanted.after_offset is not None:
            conditions.append(f'e."offset" > {wanted.after_offset}')
        if wanted.leaves is not None:
            named = (f"e.{quoted(leaf)} IN (SELECT leaf FROM {LEAVES})" for leaf in self.leaves)
            conditions.append(f"({' OR '.join([*named, 'FALSE'])})")
        return conditions

    def _partial(self) -> str:
        return " OR ".join(f"{quoted(key)} IS NULL" for key in self.kind.definition.unique)

    def _reports(self, scan: str, superseded: bool) -> str:
        partial = self._partial()
        trust = f"list_position([{', '.join(map(text, TRUST_ORDER))}], trust)"
        # Test traffic is no report of what happened; only the built-in purposes see it at all.
        window = (
            f"(PARTITION BY synthetic, {self.keys}"
            f' ORDER BY modelled, {trust} NULLS LAST, known_at, "offset" {{rows}})'
        )
        if not superseded:
            first = f"row_number() OVER {window.format(rows='')} = 1"
            return f"SELECT * FROM ({scan}) QUALIFY {first} OR {partial}"
        better = window.format(rows="ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING")
        return (
            f"SELECT *, CASE WHEN NOT ({partial}) THEN min(known_at) OVER {better} END"
            f" AS {SUPERSEDED_AT}, CASE WHEN NOT ({partial}) THEN first_value(id) OVER {better} END"
            f" AS {SUPERSEDED_BY} FROM ({scan})"
        )


def bounds_of(as_of: AsOf) -> dict[str, str]:
    """Write the last known time and offset, by the names of their columns."""
    bounds = {}
    if as_of.time is not None:
        bounds["known_at"] = f"TIMESTAMPTZ {text(as_of.time.isoformat())}"
    if as_of.offset is not None:
        bounds["offset"] = str(as_of.offset)
    return bounds

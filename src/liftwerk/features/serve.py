"""What is known of a customer, or another entity, now: from values that are kept ready."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from math import isnan, nan
from typing import Any

import pyarrow as pa
from msgspec import ValidationError, convert

from liftwerk.clock import Clock
from liftwerk.definitions.project import Project
from liftwerk.errors import InputError, UnknownName
from liftwerk.events.entities.definition import ENTITIES
from liftwerk.features.as_of import with_inputs
from liftwerk.features.brought import brought, properties_read, reading_beside
from liftwerk.features.checks.flags import read_held
from liftwerk.features.concerned import Key
from liftwerk.features.definition import key_types, parsed
from liftwerk.features.entity import CUSTOMER, PEOPLE, encoded
from liftwerk.features.expression import Reckoning, for_one
from liftwerk.features.join import KEY_TYPES
from liftwerk.features.kept import KeptView, is_filled, kept_view, leaves_of
from liftwerk.features.older import as_used
from liftwerk.features.reading import Reader
from liftwerk.features.served import Flag, Missing, Served
from liftwerk.features.states import decode_row
from liftwerk.identity.resolve import leaf_of
from liftwerk.privacy.permitted import AsOf
from liftwerk.store.instants import from_microseconds, to_microseconds
from liftwerk.store.online import Progress, Reading
from liftwerk.store.stores import Stores

_TYPES: dict[str, type] = {"string": str, "integer": int, "boolean": bool}
_REQUESTS: dict[str, type] = {**_TYPES, "number": float, "money": float}


class Server:
    """Serves one view: compiled once, then two look-ups and some arithmetic a customer.

    Parameters
    ----------
    project : Project
    stores : Stores
    name : str
        The view, or ``VIEW@VERSION``.
    clock : Clock

    Attributes
    ----------
    at_hand : bool
        Whether an answer takes rows of files and arithmetic alone: it waits for nobody then.

    Raises
    ------
    UnknownName
        If no such view is declared.
    """

    def __init__(self, project: Project, stores: Stores, name: str, clock: Clock) -> None:
        project = as_used(project, stores.ledger, name)
        self.kept: KeptView = kept_view(project, name)
        self._project = project
        self._stores = stores
        self._clock = clock
        self._flag: tuple[int, Flag | None] = (-1, None)
        every = with_inputs(project, self.kept.declared.features)
        self._reader = Reader(self.kept.view.grids, self.kept.view.readings)
        self._expressions: dict[str, tuple[tuple[str, ...], Reckoning]] = {}
        for feature, declared in every.items():
            if declared.expression is not None:
                expression = parsed(project, declared)
                self._expressions[feature] = (expression.names, for_one(expression))
        self._beside = reading_beside(project, every)
        self.at_hand = stores.embedded and not self._beside
        self._requests = {
            name: _REQUESTS[one.request] for name, one in every.items() if one.request is not None
        }
        # Features whose values say whose properties are read, where that is another entity.
        others = {name.partition(".")[0] for name in properties_read(project, self._beside)}
        self._said = {
            part: KEY_TYPES[type_]
            for entity in others - {self.kept.entity}
            for part, type_ in key_types(project.get(ENTITIES)[entity]).items()
            if every[part].from_ is not None
        }
        self._times = {
            one.name
            for one in self.kept.view.readings
            if one.ratio is None and one.slot.operand.type == "time"
        }

    def key(self, written: Sequence[str], namespace: str | None = None) -> Key:
        """Read the key of an entity as a person writes it.

        Parameters
        ----------
        written : sequence of str
            For a customer or a visitor one identifier, ``VALUE`` or ``NAMESPACE:VALUE``; else a
            text for each part of the key.
        namespace : str, optional
            The identifier's; by default the one before the colon, else the first declared.

        Raises
        ------
        UnknownName
            If no such namespace is declared.
        InputError
            If it is no key of this view's entity.
        """
        entity = self.kept.entity
        parts = self.kept.view.plans[0].source.key
        if len(written) != len(parts):
            what = f"a {entity} is told by {' and '.join(part.name for part in parts)}"
            hint = f"write {len(parts)} of them, not {len(written)}"
            raise InputError(what, f"feature_views.{self.kept.name}", hint)
        if entity in PEOPLE:
            return (leaf_of(self._project, written[0], namespace),)
        found: list[Any] = []
        for part, text in zip(parts, written, strict=True):
            try:
                found.append(convert(text, _TYPES[part.type], strict=False))
            except ValidationError:
                what = f"the {part.name} of a {entity} is a {part.type}, not {text!r}"
                raise InputError(what, f"feature_views.{self.kept.name}", "correct it") from None
        return tuple(found)

    def request(self, written: Mapping[str, str]) -> dict[str, Any]:
        """Read what comes with a request, as a person writes it.

        Raises
        ------
        InputError
            If this view takes no such value, or of another type.
        """
        found: dict[str, Any] = {}
        for name, text in written.items():
            where = f"feature_views.{self.kept.name}"
            if name not in self._requests:
                hint = f"it takes {', '.join(self._requests) or 'nothing'} with a request"
                raise InputError(f"there is no {name!r} to give", where, hint)
            try:
                found[name] = convert(text, self._requests[name], strict=False)
            except ValidationError:
                what = f"{name} is {text!r}"
                raise InputError(what, where, f"it is a {self._requests[name].__name__}") from None
        return found

    def get(self, *key: Any, request: Mapping[str, Any] | None = None) -> Served:
        """Return what is known of one entity.

        Parameters
        ----------
        *key : bytes, str, int or bool
            The leaf key of a customer's or a visitor's identifier; of another entity a value for
            each part of its key.
        request : mapping of str to object, optional
            What came with the request.

        Raises
        ------
        UnknownName
            If the view was never filled.
        """
        (served,) = self.get_many([key], [request or {}])
        return served

    def get_many(
        self, entities: Sequence[Key], requests: Sequence[Mapping[str, Any]] | None = None
    ) -> list[Served]:
        """Return what is known of several entities, as of one moment.

        Parameters
        ----------
        entities : sequence of tuple
            As `get` takes each.
        requests : sequence of mapping of str to object, optional
            What came with each request.

        Raises
        ------
        UnknownName
            If the view was never filled.
        """
        keys = [encoded(self.kept.entity, key) for key in entities]
        with self._stores.online.reading() as reading:
            members = [[key] for key in keys]
            if self.kept.entity == CUSTOMER:
                groups, _ = reading.get(self.kept.members, keys)
                together = zip(keys, groups, strict=True)
                members = [leaves_of(group or leaf) for leaf, group in together]
            asked = list(dict.fromkeys(key for group in members for key in group))
            bodies, progress = reading.get(self.kept.space, asked)
            flag = self._flagged(reading, progress)
        if progress is None or not is_filled(progress):
            raise self._unfilled(flag)
        found = dict(zip(asked, bodies, strict=True))
        now = max(self._clock.now(), progress.at)
        fresh = progress.at
        if progress.offset >= self._stores.inbox.last_offset():
            fresh = now
        at = to_microseconds(now)
        known = []
        for group in members:
            rows = [decode_row(body) for key in group if (body := found[key]) is not None]
            known.append(self._reader.read(rows, at))
        beside = self._brought(entities, requests, [values for values, _ in known], now)
        served = []
        for (plain, unknown), more in zip(known, beside, strict=True):
            values, missing = self._values(plain, unknown, more)
            served.append(Served(values, missing, now, progress.offset, fresh, flag))
        return served

    def _flagged(self, reading: Reading, progress: Progress | None) -> Flag | None:
        """Say why the view is held: looked up anew when something of it was written."""
        if progress is None:
            return None
        revision, flag = self._flag
        if revision != progress.revision:
            held = read_held(reading, self.kept.space)
            flag = None
            if held is not None:
                flag = held.flag
            self._flag = (progress.revision, flag)
        return flag

    def _unfilled(self, flag: Flag | None) -> UnknownName:
        name = self.kept.name
        what = f"the values of {name!r} were never made"
        hint = f"run liftwerk features backfill {name}"
        if flag is not None:
            what = f"the values of {name!r} fail a check: {flag.reason}"
            hint = f"mend the events or the feature, or run liftwerk features accept {name}"
        return UnknownName(what, f"feature_views.{name}", hint)

    def _brought(
        self,
        entities: Sequence[Key],
        requests: Sequence[Mapping[str, Any]] | None,
        known: Sequence[Mapping[str, Any]],
        now: datetime,
    ) -> list[dict[str, Any]]:
        """Return what is read besides events, for each entity."""
        if not self._beside:
            return [{} for _ in entities]
        parts = self.kept.view.plans[0].source.key
        columns = {
            part.name: pa.array([key[place] for key in entities], KEY_TYPES[part.type])
            for place, part in enumerate(parts)
        }
        for name in self._requests:
            given = (
                [None for _ in entities]
                if requests is None
                else [one.get(name) for one in requests]
            )
            columns[name] = pa.array(given)
        columns["time"] = pa.array([now] * len(entities), pa.timestamp("us", "UTC"))
        found = brought(
            self._project,
            self._stores,
            self._beside,
            pa.table(columns),
            {
                name: pa.chunked_array([pa.array([one[name] for one in known], kind)])
                for name, kind in self._said.items()
            },
            self.kept.declared.purpose,
            AsOf(time=now),
        )
        rows: list[dict[str, Any]] = pa.table(found).to_pylist()
        return rows

    def _values(
        self, values: dict[str, Any], unknown: Mapping[str, Missing], beside: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Missing]]:
        missing = {**unknown}
        values |= beside
        missing |= {name: "not_given" for name in self._requests if values[name] is None}
        for name, (reads, reckon) in self._expressions.items():
            number = reckon({read: _number(values[read]) for read in reads})
            values[name] = number
            if isnan(number):
                values[name] = None
                why = [missing[read] for read in reads if read in missing]
                missing[name] = next(iter(why), "no_answer")
        for name in self._times:
            if values[name] is not None:
                values[name] = from_microseconds(values[name])
        asked = self.kept.declared.features
        return (
            {name: values[name] for name in asked},
            {name: missing[name] for name in asked if name in missing},
        )


def _number(value: Any) -> float:
    if value is None:
        return nan
    return float(value)

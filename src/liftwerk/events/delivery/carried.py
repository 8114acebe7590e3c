"""Decoding events that may carry delivery fields: these come off before anybody sees the event."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from liftwerk.events.identifiers import leaf_key


class Carried(Struct, frozen=True):
    """What an admitted event brought for its delivery.

    Attributes
    ----------
    event_id : bytes
        The event's id, 16 bytes.
    name : str
        The event's name.
    leaves : tuple of bytes
        The keys of its identifiers.
    granted : frozenset of str
        The purposes that it is consented to.
    fields : dict of str to str
        Field -> value.
    """

    event_id: bytes
    name: str
    leaves: tuple[bytes, ...]
    granted: frozenset[str]
    fields: Mapping[str, str]

    def __repr__(self) -> str:
        """Leave the values out: a repr ends in logs and tracebacks."""
        return f"Carried({', '.join(self.fields)})"


class Apart:
    """Decodes bodies one after the other and keeps what each brought beside it.

    Parameters
    ----------
    decode : callable
        Makes an event of a body.
    """

    def __init__(self, decode: Callable[[Any], Any]) -> None:
        self._decode = decode
        self._found: list[tuple[Any, Any]] = []

    def decode(self, body: Any, /) -> Any:
        """Decode and check one body; the event has no delivery fields any more."""
        self._found.append((None, None))
        event = self._decode(body)
        self._found[-1] = (event, event.delivery)
        event.delivery = None
        return event

    def carried(
        self, kept: Sequence[object | None], fields: Sequence[tuple[str, str]]
    ) -> list[Carried]:
        """Return what the events brought that are kept and say what was seen.

        Parameters
        ----------
        kept : sequence
            An entry for each body, None for those that are not kept.
        fields : sequence of (str, str)
            Each namespace with its attribute.
        """
        return [
            _carried(event, said, fields)
            for (event, said), row in zip(self._found, kept, strict=True)
            if said is not None and row is not None and not (event.synthetic or event.modelled)
        ]


def _carried(event: Any, said: Any, fields: Sequence[tuple[str, str]]) -> Carried:
    values = ((name, getattr(event.identifiers, attribute)) for name, attribute in fields)
    leaves = tuple(leaf_key(name, value) for name, value in values if value is not None)
    granted: frozenset[str] = frozenset()
    if event.consent is not None:
        granted = frozenset(event.consent.granted or ())
    name = type(event).__struct_config__.tag
    return Carried(event.id.bytes, name, leaves, granted, msgspec.to_builtins(said))

"""What a request's body holds: unpacked within a bound, and cut into one JSON text an event."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import msgspec

from liftwerk.errors import InputError, TooLarge, UnknownForm

BODY_BYTES = 5_000_000
"""Longest body, unpacked."""

EVENTS = 10_000
"""Most events of one request."""

COMMAS = 100 * EVENTS
"""An array with more is not looked into: its elements would fill the memory before they count."""

JSON_TYPES = ("", "application/json", "text/plain")
"""``text/plain`` is what a browser may send to another origin without asking first."""

LINE_TYPES = ("application/x-ndjson", "application/ndjson", "application/jsonl", "text/x-ndjson")

_raws = msgspec.json.Decoder(list[msgspec.Raw])
_raw = msgspec.json.Decoder(msgspec.Raw)


def unpack(body: bytes, encoding: str) -> bytes:
    """Undo a body's content encoding.

    Parameters
    ----------
    body : bytes
        As it came.
    encoding : str
        The ``Content-Encoding`` header.

    Raises
    ------
    TooLarge
        If it would be longer than `BODY_BYTES`; it is not unpacked further than that.
    InputError
        If it is no gzip.
    UnknownForm
        If it is packed otherwise.

    Examples
    --------
    >>> import gzip
    >>> unpack(gzip.compress(b"[]"), "gzip")
    b'[]'
    """
    kind = encoding.strip().lower()
    if kind in ("", "identity"):
        if len(body) > BODY_BYTES:
            raise _too_large()
        return body
    if kind != "gzip":
        raise UnknownForm(f"no content encoding {encoding[:40]!r}", "the request", "send gzip")
    unpacking = zlib.decompressobj(wbits=31)
    try:
        text = unpacking.decompress(body, BODY_BYTES + 1)
    except zlib.error:
        raise InputError("not gzip", "the request's body", "check how it is packed") from None
    if len(text) > BODY_BYTES:
        raise _too_large()
    if not unpacking.eof or unpacking.unused_data:
        raise InputError("not one whole gzip file", "the request's body", "check how it is packed")
    return text


def cut(body: bytes, content_type: str) -> Sequence[bytes | msgspec.Raw]:
    r"""Cut a body into the JSON texts of its events.

    Parameters
    ----------
    body : bytes
        One object, an array of objects, or one object a line.
    content_type : str
        The ``Content-Type`` header: lines are read as such only if it says so.

    Returns
    -------
    sequence of bytes or msgspec.Raw
        What each holds is not looked at.

    Raises
    ------
    InputError
        If it is not JSON as a whole.
    TooLarge
        If it holds more than `EVENTS` events.
    UnknownForm
        If the type or the character set is another.

    Examples
    --------
    >>> [bytes(one) for one in cut(b'[{"a": 1}, {}]', "application/json")]
    [b'{"a": 1}', b'{}']
    >>> cut(b"{}\n\n{}\n", "application/x-ndjson")
    [b'{}', b'{}']
    """
    kind, _, parameters = content_type.partition(";")
    kind = kind.strip().lower()
    _check_charset(parameters)
    texts: Sequence[bytes | msgspec.Raw]
    if kind in LINE_TYPES:
        texts = [line for line in body.splitlines() if line.strip()]
    elif kind in JSON_TYPES:
        texts = _json(body)
    else:
        hint = "send application/json or application/x-ndjson"
        raise UnknownForm(f"no content type {kind[:60]!r}", "the request", hint)
    if not texts:
        raise InputError("no event in it", "the request's body", "send one, or a list")
    if len(texts) > EVENTS:
        raise _too_many()
    return texts


def _json(body: bytes) -> Sequence[msgspec.Raw]:
    try:
        if body.lstrip()[:1] == b"[":
            if body.count(b",") > COMMAS:
                raise _too_many()
            return _raws.decode(body)
        return [_raw.decode(body)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        hint = "send an object, an array, or lines as application/x-ndjson"
        raise InputError("not JSON", "the request's body", hint) from None


def _check_charset(parameters: str) -> None:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() != "charset":
            continue
        charset = value.strip().strip('"').lower()
        if charset not in ("utf-8", "utf8", "us-ascii"):
            raise UnknownForm(f"no charset {charset[:40]!r}", "the request", "send UTF-8")


def _too_many() -> TooLarge:
    return TooLarge("too many events", "the request's body", f"send at most {EVENTS:,} at once")


def _too_large() -> TooLarge:
    most = f"send at most {BODY_BYTES // 1_000_000} MB, unpacked"
    return TooLarge("too large", "the request's body", most)

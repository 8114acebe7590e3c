"""What nobody should send: bodies, events and connections, each beside the answers it may get."""

from __future__ import annotations

import gzip
import json
import uuid
from typing import Any

from tests.system.collector import KEYS, view

Answer = tuple[int, ...]
GZIP = {"content_encoding": "gzip"}
LINES = {"content_type": "application/x-ndjson"}


def some_view(**parts: object) -> dict[str, object]:
    return view(str(uuid.uuid4()), 0, **parts)


def some_order(**properties: object) -> dict[str, object]:
    said = {"order_id": "o-1", "revenue": "29.99", **properties}
    return some_view(name="order_completed", properties=said)


def _text(said: str) -> bytes:
    """A view whose path is written by hand, since no encoder would write it."""
    return json.dumps(some_view(properties={"path": "PATH"})).replace("PATH", said).encode()


def _value(field: str, said: str) -> bytes:
    """A view with a value that JSON does not have, or that no encoder would write."""
    return json.dumps(some_view(**{field: "VALUE"})).replace('"VALUE"', said).encode()


BODIES: dict[str, tuple[bytes, dict[str, str], Answer]] = {
    "deep": (b'{"id":' * 5000 + b"1" + b"}" * 5000, {}, (400,)),
    "deep array": (b"[" * 100_000, {}, (400,)),
    "deep, 5 MB": (b"[" * 4_900_000, {}, (400,)),
    "deep context": (_value("context", '{"a":' * 3000 + "1" + "}" * 3000), {}, (400, 422)),
    "empty": (b"", {}, (400,)),
    "spaces": (b" " * 4_900_000, {}, (400,)),
    "no event": (b"[]", {}, (400,)),
    "no line": (b"\n\n\n", LINES, (400,)),
    "not JSON": (b"\x00\xff", {}, (400,)),
    "two objects": (b"{}{}", {}, (400,)),
    "comment": (b"{} // an event", {}, (400,)),
    "null bytes": (b"\x00" * 1000, {}, (400,)),
    "null byte inside": (_text("a\x00b"), {}, (400, 422)),
    "line end inside": (_text("a\nb"), {}, (400, 422)),
    "lone surrogate": (_text("\\ud800"), {}, (400, 422)),
    "surrogates the wrong way round": (_text("\\udc00\\ud800"), {}, (400, 422)),
    "surrogate as bytes": (_text("PATH").replace(b"PATH", b"\xed\xa0\x80"), {}, (400, 422)),
    "overlong": (_text("PATH").replace(b"PATH", b"\xc0\xaf"), {}, (400, 422)),
    "latin-1 bytes": (_text("PATH").replace(b"PATH", b"\xe9"), {}, (400, 422)),
    "NaN": (_value("weight", "NaN"), {}, (400, 422)),
    "Infinity": (_value("weight", "-Infinity"), {}, (400, 422)),
    "1e999": (_value("weight", "1e999"), {}, (400, 422)),
    "number of 10,000 digits": (_value("version", "1" * 10_000), {}, (400, 422)),
    "hexadecimal": (_value("version", "0x01"), {}, (400, 422)),
    "UTF-8 with BOM": (b"\xef\xbb\xbf" + _text("/"), {}, (400, 422)),
    "line with BOM": (b"\xef\xbb\xbf" + _text("/"), LINES, (400, 422)),
    "UTF-16": (_text("/").decode().encode("utf-16"), {}, (400,)),
    "UTF-32": (_text("/").decode().encode("utf-32-be"), {}, (400,)),
    "EBCDIC": (_text("/").decode().encode("cp500"), {}, (400,)),
    "commas": (b"[" + b"0," * 1_500_000 + b"0]", {}, (413,)),
    "10,001 events": (b"[" + b"0," * 10_000 + b"0]", {}, (413,)),
    "10,001 lines": (b"{}\n" * 10_001, LINES, (413,)),
    "large": (b" " * 6_000_000, {}, (413,)),
    "bomb": (gzip.compress(b" " * 100_000_000), GZIP, (413,)),
    "bomb in a bomb": (gzip.compress(gzip.compress(b" " * 100_000_000)), GZIP, (400,)),
    "10,000 empty gzips": (gzip.compress(b"") * 10_000, GZIP, (400,)),
    "gzip and more": (gzip.compress(b"{}") + b"{}", GZIP, (400,)),
    "half a gzip": (gzip.compress(b"[1,2]")[:-9], GZIP, (400,)),
    "gzip with a wrong sum": (gzip.compress(b"[1,2]")[:-5] + b"12345", GZIP, (400,)),
    "no gzip": (b"{}", GZIP, (400,)),
    "gzip that is not told": (gzip.compress(b"{}"), {}, (400,)),
    "brotli": (b"x", {"content_encoding": "br"}, (415,)),
    "gzip twice": (b"x", {"content_encoding": "gzip, gzip"}, (415,)),
    "latin": (b"{}", {"content_type": "application/json; charset=latin-1"}, (415,)),
    "UTF-7": (b"{}", {"content_type": "application/json; charset=utf-7"}, (415,)),
    "xml": (b"<a/>", {"content_type": "text/xml"}, (415,)),
    "form": (b"id=1", {"content_type": "application/x-www-form-urlencoded"}, (415,)),
    "many types": (b"{}", {"content_type": "a;" * 3000}, (415,)),
}
"""Name -> body, headers, and the statuses it may get."""

_MANY = "9" * 40

EVENTS: dict[str, dict[str, Any]] = {
    "id: path": some_view(id="../../etc/passwd"),
    "id: SQL": some_view(id="'; DROP TABLE inbox; --"),
    "id: empty": some_view(id=""),
    "id: number": some_view(id=7),
    "id: a megabyte": some_view(id="a" * 1_000_000),
    "id: zero byte": some_view(id=str(uuid.uuid4())[:-1] + "\0"),
    "id: other digits": some_view(id="٠" * 32),
    "name: path": some_view(name="../../page_viewed"),
    "name: SQL": some_view(name="page_viewed'; DROP TABLE inbox; --"),
    "name: a megabyte": some_view(name="p" * 1_000_000),
    "name: nothing": some_view(name=None),
    "name: a decision": some_view(name="decision_made"),
    "name: of Python": some_view(name="__class__"),
    "version: text": some_view(version="1"),
    "version: unknown": some_view(version=99),
    "version: huge": some_view(version=10**30),
    "version: fraction": some_view(version=1.5),
    "time: ahead": some_view(time="2076-03-01T09:30:00Z"),
    "time: before computers": some_view(time="1869-03-01T09:30:00Z"),
    "time: yesterday": some_view(time="yesterday"),
    "time: no zone": some_view(time="2026-03-01T09:30:00"),
    "time: no such day": some_view(time="2026-02-30T09:30:00Z"),
    "time: a leap second": some_view(time="2016-12-31T23:59:60Z"),
    "time: number": some_view(time=1_772_357_400),
    "time: year 10000": some_view(time="10000-01-01T00:00:00Z"),
    "clock 50 years ahead, event beyond": some_view(
        time="2199-12-31T23:59:59Z", sent_at="2076-03-01T09:30:05Z"
    ),
    "weight: negative": some_view(weight=-1),
    "weight: none": some_view(weight=0),
    "weight: huge": some_view(weight=1e300),
    "weight: text": some_view(weight="1"),
    "synthetic: text": some_view(synthetic="no"),
    "properties: more": some_view(properties={"path": "/", "more": 1}),
    "properties: less": some_view(properties={}),
    "properties: a list": some_view(properties=["path"]),
    "properties: wrong type": some_view(properties={"path": {"$ne": None}}),
    "path: a megabyte": some_view(properties={"path": "/" * 1_000_000}),
    "source: spoofed": some_view(source=3),
    "identifiers: none": some_view(identifiers={}),
    "identifiers: empty": some_view(identifiers={"visitor": ""}),
    "identifiers: spaces": some_view(identifiers={"visitor": " \t "}),
    "identifiers: unknown": some_view(identifiers={"ip": "192.0.2.1"}),
    "identifiers: an operator": some_view(identifiers={"visitor": {"$gt": ""}}),
    "identifiers: long": some_view(identifiers={"visitor": "v" * 1001}),
    "consent: of nobody": some_view(consent={"granted": ["measurement"], "source": "me"}),
    "consent: two ways": some_view(consent={"tcf": "x", "gcm": {}}),
    "consent: text": some_view(consent="all"),
    "decision: path": some_view(decision="../1"),
    "more in the envelope": some_view(is_admin=True),
    "money: negative": some_order(revenue="-1.00"),
    "money: a float": some_order(revenue=29.99),
    "money: three places": some_order(revenue="29.999"),
    "money: exponent": some_order(revenue="1e5"),
    "money: comma": some_order(revenue="29,99"),
    "money: NaN": some_order(revenue="NaN"),
    "money: infinite": some_order(revenue="Infinity"),
    "money: huge": some_order(revenue=_MANY),
    "money: other digits": some_order(revenue="٢٩"),
    "money: spaces": some_order(revenue=" 29.99"),
    "order: no id": some_order(order_id=None),
}
"""Name -> an event that must be refused, alone or in a batch."""

_HEAD = (
    f"POST /v1/events HTTP/1.1\r\nhost: localhost\r\nx-write-key: {KEYS['SHOP_KEY']}\r\n"
).encode()
_CHUNKED = _HEAD + b"transfer-encoding: chunked\r\n\r\n"

CONNECTIONS: dict[str, tuple[bytes, Answer]] = {
    "no HTTP": (bytes(range(256)) * 8, (400,)),
    "TLS": (bytes.fromhex("1603010200010001fc0303") + bytes(500), (400,)),
    "two lengths": (_HEAD + b"content-length: 5\r\ncontent-length: 50\r\n\r\n12345", (400,)),
    "negative length": (_HEAD + b"content-length: -5\r\n\r\n", (400,)),
    "length beyond 64 bits": (_HEAD + b"content-length: 99999999999999999999\r\n\r\n", (400,)),
    "length and chunks": (
        _HEAD + b"transfer-encoding: chunked\r\ncontent-length: 9\r\n\r\n0\r\n\r\n",
        (400,),
    ),
    "chunk of no size": (_CHUNKED + b"zz\r\nhello\r\n", (400,)),
    "100 MB that are announced": (_HEAD + b"content-length: 100000000\r\n\r\n {", (413,)),
    "5,000 headers": (
        _HEAD + b"".join(b"x-%d: a\r\n" % number for number in range(5000)) + b"\r\n",
        (431,),
    ),
    "header of a megabyte": (_HEAD + b"x-a: " + b"a" * 1_000_000 + b"\r\n\r\n", (431,)),
    "zero byte in a header": (_HEAD + b"x-a: a\0b\r\n\r\n", (400,)),
    "address of 100 kB": (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n", (414,)),
    "address that climbs": (
        b"GET /static/..%2f..%2f..%2fetc/passwd HTTP/1.1\r\nhost: localhost\r\n"
        b"connection: close\r\n\r\n",
        (404,),
    ),
    "no such method": (
        b"BREW /v1/events HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
        (405,),
    ),
    "key that is no text": (
        b"POST /v1/events HTTP/1.1\r\nhost: localhost\r\nx-write-key: \xff\xfe\r\n"
        b"connection: close\r\ncontent-length: 2\r\n\r\n{}",
        (401,),
    ),
}
"""Name -> what is sent, and the statuses it may get before the server closes."""

UNFINISHED: dict[str, bytes] = {
    "a chunk without an end": _CHUNKED + b"5\r\nhello\r\n",
    "a body without an end": _HEAD + b"content-length: 500\r\n\r\n{}",
}
"""Name -> what is sent before the client closes its half: 400, for what nobody could have meant."""

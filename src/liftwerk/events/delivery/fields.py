"""``delivery`` in an event: the fields that some destination declares, and no others.

They are checked with the event and taken off it before its canonical JSON is made. What is refused
goes to quarantine without them.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct, defstruct

DELIVERY = "delivery"
"""The envelope's field."""

_NAMED = re.compile(rb"\bdelivery[\"']?\s*:")
_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Field(NamedTuple):
    """What a field may be: its longest text, and in words what it has to be."""

    most: int
    wanted: str
    is_valid: Callable[[str], bool]


def _is_address(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def _is_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


FIELDS = {
    "client_ip_address": Field(64, "an IP address", _is_address),
    "client_user_agent": Field(512, "text", str.isprintable),
    "event_source_url": Field(2048, "an address such as https://shop.example/", _is_url),
    "fbc": Field(512, "text", str.isprintable),
    "fbp": Field(512, "text", str.isprintable),
}
"""Every field that a kind of destination may ask for; one line a field."""


def is_fit(field: str, value: object) -> bool:
    """Say whether a value may be sent for a field.

    Examples
    --------
    >>> is_fit("client_ip_address", "2001:db8::1"), is_fit("client_ip_address", "shop.example")
    (True, False)
    """
    rule = FIELDS[field]
    return isinstance(value, str) and 0 < len(value) <= rule.most and rule.is_valid(value)


def delivery_struct(fields: Sequence[str]) -> type[Struct]:
    """Make the struct of ``delivery``: one optional text for each of some fields."""

    def check(self: Any) -> None:
        for field in fields:
            value = getattr(self, field)
            if value is not None and not FIELDS[field].is_valid(value):
                raise ValueError(f"{field} is not {FIELDS[field].wanted}")

    return defstruct(
        DELIVERY,
        [
            (field, Annotated[str, Meta(min_length=1, max_length=FIELDS[field].most)] | None, None)
            for field in fields
        ],
        kw_only=True,
        forbid_unknown_fields=True,
        omit_defaults=True,
        namespace={"__post_init__": check},
    )


def without_delivery(body: bytes) -> bytes:
    """Take the field off what was refused, so that it is kept nowhere.

    Parameters
    ----------
    body : bytes
        What was sent. Of what can't be read, and names the field, nothing is left.

    Examples
    --------
    >>> without_delivery(b'{"id":"1","delivery":{"fbc":"fb.1.2.3"}}')
    b'{"id":"1"}'
    """
    try:
        said = _decode(body)
    except (ValueError, RecursionError):
        if _NAMED.search(body):
            return b""
        return body
    if DELIVERY not in said:
        return body
    del said[DELIVERY]
    return msgspec.json.encode(said)

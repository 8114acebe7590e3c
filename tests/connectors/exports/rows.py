"""Rows as Google and Segment document them, written for these tests; and a shop that takes them."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import msgspec
import pyarrow
import pyarrow.parquet

from liftwerk.definitions import Project
from tests.events.shop import shop

START = 1_767_225_600_000_000
"""The first of January 2026, in microseconds."""

EVENTS: dict[str, Any] = {
    "page_viewed": {
        "version": 1,
        "description": "A page was seen",
        "properties": {
            "url": {"type": "string", "required": False},
            "title": {"type": "string", "required": False},
        },
    },
    "product_viewed": {
        "version": 1,
        "description": "A product was looked at",
        "properties": {
            "sku": {"type": "string"},
            "price": {"type": "money", "required": False},
        },
    },
    "order_completed": {
        "version": 1,
        "description": "A paid order",
        "unique": ["order_id"],
        "properties": {
            "order_id": {"type": "string", "privacy": "pseudonymous"},
            "revenue": {"type": "money", "minimum": "0"},
            "coupon": {"type": "string", "required": False},
            "items": {
                "type": "list",
                "required": False,
                "of": {"sku": "string", "quantity": "integer", "price": "money"},
            },
        },
    },
}


def project(
    folder: Path, kind: str, file: str, events: dict[str, Any] = EVENTS, **changes: Any
) -> Project:
    """Build the shop with one import of an export."""
    return _shop(folder, events, {"file": file, "kind": kind, **changes})


def of_rows(folder: Path, file: str, mapping: dict[str, Any]) -> Project:
    """Build the shop with one import of mapped rows."""
    return _shop(folder, EVENTS, {"file": file, **mapping})


def _shop(folder: Path, events: dict[str, Any], history: dict[str, Any]) -> Project:
    return shop(
        folder,
        events=events,
        identifiers={
            "customer": {},
            "email": {"normalise": "email", "privacy": "personal"},
            "visitor": {"anonymous": True},
        },
        purposes={
            "measurement": {"basis": "legitimate_interest"},
            "analytics": {"basis": "consent"},
        },
        imports={"history": {"source": "file", **history}},
    )


def _value(value: Any) -> dict[str, Any]:
    empty: dict[str, Any] = dict.fromkeys(
        ("string_value", "int_value", "float_value", "double_value")
    )
    kind = {str: "string_value", int: "int_value", float: "double_value"}[type(value)]
    return {**empty, kind: value}


def ga4(number: int, name: str = "page_view", **changes: Any) -> dict[str, Any]:
    """Write one row of ``events_20260101``."""
    params = {
        "ga_session_id": 1_700_000_000 + number // 10,
        "ga_session_number": 1,
        "page_location": f"https://shop.example/p/{number}?utm_source=x",
        "page_title": "A page",
        "engaged_session_event": 1,
        **changes.pop("params", {}),
    }
    row: dict[str, Any] = {
        "event_date": "20260101",
        "event_timestamp": START + number * 1_000_003,
        "event_name": name,
        "event_params": [{"key": key, "value": _value(value)} for key, value in params.items()],
        "event_previous_timestamp": None,
        "event_value_in_usd": None,
        "event_bundle_sequence_id": 77 + number,
        "event_server_timestamp_offset": None,
        "user_id": None,
        "user_pseudo_id": f"{1000 + number % 7}.{1_700_000_000}",
        "privacy_info": {
            "analytics_storage": "Yes",
            "ads_storage": "No",
            "uses_transient_token": "No",
        },
        "user_properties": [],
        "user_first_touch_timestamp": START,
        "device": {"category": "mobile", "language": "de-de", "web_info": {"browser": "Chrome"}},
        "geo": {"country": "Germany", "city": "Berlin"},
        "traffic_source": {"name": "(direct)", "medium": "(none)", "source": "(direct)"},
        "collected_traffic_source": {
            "manual_campaign_name": "winter",
            "manual_source": "newsletter",
            "manual_medium": "email",
        },
        "stream_id": "1234567890",
        "platform": "WEB",
        "ecommerce": None,
        "items": [],
        "is_active_user": True,
        "batch_event_index": 1,
        "batch_page_id": START // 1000 + number,
        "batch_ordering_id": 1,
    }
    return {**row, **changes}


def ga4_purchase(number: int, **changes: Any) -> dict[str, Any]:
    total = 59.980000000000004
    fields: dict[str, Any] = {
        "params": {"currency": "EUR", "transaction_id": f"T{number}", "value": total},
        "user_id": f"c{number % 5}",
        "ecommerce": {
            "transaction_id": f"T{number}",
            "purchase_revenue": total,
            "purchase_revenue_in_usd": 64.7,
            "unique_items": 1,
        },
        "items": [
            {"item_id": "cup", "item_name": "A cup", "price": 29.99, "quantity": 2},
        ],
    }
    return ga4(number, "purchase", **{**fields, **changes})


def ga4_day(many: int, first: int = 0) -> list[dict[str, Any]]:
    """Write a day: pages, a purchase in ten, and what nobody declared."""
    rows = []
    for number in range(first, first + many):
        if number % 10 == 3:
            rows.append(ga4_purchase(number))
        elif number % 10 == 5:
            rows.append(ga4(number, "scroll"))
        else:
            rows.append(ga4(number))
    return rows


def segment(number: int, kind: str = "track", **changes: Any) -> dict[str, Any]:
    """Write one call as it lies in Segment's storage."""
    message: dict[str, Any] = {
        "type": kind,
        "messageId": f"ajs-next-{number:08d}",
        "anonymousId": f"a{number % 7}",
        "userId": f"c{number % 5}",
        "timestamp": f"2026-01-01T00:{number // 60 % 60:02d}:{number % 60:02d}.000Z",
        "originalTimestamp": "2026-01-01T00:00:00.000Z",
        "sentAt": "2026-01-01T01:00:00.000Z",
        "receivedAt": "2026-01-01T01:00:01.000Z",
        "channel": "client",
        "context": {
            "ip": "203.0.113.7",
            "userAgent": "Mozilla/5.0",
            "page": {"path": f"/p/{number}", "url": f"https://shop.example/p/{number}"},
            "consent": {"categoryPreferences": {"analytics": True, "ads": False}},
        },
        "integrations": {},
        "projectId": "p",
        "version": 2,
    }
    if kind == "track":
        message["event"] = "Order Completed"
        message["properties"] = {
            "order_id": f"S{number}",
            "revenue": 29.99,
            "products": [],
        }
    if kind == "identify":
        message["traits"] = {"email": f"C{number % 5}@example.com"}
    if kind == "page":
        message["name"] = "Home"
        message["properties"] = {"url": f"https://shop.example/p/{number}", "title": "Home"}
    return {**message, **changes}


def ndjson(path: Path, rows: list[dict[str, Any]]) -> Path:
    data = b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
    if path.suffix == ".gz":
        data = gzip.compress(data)
    path.write_bytes(data)
    return path


def parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    table = pyarrow.Table.from_pylist(rows)
    pyarrow.parquet.write_table(table, path, row_group_size=500)
    return path

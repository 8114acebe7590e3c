"""Local servers that hold requests to what the vendors document, and break on request."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

SECRET = "s3cret-of-the-test"

Reply = tuple[int, dict[str, str], bytes]


@dataclass
class Asked:
    """A request as it came."""

    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Vendor:
    """One vendor: its rules, what it took, and what it is told to answer instead."""

    rules: Callable[[Asked], Reply]
    took: list[Asked] = field(default_factory=list)
    refused: list[tuple[Asked, bytes]] = field(default_factory=list)
    answers: deque[Reply] = field(default_factory=deque)
    """Given instead of the rules' answer, one a request."""
    down: Reply | None = None
    """Given to every request while it is set."""
    url: str = ""
    asked: int = 0
    before: Callable[[Asked], None] | None = None
    """Called when a request came in, before it is answered."""

    def reply(self, asked: Asked) -> Reply:
        self.asked += 1
        if self.before is not None:
            self.before(asked)
        if self.down is not None:
            return self.down
        if self.answers:
            return self.answers.popleft()
        reply = self.rules(asked)
        if 200 <= reply[0] < 300:
            self.took.append(asked)
        else:
            self.refused.append((asked, reply[2]))
        return reply


@contextmanager
def serving(vendor: Vendor) -> Iterator[Vendor]:
    """Serve a vendor on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(parts.path, parse_qs(parts.query), headers, body)
            status, more, answer = vendor.reply(asked)
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    vendor.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield vendor
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


# ---------------------------------------------------------------------------- webhook


def webhook(asked: Asked) -> Reply:
    """Verify the signature as a receiver would."""
    said = dict(part.split("=", 1) for part in asked.headers["x-liftwerk-signature"].split(","))
    signed = said["t"].encode() + b"." + asked.body
    right = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(right, said["v1"]):
        return 401, {}, b"wrong signature"
    if asked.headers["idempotency-key"] != asked.json["id"]:
        return 400, {}, b"another key"
    return 204, {}, b""


# ------------------------------------------------- Google Analytics 4, Measurement Protocol

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")
RESERVED = {"session_start", "first_visit", "user_engagement", "ad_click", "app_remove"}


def ga4(now: Callable[[], datetime]) -> Callable[[Asked], Reply]:
    """Answer 204 to everything, as the vendor does; what breaks a rule is an error here."""

    def problems(asked: Asked) -> Iterator[str]:
        if asked.path != "/mp/collect":
            yield f"path {asked.path}"
        if asked.query.get("api_secret") != [SECRET]:
            yield "api_secret"
        if not asked.query.get("measurement_id", [""])[0].startswith("G-"):
            yield "measurement_id"
        if len(asked.body) > 130_000:
            yield "body over 130 kB"
        said = asked.json
        if set(said) - {"client_id", "user_id", "user_data", "timestamp_micros", "events"}:
            yield f"unknown keys {set(said)}"
        if not isinstance(said.get("client_id"), str) or not said["client_id"]:
            yield "a web stream requires client_id"
        for key, values in said.get("user_data", {}).items():
            if key not in ("sha256_email_address", "sha256_phone_number"):
                yield f"user_data {key}"
            if not all(re.fullmatch("[0-9a-f]{64}", value) for value in values):
                yield f"user_data {key} is not hashed"
        if not 1 <= len(said["events"]) <= 25:
            yield f"{len(said['events'])} events"
        for event in said["events"]:
            yield from event_problems(event)

    def event_problems(event: dict[str, Any]) -> Iterator[str]:
        if not NAME.fullmatch(event["name"]) or event["name"] in RESERVED:
            yield f"event name {event['name']}"
        at = event["timestamp_micros"] / 1e6
        if now().timestamp() - at > timedelta(hours=72).total_seconds():
            yield "older than 72 hours"
        params = event["params"]
        if len(params) > 25:
            yield f"{len(params)} parameters"
        for key, value in params.items():
            if not NAME.fullmatch(key) or key.startswith(("firebase_", "ga_", "google_")):
                yield f"parameter name {key}"
            if isinstance(value, str) and len(value) > 100:
                yield f"parameter {key} is too long"
            if isinstance(value, list) != (key == "items"):
                yield f"parameter {key} is a list"
            if isinstance(value, bool | dict) or value is None:
                yield f"parameter {key} is neither text nor number"
        if event["name"] == "purchase":
            if not isinstance(params.get("transaction_id"), str):
                yield "a purchase requires transaction_id"
            if "value" in params and not isinstance(params.get("currency"), str):
                yield "value requires currency"

    def rules(asked: Asked) -> Reply:
        found = list(problems(asked))
        if found:
            return 400, {}, "; ".join(found).encode()
        return 204, {}, b""

    return rules


# -------------------------------------------------------------------------- Meta, Conversions API

SOURCES = {
    "email", "website", "app", "phone_call", "chat", "physical_store", "system_generated",
    "business_messaging", "other",
}  # fmt: skip
PLAIN = {"client_user_agent", "client_ip_address", "fbc", "fbp"}
HASHED = {"em", "ph", "fn", "ln", "ge", "db", "ct", "st", "zp", "country"}


def meta_error(code: int, subcode: int, title: str, transient: bool = False) -> bytes:
    """Shape an error as the vendor does; its message quotes what was sent."""
    error = {
        "message": "Invalid parameter: ada@example.com",
        "type": "OAuthException",
        "code": code,
        "error_subcode": subcode,
        "is_transient": transient,
        "error_user_title": title,
        "error_user_msg": "The value ada@example.com cannot be used.",
        "fbtrace_id": "A8164zosrh8h4b9nrcmpiOU",
    }
    return json.dumps({"error": error}).encode()


def meta(now: Callable[[], datetime]) -> Callable[[Asked], Reply]:
    """Refuse the whole request for one bad event, as the vendor does."""

    def problem(event: dict[str, Any]) -> tuple[int, str] | None:
        if not event.get("event_name") or not isinstance(event.get("event_time"), int):
            return 2804003, "Missing parameter"
        oldest = timedelta(days=62 if event["action_source"] == "physical_store" else 7)
        if now().timestamp() - event["event_time"] > oldest.total_seconds() + 1:
            return 2804003, "Event Timestamp Too Old"
        if event.get("action_source") not in SOURCES:
            return 2804008, "Invalid Action Source"
        user = event.get("user_data", {})
        if event["action_source"] == "website" and "client_user_agent" not in user:
            return 2804019, "Missing Client User Agent"
        if event["action_source"] == "website" and not event.get("event_source_url"):
            return 2804020, "Missing Event Source Url"
        for key in PLAIN & set(user):
            if not isinstance(user[key], str) or re.fullmatch("[0-9a-f]{64}", user[key]):
                return 2804021, "Hashed Browser Information"
        if not user:
            return 2804050, "Not Enough Customer Information"
        for key in HASHED & set(user):
            if not all(re.fullmatch("[0-9a-f]{64}", value) for value in user[key]):
                return 2804009, "Unhashed Customer Information"
        custom = event.get("custom_data", {})
        if event["event_name"] == "Purchase":
            if not isinstance(custom.get("value"), int | float):
                return 2804011, "Missing Value for Purchase Event"
            if not re.fullmatch("[A-Z]{3}", custom.get("currency", "")):
                return 2804010, "Missing Currency for Purchase Event"
        return None

    def rules(asked: Asked) -> Reply:
        said = asked.json
        if said.get("access_token") != SECRET:
            return 400, {}, meta_error(190, 463, "Session Expired")
        if re.fullmatch(r"/\d+/events", asked.path) is None:
            return 404, {}, meta_error(100, 33, "Unsupported request")
        if not 1 <= len(said["data"]) <= 1000:
            return 400, {}, meta_error(100, 2804007, "Too Many Events")
        for event in said["data"]:
            found = problem(event)
            if found is not None:
                return 400, {}, meta_error(100, *found)
        answer = {"events_received": len(said["data"]), "messages": [], "fbtrace_id": "x"}
        return 200, {"Content-Type": "application/json"}, json.dumps(answer).encode()

    return rules

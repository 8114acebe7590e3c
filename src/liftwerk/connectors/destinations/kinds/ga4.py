"""Google Analytics 4, by its Measurement Protocol for web streams.

The vendor answers 2xx to everything, also to what it throws away, so its rules are kept here:
https://developers.google.com/analytics/devguides/collection/protocol/ga4. It has no
deduplication of its own but for ``transaction_id`` of a purchase; our id goes with every event as
``event_id``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Hashable, Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec

from liftwerk.connectors.destinations.demands import foreign, sha256_hex
from liftwerk.connectors.destinations.exchange import Answer, Message, Request, Response, judge
from liftwerk.definitions.lines import Path
from liftwerk.definitions.problem import Problem, dotted
from liftwerk.definitions.project import Project
from liftwerk.events.definition import known_events
from liftwerk.store.instants import to_microseconds

if TYPE_CHECKING:
    from liftwerk.connectors.destinations.definition import Destination, SentEvent

BACKDATED = timedelta(hours=72)
"""The vendor moves or drops what happened before."""

PARAMETERS = 25
"""Most parameters of an event."""

OWN_PARAMETERS = ("event_id", "currency", "weight")
"""Parameters that we add."""

VALUE_LENGTH = 100
"""Characters of a parameter's value; the vendor cuts what is longer, so we do."""

IDENTIFIERS = ("client_id", "user_id", "sha256_email_address", "sha256_phone_number")

RESERVED_NAMES = frozenset(
    {
        "ad_activeview",
        "ad_click",
        "ad_exposure",
        "ad_impression",
        "ad_query",
        "ad_reward",
        "adunit_exposure",
        "app_background",
        "app_clear_data",
        "app_exception",
        "app_install",
        "app_remove",
        "app_store_refund",
        "app_store_subscription_cancel",
        "app_store_subscription_convert",
        "app_store_subscription_renew",
        "app_update",
        "app_upgrade",
        "dynamic_link_app_open",
        "dynamic_link_app_update",
        "dynamic_link_first_open",
        "error",
        "firebase_campaign",
        "firebase_in_app_message_action",
        "firebase_in_app_message_dismiss",
        "firebase_in_app_message_impression",
        "first_open",
        "first_visit",
        "in_app_purchase",
        "notification_dismiss",
        "notification_foreground",
        "notification_open",
        "notification_receive",
        "notification_send",
        "os_update",
        "session_start",
        "user_engagement",
    }
)
"""Events that only the vendor's own libraries may send."""

RESERVED_PREFIXES = ("_", "firebase_", "ga_", "google_", "gtag.")

NEEDS_TRANSACTION = ("purchase", "refund")

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")
_encode = msgspec.json.Encoder(decimal_format="number").encode


class GoogleAnalytics:
    """Posts up to 25 events of one client at a time."""

    url = "https://www.google-analytics.com"
    most = 25
    most_bytes = 130_000
    takes_lists = False
    delivery: tuple[str, ...] = ()

    def problems(self, project: Project, path: Path, destination: Destination) -> Iterable[Problem]:
        """Yield names, parameters and identifiers that the vendor refuses."""
        yield from foreign(project, path, destination, ("measurement_id",))
        if destination.measurement_id is None:
            here = (*path, "measurement_id")
            hint = 'add measurement_id = "G-…", the id of the web stream'
            yield project.problem(here, hint, what=f"{dotted(here)} is missing")
        for theirs in destination.identifiers:
            if theirs not in IDENTIFIERS:
                yield project.unknown_key((*path, "identifiers", theirs), IDENTIFIERS)
        if not {"client_id", "user_id"} & set(destination.identifiers):
            here = (*path, "identifiers")
            hint = 'add { client_id = "NAMESPACE" }, or user_id'
            yield project.problem(here, hint, what=f"{dotted(here)} has no client_id")
        for place, sent in enumerate(destination.events):
            yield from _problems_of_event(project, (*path, "events", place), sent)

    def unfit(self, destination: Destination, message: Message, now: datetime) -> str:
        """Refuse what the vendor would throw away without a word."""
        if now - message.time > BACKDATED:
            return "too old for the vendor (72 hours)"
        if not {"client_id", "user_id"} & set(message.identifiers):
            return "no client_id or user_id"
        if message.name in NEEDS_TRANSACTION and "transaction_id" not in message.properties:
            return "no transaction_id"
        return ""

    def together(self, message: Message) -> Hashable:
        """Keep together what has the same client, user and user data."""
        return tuple(sorted(message.identifiers.items())), _client(message)

    def request(
        self, destination: Destination, secret: str, messages: Sequence[Message], now: datetime
    ) -> Request:
        """Make the request of one client's events."""
        first = messages[0]
        said: dict[str, Any] = {"client_id": _client(first)}
        if "user_id" in first.identifiers:
            said["user_id"] = first.identifiers["user_id"]
        user_data = {
            theirs: [sha256_hex(_spelled(theirs, value))]
            for theirs, value in first.identifiers.items()
            if theirs.startswith("sha256_")
        }
        if user_data:
            said["user_data"] = user_data
        said["events"] = [_event(message) for message in messages]
        query = urlencode({"measurement_id": destination.measurement_id, "api_secret": secret})
        return Request(f"/mp/collect?{query}", {}, _encode(said))

    def judge(self, response: Response, now: datetime) -> Answer:
        """Read the status; there is nothing else."""
        return judge(response, now)


def _problems_of_event(project: Project, path: Path, sent: SentEvent) -> Iterable[Problem]:
    name = sent.sent_name
    if not _is_free(name) or name in RESERVED_NAMES:
        hint = "up to 40 letters, digits and _, a letter first, none of Google's own names"
        yield project.problem((*path, "name"), hint, name)
    declared = known_events(project).get(sent.event)
    if declared is None:
        return
    taken = sent.properties
    keys = list(taken) if taken is not None else list(declared.properties)
    for key in keys:
        here = (*path, "properties", key)
        if not _is_free(key) or key == "firebase_conversion":
            hint = "up to 40 letters, digits and _, a letter first, none of Google's own names"
            yield project.problem(here, hint, what=f"the parameter name {key!r} cannot be used")
        elif taken is not None and key != "items":
            ours = declared.properties.get(taken[key].property)
            if ours is not None and ours.type == "list":
                what = f"{dotted(here)} is a list"
                yield project.problem(here, 'only "items" may be a list', what=what)
    if len(keys) + len(OWN_PARAMETERS) > PARAMETERS:
        hint = f"name at most {PARAMETERS - len(OWN_PARAMETERS)} properties"
        here = (*path, "properties")
        yield project.problem(here, hint, what=f"{dotted(here)} are {len(keys)} parameters")
    if name in NEEDS_TRANSACTION and "transaction_id" not in keys:
        here = (*path, "properties")
        hint = 'add { transaction_id = "order_id" }: the vendor deduplicates by it'
        yield project.problem(here, hint, what=f"{dotted(here)} has no transaction_id")


def _is_free(name: str) -> bool:
    return _NAME.fullmatch(name) is not None and not name.startswith(RESERVED_PREFIXES)


def _client(message: Message) -> str:
    """Return the browser's client id, or a stable one that stands for the user.

    A web stream takes nothing without; the user's id ties both together.
    """
    given = message.identifiers.get("client_id")
    if given is not None:
        return given
    digest = hashlib.sha256(b"client_id\0" + message.lane).digest()
    numbers = (int.from_bytes(digest[:4], "big"), int.from_bytes(digest[4:8], "big"))
    return f"{numbers[0]}.{numbers[1]}"


def _event(message: Message) -> dict[str, Any]:
    params = {key: _parameter(value) for key, value in message.properties.items()}
    params["event_id"] = message.id
    if message.currency is not None:
        params.setdefault("currency", message.currency)
    if message.weight != 1:
        params["weight"] = message.weight
    return {
        "name": message.name,
        "timestamp_micros": to_microseconds(message.time),
        "params": params,
    }


def _parameter(value: Any) -> Any:
    """Return a value as the vendor takes it: text or number, and ``items`` as rows of them."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float | Decimal):
        return value
    if isinstance(value, list):
        return [
            {key: _parameter(item) for key, item in row.items()} if isinstance(row, dict) else row
            for row in value
        ]
    if isinstance(value, datetime):
        return value.isoformat()[:VALUE_LENGTH]
    return str(value)[:VALUE_LENGTH]


def _spelled(theirs: str, value: str) -> str:
    if theirs == "sha256_phone_number" and not value.startswith("+") and value.isdigit():
        return f"+{value}"  # E.164, as this vendor hashes it
    return value

"""Meta's Conversions API, for events on a website, on a server, in a shop or in a CRM.

The vendor refuses a whole request for one bad event, so its rules are kept here:
https://developers.facebook.com/docs/marketing-api/conversions-api. It deduplicates by
``event_name`` and ``event_id``, which is ours. Website events demand the page and the browser's
user agent, which no table of ours holds: they come as delivery fields, or the event is not sent.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from liftwerk.connectors.destinations.demands import foreign, is_sha256, sha256_hex
from liftwerk.connectors.destinations.exchange import (
    ANY_SIZE,
    Answer,
    Message,
    Request,
    Response,
    judge,
)
from liftwerk.definitions.lines import Path
from liftwerk.definitions.problem import Problem, dotted
from liftwerk.definitions.project import Project

if TYPE_CHECKING:
    from liftwerk.connectors.destinations.definition import Destination

OLDEST = timedelta(days=7)
OLDEST_IN_SHOP = timedelta(days=62)
"""How old an event may be; one in a physical store may be older."""

HASHED = ("em", "ph", "external_id")
"""Identifiers that leave here as SHA-256 only."""

PLAIN = ("fbc", "fbp", "lead_id", "subscription_id")
"""Identifiers that the vendor gave out itself and wants back as they are."""

WEBSITE = "website"
SOURCE_URL = "event_source_url"
ASKED_OF_WEBSITE = ("client_user_agent", SOURCE_URL)
"""What the vendor demands of an event on a website."""

MATCHING = ("fbc", "fbp", "client_ip_address")
"""Delivery fields that the vendor can match a customer by; an address beside the user agent."""

PRICED = ("Purchase",)
"""Events that the vendor refuses without value and currency."""

NAME_LENGTH = 50

BUSY_CODES = frozenset({1, 2, 4, 17, 32, 341, 613, 80004})
"""The vendor's error codes that say: later."""

ACCESS_CODES = frozenset({10, 102, 190, *range(200, 300)})
"""The vendor's error codes about the token and its rights, not about an event."""

_NAME = re.compile(r"[A-Za-z0-9_ -]{1,50}")
_TITLE = re.compile(r"[A-Za-z][A-Za-z ,.'’-]{0,79}")
_encode = msgspec.json.Encoder(decimal_format="number").encode


class MetaConversions:
    """Posts up to 1,000 events at a time to a dataset."""

    url = "https://graph.facebook.com"
    most = 1000
    most_bytes = ANY_SIZE
    takes_lists = False
    delivery: tuple[str, ...] = (
        "client_user_agent",
        "client_ip_address",
        "fbc",
        "fbp",
        SOURCE_URL,
    )

    def problems(self, project: Project, path: Path, destination: Destination) -> Iterable[Problem]:
        """Yield settings that the vendor refuses."""
        yield from foreign(project, path, destination, ("dataset_id", "action_source"))
        if destination.dataset_id is None or not destination.dataset_id.isdecimal():
            here = (*path, "dataset_id")
            hint = 'add dataset_id = "…", the number of the dataset (pixel)'
            yield project.problem(here, hint, what=f"{dotted(here)} is missing or no number")
        if destination.action_source is None:
            here = (*path, "action_source")
            hint = 'add action_source = "system_generated", or "physical_store" for a shop'
            yield project.problem(here, hint, what=f"{dotted(here)} is missing")
        if destination.action_source == WEBSITE:
            for field in ASKED_OF_WEBSITE:
                if field not in destination.delivery:
                    here = (*path, "delivery")
                    hint = f'add {field!r}: the vendor demands it of action_source = "website"'
                    yield project.problem(here, hint, what=f"{dotted(here)} lacks {field}")
        if not destination.identifiers:
            here = (*path, "identifiers")
            hint = 'add { em = "NAMESPACE" }: the vendor must be able to match the customer'
            yield project.problem(here, hint, what=f"{dotted(here)} is missing")
        for theirs in destination.identifiers:
            if theirs not in HASHED + PLAIN:
                yield project.unknown_key((*path, "identifiers", theirs), HASHED + PLAIN)
        for place, sent in enumerate(destination.events):
            here = (*path, "events", place)
            if _NAME.fullmatch(sent.sent_name) is None:
                hint = f"up to {NAME_LENGTH} letters, digits, blanks, _ and -"
                yield project.problem((*here, "name"), hint, sent.sent_name)
            if sent.sent_name in PRICED and "value" not in (sent.properties or {}):
                here = (*here, "properties")
                hint = 'add { value = "PROPERTY" }, one of type money'
                yield project.problem(here, hint, what=f"{dotted(here)} has no value")

    def unfit(self, destination: Destination, message: Message, now: datetime) -> str:
        """Refuse what would make the vendor refuse the whole request."""
        in_shop = destination.action_source == "physical_store"
        oldest = OLDEST_IN_SHOP if in_shop else OLDEST
        if now - message.time > oldest:
            return f"too old for the vendor ({oldest.days} days)"
        if destination.action_source == WEBSITE:
            for field in ASKED_OF_WEBSITE:
                if field not in message.delivery:
                    return f"no {field}: it did not come with the event, or is kept no longer"
        if not _can_be_matched(message):
            return "no identifier that the vendor could match"
        if message.name in PRICED and not _is_priced(message):
            return "a purchase without value or currency"
        return ""

    def together(self, message: Message) -> Hashable:
        """Send everything together."""
        return None

    def request(
        self, destination: Destination, secret: str, messages: Sequence[Message], now: datetime
    ) -> Request:
        """Make the request; the token goes in the body, where no log of addresses finds it."""
        data = [_event(destination, message) for message in messages]
        body = _encode({"data": data, "access_token": secret})
        return Request(f"/{destination.dataset_id}/events", {}, body)

    def judge(self, response: Response, now: datetime) -> Answer:
        """Read the vendor's error, whose code says more than the status."""
        by_status = judge(response, now)
        error = _error(response.body)
        if by_status.outcome == "delivered" or error is None:
            return by_status
        code = error.get("code")
        reason = _reason(response.status, error)
        if error.get("is_transient") is True or code in BUSY_CODES or response.status >= 500:
            return Answer("again", reason, by_status.wait)
        if code in ACCESS_CODES:
            return Answer("again", f"{reason}: check the access token")
        return Answer(by_status.outcome, reason, by_status.wait)


def normalised(theirs: str, value: str) -> str:
    """Spell an identifier as the vendor does before hashing.

    Parameters
    ----------
    theirs : str
        The vendor's identifier.
    value : str
        As our namespace spells it.

    Returns
    -------
    str
        ``em`` in lower case without blanks around it; ``ph`` as digits with the country's code and
        without leading zeros; the rest trimmed.

    Examples
    --------
    >>> normalised("em", " Ada@Example.com "), normalised("ph", "+49 (151) 23-45")
    ('ada@example.com', '491512345')
    """
    trimmed = value.strip()
    if theirs == "em":
        return trimmed.lower()
    if theirs == "ph" and not is_sha256(trimmed):
        return re.sub(r"[^0-9]", "", trimmed).lstrip("0")
    return trimmed


def _event(destination: Destination, message: Message) -> dict[str, Any]:
    user_data: dict[str, Any] = {}
    for theirs, value in message.identifiers.items():
        spelled = normalised(theirs, value)
        if theirs in HASHED:
            user_data[theirs] = [sha256_hex(spelled)]
        else:
            user_data[theirs] = spelled
    delivery = dict(message.delivery)
    page = delivery.pop(SOURCE_URL, None)
    user_data |= delivery
    said: dict[str, Any] = {
        "event_name": message.name,
        "event_time": int(message.time.timestamp()),
        "event_id": message.id,
        "action_source": destination.action_source,
        "user_data": user_data,
    }
    if page is not None:
        said[SOURCE_URL] = page
    custom = dict(message.properties)
    if message.currency is not None:
        custom.setdefault("currency", message.currency)
    if message.weight != 1:
        custom["weight"] = message.weight
    if custom:
        said["custom_data"] = custom
    return said


def _can_be_matched(message: Message) -> bool:
    if message.identifiers:
        return True
    for field in MATCHING:
        if field in message.delivery and (
            field != "client_ip_address" or "client_user_agent" in message.delivery
        ):
            return True
    return False


def _is_priced(message: Message) -> bool:
    value = message.properties.get("value")
    is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    return is_number and (message.currency is not None or "currency" in message.properties)


def _error(body: bytes) -> dict[str, Any] | None:
    try:
        said = msgspec.json.decode(body)
    except ValueError:
        return None
    error = said.get("error") if isinstance(said, dict) else None
    return error if isinstance(error, dict) else None


def _reason(status: int, error: dict[str, Any]) -> str:
    """Name an error by its codes and its fixed title; its free text may quote what was sent."""
    numbers = [error.get(key) for key in ("code", "error_subcode")]
    codes = "/".join(str(number) for number in numbers if isinstance(number, int))
    reason = f"HTTP {status}"
    if codes:
        reason = f"{reason}, code {codes}"
    title = error.get("error_user_title")
    if isinstance(title, str) and _TITLE.fullmatch(title):
        return f"{reason}: {title}"
    return reason

"""Kinds of destinations, one file each."""

from __future__ import annotations

from liftwerk.connectors.destinations.kinds.ga4 import GoogleAnalytics
from liftwerk.connectors.destinations.kinds.kind import Kind
from liftwerk.connectors.destinations.kinds.meta import MetaConversions
from liftwerk.connectors.destinations.kinds.webhook import Webhook

KINDS: dict[str, Kind] = {
    "webhook": Webhook(),
    "ga4": GoogleAnalytics(),
    "meta": MetaConversions(),
}
"""``kind`` of a destination -> what knows it; one line a kind."""

"""The namespaces stand in the envelope, so `liftwerk.events.identifiers` declares them."""

from __future__ import annotations

from liftwerk.events.identifiers import FINGERPRINTS, IDENTIFIERS, Namespace, fingerprint

__all__ = ["FINGERPRINTS", "IDENTIFIERS", "Namespace", "fingerprint"]

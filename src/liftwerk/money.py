"""What it costs: exact amounts in a currency, as whole minor units; never floats."""

from __future__ import annotations

import re


def is_currency(code: str) -> bool:
    """Say whether a code has the form of an ISO 4217 currency."""
    return re.fullmatch(r"[A-Z]{3}", code) is not None

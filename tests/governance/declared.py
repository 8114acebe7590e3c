"""A shop that declares something of every kind, from an event to where a decision is shown."""

from __future__ import annotations

import copy
from typing import Any

from liftwerk.definitions import Project
from liftwerk.definitions.load import build
from liftwerk.sections import SECTIONS

SHOP: dict[str, Any] = {
    "project": {"name": "shop", "currency": "EUR"},
    "purposes": {"personalisation": {"basis": "consent", "description": "Choose"}},
    "goal": {"metric": "margin", "holdout": "5%", "salt": "s"},
    "identifiers": {"email": {"privacy": "personal", "description": "An address"}},
    "events": {
        "order": {
            "version": 1,
            "description": "An order",
            "owner": "checkout@shop.example",
            "properties": {
                "revenue": {"type": "money", "privacy": "none"},
                "city": {"type": "string", "privacy": "personal"},
                "unread": {"type": "string"},
            },
        },
        "visit": {"version": 1, "description": "A visit"},
    },
    "features": {
        "spend": {
            "entity": "customer",
            "from": "order",
            "aggregate": "sum",
            "property": "revenue",
            "window": "90d",
            "owner": "crm@shop.example",
            "description": "Spend in 90 days",
        },
        "local": {
            "entity": "customer",
            "from": "order",
            "aggregate": "count",
            "where": "city = 'Graz'",
        },
        "visits": {"entity": "customer", "from": "visit", "aggregate": "count"},
        "local_share": {"entity": "customer", "expression": "local / visits"},
    },
    "feature_views": {"crm": {"purpose": "personalisation", "features": ["spend", "local_share"]}},
    "metrics": {
        "margin": {
            "description": "Margin",
            "from": "order",
            "aggregate": "sum",
            "property": "revenue",
            "within": "14d",
            "unit": "EUR",
        }
    },
    "models": {
        "voucher": {
            "kind": "uplift",
            "placement": "mail",
            "outcomes": ["margin"],
            "features": ["local_share"],
            "purpose": "personalisation",
        }
    },
    "actions": {"nothing": {"label": "Nothing"}, "ten": {"label": "10% off", "cost": "1"}},
    "placements": {"mail": {"channel": "email", "control": "nothing"}},
    "policies": {
        "win_back": {
            "placement": "mail",
            "kind": "uplift",
            "model": "voucher",
            "actions": ["nothing", "ten"],
            "reward": "margin",
            "gate": {"margin": "0"},
        }
    },
}


def declared(**changed: Any) -> Project:
    """Build the shop; ``features__spend__window="30d"`` changes a key, None takes it out."""
    values = copy.deepcopy(SHOP)
    for path, value in changed.items():
        *folders, last = path.split("__")
        place = values
        for folder in folders:
            place = place.setdefault(folder, {})
        if value is None:
            del place[last]
        else:
            place[last] = value
    return build(values, SECTIONS)

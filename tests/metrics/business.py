"""A shop with all the numbers that the founders of one ask for."""

from __future__ import annotations

from typing import Any

from liftwerk.definitions import Project
from tests.events import shop as shops
from tests.events.entities.things import ENTITIES

EVENTS: dict[str, Any] = {
    **shops.SHOP["events"],
    "returned": {
        "version": 1,
        "description": "Goods came back",
        "properties": {
            "order_id": {"type": "string", "privacy": "pseudonymous"},
            "refund": {"type": "money", "minimum": "0"},
            "cost": {"type": "money", "minimum": "0"},
        },
    },
}
WITHIN = {"within": "14d"}
ORDERS = {"from": "order_completed"}

METRICS: dict[str, Any] = {
    "incremental_profit": {
        "description": "Profit that the programme added",
        "incremental": "profit",
        "unit": "EUR",
        "owner": "founders@shop.example",
        "target": "20000",
    },
    "incremental_roas": {
        "description": "Revenue that was added by a euro of advertising",
        "formula": "incremental_revenue / spend",
        "target": "2",
        "threshold": "1",
        "supports": "incremental_profit",
    },
    "incremental_revenue": {
        "description": "Revenue that the programme added",
        "incremental": "revenue",
        "unit": "EUR",
    },
    "profit": {
        "description": "Margin, less what was refunded and what returns cost",
        "formula": "margin - refunds - return_costs",
        "unit": "EUR",
    },
    "revenue": {
        "description": "Paid orders",
        **ORDERS,
        **WITHIN,
        "aggregate": "sum",
        "property": "revenue",
        "unit": "EUR",
        "supports": "profit",
    },
    "margin": {
        "description": "Price less purchase cost of what was ordered",
        **ORDERS,
        **WITHIN,
        "aggregate": "sum",
        "unnest": "items",
        "value": "items.quantity * (items.price - product.cost)",
        "unit": "EUR",
        "supports": "profit",
    },
    "refunds": {
        "description": "Money back for returns",
        "from": "returned",
        "aggregate": "sum",
        "property": "refund",
        "within": "30d",
        "unit": "EUR",
        "better": "lower",
    },
    "return_costs": {
        "description": "What handling returns cost",
        "from": "returned",
        "aggregate": "sum",
        "property": "cost",
        "within": "30d",
        "unit": "EUR",
        "better": "lower",
    },
    "orders": {
        "description": "Paid orders",
        **ORDERS,
        **WITHIN,
        "aggregate": "count",
        "unit": "orders",
    },
    "large_orders": {
        "description": "Orders of 50 euros and more",
        **ORDERS,
        **WITHIN,
        "aggregate": "count",
        "where": "revenue >= 50 and source = 'till'",
        "unit": "orders",
    },
    "bought": {
        "description": "Customers who ordered",
        **ORDERS,
        **WITHIN,
        "aggregate": "any",
        "unit": "share",
    },
    "basket": {
        "description": "Revenue of an order",
        "formula": "revenue / orders",
        "unit": "EUR",
        "supports": "revenue",
    },
    "returns": {
        "description": "Returns",
        "from": "returned",
        "aggregate": "count",
        **WITHIN,
        "unit": "returns",
        "better": "lower",
    },
    "return_rate": {
        "description": "Returns of an order",
        "formula": "returns / orders",
        "better": "lower",
        "target": "0.08",
        "threshold": "0.15",
    },
    "new_customers": {
        "description": "Customers with their first order",
        **ORDERS,
        **WITHIN,
        "aggregate": "new",
        "unit": "customers",
    },
    "churn": {
        "description": "Customers who let 30 days pass without an order",
        **ORDERS,
        "aggregate": "lapse",
        "within": "30d",
        "unit": "share",
        "better": "lower",
        "threshold": "0.9",
    },
    "spend": {
        "description": "Advertising",
        "from": "channel_spend",
        "aggregate": "sum",
        "property": "spend",
        "unit": "EUR",
        "better": "lower",
    },
    "cac": {
        "description": "Advertising for a new customer",
        "formula": "spend / new_customers",
        "unit": "EUR",
        "better": "lower",
    },
    "ltv": {
        "description": "Revenue of a new customer in 30 days",
        **ORDERS,
        "aggregate": "sum",
        "property": "revenue",
        "within": "30d",
        "per": "new_customers",
        "unit": "EUR",
    },
    "ltv_to_cac": {
        "description": "What a new customer brings for what they cost",
        "formula": "ltv / cac",
        "target": "3",
        "threshold": "1",
        "supports": "profit",
    },
    "stock_outs": {
        "description": "Products that ran out",
        "from": "product",
        "aggregate": "count",
        "where": "stock = 0",
        "better": "lower",
        "supports": "revenue",
    },
    "served_in_time": {
        "description": "Requests that were answered",
        "measured": "system:liftwerk_requests_total",
        "supports": "orders",
    },
}


def business(**changes: Any) -> Project:
    """Build the shop with its metrics, with sections replaced."""
    return shops.shop(**{"entities": ENTITIES, "events": EVENTS, "metrics": METRICS, **changes})

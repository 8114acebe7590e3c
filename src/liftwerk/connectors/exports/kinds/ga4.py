"""Google Analytics 4: rows of its BigQuery export, ``events_YYYYMMDD`` and ``events_intraday_…``.

A row's id is made from what tells it from all others, so that the intraday and the daily table, or
two exports that overlap, make each event once. Numbers come as binary fractions: an amount that is
one cent's fraction of noise away from a whole cent is that cent; one in another currency than the
project's is refused, with the currency in the reason's place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import msgspec
import pyarrow

from liftwerk.connectors.definition import ImportDefinition
from liftwerk.connectors.exports.lines import LINE
from liftwerk.connectors.exports.translated import UNTRANSLATED, Bodies, Translated
from liftwerk.connectors.mapping import ROW, numbered, object_json, typed_json
from liftwerk.connectors.rows import Rows
from liftwerk.definitions.project import Project
from liftwerk.errors import ProjectError
from liftwerk.events.definition import RESERVED, EventDefinition, known_events
from liftwerk.events.engine import quoted, text
from liftwerk.events.identifiers import IDENTIFIERS
from liftwerk.events.ids import made_id_sql
from liftwerk.events.properties import PropertyDefinition
from liftwerk.money import exponent

NAMES = {
    "page_view": "page_viewed",
    "purchase": "order_completed",
    "refund": "order_refunded",
    "add_to_cart": "product_added",
    "remove_from_cart": "product_removed",
    "view_item": "product_viewed",
    "view_item_list": "product_list_viewed",
    "begin_checkout": "checkout_started",
    "view_search_results": "products_searched",
    "search": "products_searched",
    "sign_up": "signed_up",
    "login": "signed_in",
}
"""Google's recommended events -> what they are usually called here, where that is declared."""

PLACES = {
    "order_id": ("ecommerce.transaction_id", "event_params.transaction_id"),
    "transaction_id": ("ecommerce.transaction_id", "event_params.transaction_id"),
    "revenue": ("ecommerce.purchase_revenue", "event_params.value"),
    "total": ("ecommerce.purchase_revenue", "event_params.value"),
    "tax": ("ecommerce.tax_value", "event_params.tax"),
    "shipping": ("ecommerce.shipping_value", "event_params.shipping"),
    "url": ("event_params.page_location",),
    "title": ("event_params.page_title",),
    "referrer": ("event_params.page_referrer",),
    "query": ("event_params.search_term",),
    "sku": ("items.item_id",),
    "product_id": ("items.item_id",),
    "name": ("items.item_name",),
    "brand": ("items.item_brand",),
    "category": ("items.item_category",),
    "variant": ("items.item_variant",),
    "price": ("items.price",),
    "quantity": ("items.quantity",),
}
"""Property -> where it is; all others are the parameter of their name. Of items, the first."""

ITEM_FIELDS = {
    "sku": "item_id",
    "product_id": "item_id",
    "name": "item_name",
    "brand": "item_brand",
    "category": "item_category",
    "variant": "item_variant",
}
"""Field of a list of items -> Google's; all others have Google's names."""

USUAL = {
    "user_id": ("customer", "customer_id", "user", "user_id"),
    "user_pseudo_id": ("visitor", "visitor_id", "device", "anonymous_id"),
}
"""Google's identifier -> the namespaces it is taken for when the project declares one of them."""

_ID = (
    "stream_id",
    "user_pseudo_id",
    "event_timestamp",
    "event_name",
    "event_bundle_sequence_id",
    "batch_page_id",
    "batch_ordering_id",
    "batch_event_index",
)

_PARAMETER = [{"key": "VARCHAR", "value": dict.fromkeys(
    ("string_value", "int_value", "float_value", "double_value"), "VARCHAR"
)}]  # fmt: skip
_RECORDS = ("ecommerce", "collected_traffic_source", "traffic_source", "device", "geo", "app_info")
_LISTS = ("event_params", "user_properties")


def translated(
    project: Project, name: str, definition: ImportDefinition, rows: Rows, table: str
) -> Translated:
    """Prepare to translate a file.

    Raises
    ------
    ProjectError
        If nothing says which identifiers a row has.
    """
    return Translated(_Export(project, name, definition).sql(rows), _events_of, UNTRANSLATED)


def _events_of(batch: pyarrow.RecordBatch, left_out: Counter[str]) -> Bodies:
    numbers, bodies, reasons = (column.to_pylist() for column in batch.columns)
    left_out.update(reason for reason in reasons if reason is not None)
    return [(number, (body,)) for number, body in zip(numbers, bodies, strict=True)]


class _Export:
    """One import's mapping on its way to one SELECT."""

    def __init__(self, project: Project, name: str, definition: ImportDefinition) -> None:
        self.project = project
        self.definition = definition
        self.identifiers = _identifiers(project, name, definition)
        self.events = _events(project, definition)
        self.places: dict[str, None] = {}
        self.items: dict[str, None] = {}

    def sql(self, rows: Rows) -> str:
        """Return the row's number, its event's JSON or null, and why it makes none or null."""
        identifiers = object_json(
            {namespace: self._at(place) for namespace, place in self.identifiers.items()}
        )
        known = " OR ".join(f"{self._at(place)} <> ''" for place in self.identifiers.values())
        cases = "".join(
            f" WHEN {text(theirs)} THEN {self._body(ours, kind, identifiers)}::VARCHAR"
            for theirs, (ours, kind) in self.events.items()
        )
        names = ", ".join(map(text, self.events))
        shape = text(msgspec.json.encode(self._shape()).decode())
        places = "".join(f", {_place(place)} AS {quoted(place)}" for place in self.places)
        parsed = (
            f"SELECT {ROW}, {LINE},"
            f" from_json(CASE WHEN json_valid({LINE}) THEN {LINE} END, {shape}) AS j"
            f" FROM ({numbered(rows)})"
        )
        return (
            f"SELECT {ROW}, CASE WHEN _left IS NULL THEN"
            f" CASE WHEN j IS NULL THEN {LINE} ELSE CASE j.event_name{cases} END END END, _left"
            f" FROM (SELECT *, CASE WHEN j IS NULL THEN NULL"
            f" WHEN j.event_name IS NOT NULL AND j.event_name NOT IN ({names})"
            f" THEN 'not declared: ' || left(j.event_name, 100)"
            f" WHEN NOT coalesce({known}, FALSE) THEN 'without an identifier' END AS _left"
            f" FROM (SELECT *{places} FROM ({parsed})))"
        )

    def _body(self, name: str, kind: EventDefinition, identifiers: str) -> str:
        at = "make_timestamp(try_cast(j.event_timestamp AS BIGINT))"
        fields = {
            "name": text(name),
            "version": str(kind.version),
            "id": made_id_sql(
                text("ga4"),
                *(f"coalesce(j.{key}, '')" for key in _ID if key != "event_timestamp"),
                "j.event_timestamp",
            ),
            "time": f"strftime({at}, '%Y-%m-%dT%H:%M:%S.%fZ')",
            "identifiers": identifiers,
            "session": _SESSION.format(session=self._at("event_params.ga_session_id")),
            "context": self._context(),
            "consent": self._consent(),
            "properties": object_json(
                {key: self._property(name, key, one) for key, one in kind.properties.items()}
            ),
        }
        known_at = self.definition.known_at
        if known_at is not None and known_at.delay.microseconds:
            later = f"{at} + to_microseconds({known_at.delay.microseconds})"
            fields["known_at"] = f"strftime({later}, '%Y-%m-%dT%H:%M:%S.%fZ')"
        return object_json(fields)

    def _property(self, event: str, key: str, definition: PropertyDefinition) -> str:
        told = self.definition.fields.get(event, {}).get(key)
        if definition.type == "list" and isinstance(definition.of, dict) and told is None:
            return self._items(definition.of)
        places: tuple[str, ...] = (*PLACES.get(key, ()), f"event_params.{key}")
        if told is not None:
            places = (told,)
        if definition.type == "money":
            listed = [self._money(place) for place in places]
        else:
            listed = [self._at(place) for place in places]
        return typed_json(f"coalesce({', '.join([*listed, 'NULL'])})", definition.type)

    def _money(self, place: str) -> str:
        currency = f"coalesce({self._at('event_params.currency')}, {text(self.project.currency)})"
        if place.endswith("_in_usd"):
            currency = text("USD")
        return _amount(self._at(place), currency, self.project.currency)

    def _items(self, fields: Mapping[str, str]) -> str:
        listed = []
        for key, kind in fields.items():
            theirs = ITEM_FIELDS.get(key, key)
            self.items[theirs] = None
            raw = f"x.{quoted(theirs)}"
            if kind == "money":
                raw = _amount(raw, text(self.project.currency), self.project.currency)
            listed.append(f"{text(key)}, {typed_json(raw, kind)}")
        return f"to_json(list_transform(j.items, lambda x: json_object({', '.join(listed)})))"

    def _context(self) -> str:
        campaign = object_json(
            {
                key: self._at(f"collected_traffic_source.manual_{theirs}")
                for key, theirs in (
                    ("source", "source"),
                    ("medium", "medium"),
                    ("name", "campaign_name"),
                )
            }
        )
        whole = object_json({"page": self._at("page_path"), "campaign": campaign})
        return f"json_merge_patch({whole}, {whole})"

    def _consent(self) -> str:
        if self.definition.consent is not None:
            said = msgspec.json.encode(self.definition.consent).decode()
            return f"{text(said)}::JSON"
        analytics, ads = (
            f"CASE j.privacy_info.{field} WHEN 'Yes' THEN 'granted' WHEN 'No' THEN 'denied' END"
            for field in ("analytics_storage", "ads_storage")
        )
        both = object_json({"analytics_storage": analytics, "ad_storage": ads})
        said = object_json({"gcm": both})
        return f"CASE WHEN coalesce({analytics}, {ads}) IS NOT NULL THEN {said} END"

    def _at(self, place: str) -> str:
        if place == "page_path":
            location = self._at("event_params.page_location")
            return rf"nullif(regexp_extract({location}, '^[a-z]+://[^/?#]*(/[^?#]*)', 1), '')"
        if place.startswith("items."):
            self.items[place.removeprefix("items.")] = None
        self.places[place] = None
        return quoted(place)

    def _shape(self) -> dict[str, object]:
        shape: dict[str, object] = dict.fromkeys([*_ID, "user_id"], "VARCHAR")
        shape |= dict.fromkeys(_LISTS, _PARAMETER)
        shape["privacy_info"] = dict.fromkeys(("analytics_storage", "ads_storage"), "VARCHAR")
        for place in self.places:
            first, _, rest = place.partition(".")
            if not rest:
                shape[first] = "VARCHAR"
            elif first not in (*_LISTS, "items"):
                inner = shape.setdefault(first, {})
                assert isinstance(inner, dict)
                inner[rest] = "VARCHAR"
        if self.items:
            shape["items"] = [dict.fromkeys(self.items, "VARCHAR")]
        return shape


_SESSION = (
    "CASE WHEN {session} IS NOT NULL THEN"
    " left(sha256(coalesce(j.user_pseudo_id, '') || ':' || {session}), 32) END"
)
"""A session's number is a visitor's own; hashed, since erasure looks for the visitor's id."""


def _place(place: str) -> str:
    """Read one place of a parsed row as text."""
    first, _, rest = place.partition(".")
    if first in _LISTS:
        value = f"list_filter(j.{first}, lambda x: x.key = {text(rest)})[1].value"
        kinds = ("string_value", "int_value", "double_value", "float_value")
        return f"coalesce({', '.join(f'{value}.{kind}' for kind in kinds)})"
    if first == "items":
        return f"j.items[1].{quoted(rest)}"
    if not rest:
        return f"j.{quoted(first)}"
    return f"j.{quoted(first)}.{quoted(rest)}"


def _amount(raw: str, currency: str, ours: str) -> str:
    """Write an amount as decimal text; one in another currency names that, and so is refused."""
    decimals = exponent(ours)
    number = f"try_cast({raw} AS DOUBLE)"
    cents = f"{number}::DECIMAL(24, {decimals})"
    exact = f"CASE WHEN abs({number} - {cents}::DOUBLE) < 1e-6 THEN {cents}::VARCHAR ELSE {raw} END"
    return f"CASE WHEN {currency} = {text(ours)} THEN {exact} ELSE {raw} || ' ' || {currency} END"


def _identifiers(project: Project, name: str, definition: ImportDefinition) -> dict[str, str]:
    if definition.identifiers:
        return dict(definition.identifiers)
    declared = project.get(IDENTIFIERS)
    found = {
        next(one for one in usual if one in declared): place
        for place, usual in USUAL.items()
        if any(one in declared for one in usual)
    }
    if not found:
        hint = 'name them, such as identifiers = { visitor = "user_pseudo_id" }'
        raise ProjectError("no identifier is mapped", f"imports.{name}.identifiers", hint)
    return found


def _events(
    project: Project, definition: ImportDefinition
) -> dict[str, tuple[str, EventDefinition]]:
    """Say which of Google's events are which of the project's."""
    declared = known_events(project)
    names = {theirs: ours for theirs, ours in NAMES.items() if ours in declared}
    names |= {name: name for name in declared if name not in RESERVED}
    names |= definition.names
    return {theirs: (ours, declared[ours]) for theirs, ours in names.items() if ours}

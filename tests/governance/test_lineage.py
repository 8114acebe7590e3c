"""The graph of all that is declared, from what happened to where a decision is shown."""

from __future__ import annotations

import pytest

from liftwerk.errors import UnknownName
from liftwerk.governance.lineage import lineage
from tests.governance.declared import declared


def ids(graph) -> set[str]:
    return {one.id for one in graph.nodes}


def test_a_placement_is_traced_to_the_properties_that_decide_it() -> None:
    graph = lineage(declared()).up("placements.mail")
    assert ids(graph) == {
        "events.order",
        "events.order.city",
        "events.order.revenue",
        "events.visit",
        "features.local",
        "features.visits",
        "features.local_share",
        "metrics.margin",
        "models.voucher",
        "policies.win_back",
        "placements.mail",
    }


def test_a_property_is_followed_to_all_that_is_made_of_it() -> None:
    graph = lineage(declared())
    assert ids(graph.down("events.order.city")) == {
        "events.order.city",
        "features.local",
        "features.local_share",
        "feature_views.crm",
        "models.voucher",
        "policies.win_back",
        "placements.mail",
    }
    assert "features.spend" not in ids(graph.around("events.order.city"))
    assert "events.order.unread" not in ids(graph)


def test_each_edge_says_why() -> None:
    why = {(one.source, one.target): one.why for one in lineage(declared()).edges}
    assert why["events.order.revenue", "features.spend"] == "takes the sum of it"
    assert why["events.order.city", "features.local"] == "counts where it holds"
    assert why["events.visit", "features.visits"] == "takes the count of it"
    assert why["metrics.margin", "policies.win_back"] == "increases it: its reward"
    assert ("events.order", "features.spend") not in why


def test_a_privacy_tag_is_the_strongest_of_all_that_it_is_made_of() -> None:
    tags = {one.id: one.privacy for one in lineage(declared()).nodes}
    assert tags["features.spend"] == tags["metrics.margin"] == "none"
    for name in ("features.local_share", "models.voucher", "placements.mail"):
        assert tags[name] == "personal"
    assert tags["feature_views.crm"] == "personal"


def test_a_node_is_found_by_its_name_where_only_one_is_called_so() -> None:
    graph = lineage(declared(features__win_back={"entity": "customer", "expression": "visits"}))
    assert graph.find("spend").id == graph.find("features.spend").id == "features.spend"
    assert graph.find("order.city").kind == "property"
    with pytest.raises(UnknownName, match=r"write features\.win_back or policies\.win_back"):
        graph.find("win_back")
    with pytest.raises(UnknownName, match="did you mean 'spend'"):
        graph.find("spent")


def test_edges_go_one_way() -> None:
    graph = lineage(declared())
    for node in graph.nodes:
        assert ids(graph.up(node.id)) & ids(graph.down(node.id)) == {node.id}


EXPERIMENT = {
    "design": "ab",
    "description": "Ten off",
    "placement": "mail",
    "arms": {"none": {}, "ten": {"action": "ten"}},
    "metrics": ["margin"],
    "counter_metrics": {"orders": "5%"},
    "covariates": ["spend"],
    "segments": ["local_share"],
    "purpose": "personalisation",
    "exposure": "visit",
}
ORDERS = {"description": "x", "from": "order", "aggregate": "count", "within": "14d"}
TWICE = {"description": "x", "formula": "2 * margin"}
POSTERS = {
    "design": "geo",
    "description": "Posters",
    "geo": "city",
    "arms": {"none": {}, "large": {"geos": ["Graz"]}},
    "metrics": ["twice"],
    "purpose": "personalisation",
}


def test_whoever_changes_a_property_sees_which_experiments_it_would_spoil() -> None:
    graph = lineage(
        declared(
            experiments={"discount": EXPERIMENT, "posters": POSTERS},
            metrics__orders=ORDERS,
            metrics__twice=TWICE,
        )
    )
    assert {"metrics.margin", "experiments.discount", "experiments.posters"} <= ids(
        graph.down("events.order.revenue")
    )
    assert "experiments.discount" in ids(graph.down("events.visit"))
    why = {(one.source, one.target): one.why for one in graph.edges}
    told = {source: words for (source, target), words in why.items() if "discount" in target}
    assert told == {
        "metrics.margin": "is judged by it",
        "metrics.orders": "must not make it worse",
        "features.spend": "takes out what it explains",
        "features.local_share": "is broken down by it",
        "events.visit": "takes from it who met an arm",
    }
    assert why["experiments.discount", "placements.mail"] == "shows its arms"
    # The region is a property of the events behind the metric of a metric.
    assert why["events.order.city", "experiments.posters"] == "takes the region from it"
    assert graph.find("posters").privacy == "personal"

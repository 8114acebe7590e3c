"""Pages of geo tests and switchbacks: pictures hold what their tables say, and all of it is CSV."""

from __future__ import annotations

import csv
import html
import io
import re
import xml.etree.ElementTree as ElementTree
from collections import Counter

import pytest
from litestar.testing import TestClient
from msgspec import structs

from liftwerk.experiments.geo.results import GeoReading
from liftwerk.experiments.reading import plain
from liftwerk.server import geo_figures, once, turn_figures
from liftwerk.stats.estimate import Unknown
from tests.server import made_up_experiments as made_up

LABELS = {"usual": "2.90", "dearer": "3.90"}
FEW = Unknown("too few other markets", "five of them")


def words_of(page: str) -> str:
    """Return a page's words as one line."""
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page)))


@pytest.mark.parametrize("name", ["autumn_mail", *made_up.ONCE])
def test_every_figure_is_given_as_csv_and_every_query_has_its_name(
    client: TestClient, name: str
) -> None:
    page = client.get(f"/experiments/{name}").text
    links = re.findall(r'href="(/v1/experiments/[^"]+)"', page)
    assert len(set(links)) == len(links) >= 5
    for link in links:
        answer = client.get(link)
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        rows = list(csv.reader(io.StringIO(answer.text)))
        assert len(rows) > 1
        assert len({len(row) for row in rows}) == 1
    named = [words_of(one) for one in re.findall(r"<summary>(.*?)</summary>", page)]
    assert max(Counter(named).values()) == 1
    assert any(one.startswith("The query behind it: order_completed") for one in named)


def test_a_share_is_of_customers_and_a_mean_is_a_customers(client: TestClient) -> None:
    said = words_of(client.get("/experiments/autumn_mail").text)
    assert "ordered control 3.10% of customers" in said
    assert "control EUR 2.100 a customer" in said
    assert "% a customer" not in said


def test_the_verdict_and_its_figures_are_told(client: TestClient) -> None:
    said = words_of(client.get("/experiments/radio").text)
    for words in (
        "in all markets and days +4,667 units between +527 and +8,807",
        "for each unit of money spent +0.930 between +0.100 and +1.760",
        "a market and day, second opinion +171.2 units",
        "2,898 units a market and day, without it 2,742 units",
        "Planned for 28 days.",
        "experiment:radio sales",
    ):
        assert words in said
    said = words_of(client.get("/experiments/turns").text)
    assert "EUR +4.700 between +1.600 and +7.800" in said
    assert "ship" in words_of(client.get("/experiments").text)


def test_what_is_unknown_is_said_and_not_drawn() -> None:
    cell = structs.replace(made_up.cell(), effect=FEW, incremental=FEW, lift=FEW, p_value=None)
    reading, by_metric = made_up.once("radio")
    unknown = GeoReading("x", *cell.series.days[60::14], 0.95, 38, (cell,))
    (part,) = once.parts(plain(reading), {**by_metric, "sales": unknown})
    assert part["answers"][0] == {
        "name": "a market and day",
        "amount": None,
        "why": "because too few other markets; it would take five of them",
    }
    assert 'class="band"' in geo_figures.picture(made_up.cell())
    assert 'class="band"' not in part["pictures"][0]
    rows = once.tables(plain(reading), {"sales": unknown})["answers"].rows
    assert rows[0] == ("sales", "radio", "a market and day", None, None, None, "unknown")


@pytest.mark.parametrize("width", [turn_figures.WIDE, turn_figures.NARROW])
def test_each_block_is_drawn_once_inside_the_picture(width: int) -> None:
    found = made_up.blocks()
    drawn = ElementTree.fromstring(turn_figures.picture(found, LABELS, width))
    turns = [one for one in drawn.iter("rect") if one.get("class", "").startswith("turn")]
    kinds = Counter(one.attrib["class"] for one in turns)
    arms = Counter(turn.arm for turn in found.turns)
    assert kinds == {"turn arm-0": arms["usual"], "turn arm-1": arms["dearer"]}
    shaded = [one for one in drawn.iter("rect") if one.get("class") == "test"]
    assert len(shaded) == len(found.turns)
    means = [one for one in drawn.iter("line") if one.get("class", "").startswith("arm ")]
    assert len(means) == len(found.turns)
    for one in (*turns, *shaded):
        left = float(one.attrib["x"])
        assert left >= turn_figures.LEFT - 0.1
        assert left + float(one.attrib["width"]) <= width - turn_figures.RIGHT + 0.6
    # The first block's settled part begins an hour after it does.
    assert float(turns[0].attrib["x"]) >= float(shaded[0].attrib["x"])
    highest = max(found.turns, key=lambda turn: turn.value or 0.0)
    top = min(means, key=lambda one: float(one.attrib["y1"]))
    kind = list(LABELS).index(str(highest.arm))
    assert top.attrib["class"] == f"arm arm-{kind}"


def test_of_very_many_blocks_the_last_are_drawn_and_all_are_in_the_table() -> None:
    found = made_up.blocks()
    length = found.turns[-1].ends - found.turns[0].begins
    later = [
        structs.replace(
            turn,
            begins=turn.begins + length,
            counted=turn.counted + length,
            ends=turn.ends + length,
        )
        for turn in found.turns
    ]
    many = structs.replace(found, turns=(*found.turns, *later) * 2)
    assert len(turn_figures.shown(many)) == turn_figures.MOST < len(many.turns)
    assert len(turn_figures.table(many, LABELS).rows) == len(many.turns)
    reading, _ = made_up.once("turns")
    (part,) = once.parts(plain(reading), {"margin": many})
    assert part["note"] == f"{len(many.turns) - turn_figures.MOST} earlier blocks are in the table."

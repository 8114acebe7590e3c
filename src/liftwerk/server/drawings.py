"""What ``charts.js`` draws: positions as numbers, everything that is read already written.

The server writes all words and numbers (`liftwerk.server.format`), the browser only places them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from liftwerk.server import figures
from liftwerk.server import format as fmt

Json = dict[str, Any]


def qini(action: str, outcome: str, charts: Mapping[str, Any]) -> Json | None:
    """Describe a Qini curve with its band and the line of choosing by lot; None if unknown."""
    curve = charts["qini"][action][outcome]
    if "share" not in curve:
        return None
    table = figures.qini(action, outcome, curve, charts)
    write = table.columns[1].write
    unit = curve["unit"]
    digits = figures.effect_digits(unit, [*curve["low"], *curve["high"]])
    texts = [
        [
            f"{fmt.share(row[0], 0)} treated",
            write(row[1]),
            fmt.span(row[2], row[3], unit, digits),
        ]
        for row in table.rows
    ]
    last = table.rows[-1]
    return {
        "kind": "qini",
        "id": table.name,
        "x": [row[0] for row in table.rows],
        "line": [row[1] for row in table.rows],
        "low": [row[2] for row in table.rows],
        "high": [row[3] for row in table.rows],
        "lot": [[0, 0], [last[0], last[1]]],
        **scale(_heights_of_curves(charts["qini"], outcome), unit),
        "texts": texts,
        "names": {"x": "Share treated, most responsive first", "line": "By model", "lot": "By lot"},
        "words": f"{table.title}. At the end of the curve, with all treated: {write(last[1])}, "
        f"{fmt.span(last[2], last[3], unit, digits)}.",
    }


def by_decile(action: str, outcome: str, charts: Mapping[str, Any]) -> Json | None:
    """Describe uplift by decile, predicted against observed; None if unknown."""
    deciles = charts["deciles"][action][outcome]
    if not isinstance(deciles, list):
        return None
    table = figures.by_decile(action, outcome, deciles, charts)
    write = table.columns[2].write
    unit = figures.unit_of(action, outcome, charts)
    digits = figures.effect_digits(unit, [row[key] for row in deciles for key in ("low", "high")])
    texts = [
        [
            f"Tenth {row['decile']} of {len(deciles)}, {fmt.number(row['n'])} customers",
            f"predicted {write(row['predicted'])}",
            f"observed {write(row['observed'])}",
            fmt.span(row["low"], row["high"], unit, digits),
        ]
        for row in deciles
    ]
    inside = sum(1 for row in deciles if row["low"] <= row["predicted"] <= row["high"])
    return {
        "kind": "deciles",
        "id": table.name,
        "x": [str(row["decile"]) for row in deciles],
        "predicted": [row["predicted"] for row in deciles],
        "observed": [row["observed"] for row in deciles],
        "low": [row["low"] for row in deciles],
        "high": [row["high"] for row in deciles],
        **scale(_heights_of_deciles(charts["deciles"], outcome), unit),
        "texts": texts,
        "names": {
            "x": "Tenths of the customers, highest predicted uplift first",
            "predicted": "Predicted",
            "observed": "Observed",
        },
        "words": f"{table.title}. In {inside} of {len(deciles)} tenths the prediction lies inside "
        "the interval of what was observed.",
    }


def profit(charts: Mapping[str, Any]) -> Json | None:
    """Describe profit against the share treated, with the policies as marks; None if unknown."""
    curve = charts.get("profit_curve", {})
    if "share" not in curve:
        return None
    currency = charts["project"]["currency"]
    table = figures.profit(curve, currency)
    write = table.columns[1].write
    places: dict[tuple[float, float], list[str]] = {}
    for name, share, value in figures.profit_marks(curve, charts, currency).rows:
        # What was done by lot is the uniform policy: one mark for policies in one place.
        places.setdefault((round(share, 6), round(value, 6)), []).append(name)
    marks = [
        {"at": list(place), "name": " = ".join(names), "text": write(place[1])}
        for place, names in places.items()
    ]
    heights = [*curve["low"], *curve["high"], *(mark["at"][1] for mark in marks)]
    digits = fmt.decimals([*curve["low"], *curve["high"]])
    written = [
        (row[0], row[1], fmt.number(row[2], digits), fmt.number(row[3], digits))
        for row in table.rows
    ]
    best = max(written, key=lambda row: row[1])
    texts = [
        [f"{fmt.share(row[0], 0)} treated", write(row[1]), f"between {row[2]} and {row[3]}"]
        for row in written
    ]
    return {
        "kind": "profit",
        "id": table.name,
        "x": [row[0] for row in table.rows],
        "line": [row[1] for row in table.rows],
        "low": [row[2] for row in table.rows],
        "high": [row[3] for row in table.rows],
        "marks": marks,
        **scale(heights, currency),
        "texts": texts,
        "names": {"x": "Share treated, largest expected gain first", "line": "Best for the share"},
        "words": f"{table.title}. The curve is highest at {fmt.share(best[0], 0)} treated: "
        f"{write(best[1])} a customer, between {best[2]} and {best[3]}.",
    }


def scale(values: Iterable[float], unit: str) -> Json:
    """Choose a height from one round number to another, with some five written ticks between.

    Examples
    --------
    >>> chosen = scale([0.0, 0.093], "share")
    >>> chosen["range"], [tick["text"] for tick in chosen["axis"]]
    ([0.0, 0.1], ['0', '2', '4', '6', '8', '10'])
    """
    heights = list(values)
    factor = 1.0
    if unit == "share":
        factor = 100.0
    low = min(heights) * factor
    high = max(heights) * factor
    width = high - low
    if width <= 0:
        width = max(abs(high), 1.0)
    step = _step(width)
    first = math.floor(low / step + 1e-9)
    last = max(math.ceil(high / step - 1e-9), first + 1)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    axis = [
        {"at": index * step / factor, "text": fmt.number(index * step, digits)}
        for index in range(first, last + 1)
    ]
    return {"range": [axis[0]["at"], axis[-1]["at"]], "step": step / factor, "axis": axis}


def _step(width: float) -> float:
    """Choose 1, 2 or 5 times a power of ten, for at most five steps and a bit."""
    power = 10.0 ** math.floor(math.log10(width / 5))
    for factor in (1, 2, 5):
        if factor * power * 5 >= width * (1 - 1e-9):
            return factor * power
    return 10 * power


def _heights_of_curves(curves: Mapping[str, Mapping[str, Any]], outcome: str) -> list[float]:
    """Collect all actions' heights of an outcome: on one scale they can be compared."""
    known = [each[outcome] for each in curves.values() if "share" in each.get(outcome, {})]
    return [value for curve in known for value in [0.0, *curve["low"], *curve["high"]]]


def _heights_of_deciles(charts: Mapping[str, Mapping[str, Any]], outcome: str) -> list[float]:
    known = [each[outcome] for each in charts.values() if isinstance(each.get(outcome), list)]
    rows: Sequence[Mapping[str, Any]] = [row for deciles in known for row in deciles]
    return [0.0, *(row[key] for row in rows for key in ("low", "high", "predicted"))]


def because_of(figure: Any) -> str:
    """Say why a figure is not drawn."""
    if isinstance(figure, Mapping):
        return fmt.because(figure)
    return fmt.because(None)

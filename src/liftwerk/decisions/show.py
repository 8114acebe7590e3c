"""A report for a notebook: the policies with their intervals, as a table and as a drawing."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

WIDTH, ROW, LEFT, RIGHT = 720, 26, 150, 40


def report_html(document: Mapping[str, Any], currency: str) -> str:
    """Lay out the policies' values as an HTML table.

    Examples
    --------
    >>> figure = {"dr": {"value": 0.1, "low": 0.0, "high": 0.2}}
    >>> "<td>0.100</td>" in report_html({"policies": {"learned": figure}}, "USD")
    True
    """
    rows = [
        f"<tr><th>{escape(name)}</th>{_cells(figures['dr'])}</tr>"
        for name, figures in document["policies"].items()
    ]
    head = f"<tr><th>policy</th><th>{escape(currency)} per customer</th><th>95%</th></tr>"
    return f"<table>{head}{''.join(rows)}</table>"


def report_svg(document: Mapping[str, Any], currency: str) -> str:
    """Draw each policy's value as a point on its interval, on one axis.

    Examples
    --------
    >>> figure = {"dr": {"value": 0.1, "low": 0.0, "high": 0.2}}
    >>> report_svg({"policies": {"learned": figure}}, "USD").startswith("<svg")
    True
    """
    figures = {name: one["dr"] for name, one in document["policies"].items()}
    known = {name: one for name, one in figures.items() if "value" in one}
    bounds = [one[key] for one in known.values() for key in ("low", "high")]
    low, high = min(bounds, default=0.0), max(bounds, default=1.0)
    scale = (WIDTH - LEFT - RIGHT) / max(high - low, 1e-12)
    parts = []
    for row, (name, one) in enumerate(figures.items()):
        y = ROW * (row + 1)
        parts.append(f'<text x="{LEFT - 10}" y="{y + 4}" text-anchor="end">{escape(name)}</text>')
        if name not in known:
            parts.append(f'<text x="{LEFT}" y="{y + 4}">unknown</text>')
            continue
        start, middle, end = (LEFT + (one[key] - low) * scale for key in ("low", "value", "high"))
        parts.append(f'<path d="M{start:.1f} {y}H{end:.1f}" stroke="currentColor"/>')
        parts.append(f'<circle cx="{middle:.1f}" cy="{y}" r="4" fill="currentColor"/>')
    bottom = ROW * (len(figures) + 1)
    parts.append(f'<text x="{LEFT}" y="{bottom + 8}">{low:.3f}</text>')
    label = f"{high:.3f} {escape(currency)} per customer"
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{bottom + 8}" text-anchor="end">{label}</text>')
    style = "font:13px system-ui,sans-serif"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 16}" '
        f'style="{style}" fill="currentColor" role="img">{"".join(parts)}</svg>'
    )


def _cells(figure: Mapping[str, Any]) -> str:
    if "value" not in figure:
        return f'<td colspan="2">unknown, because {escape(str(figure["unknown"]))}</td>'
    return f"<td>{figure['value']:.3f}</td><td>{figure['low']:.3f} to {figure['high']:.3f}</td>"

"""Which markets get what: one cell for each arm, all compared with the same other markets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from liftwerk.errors import ProjectError
from liftwerk.experiments.definition import ExperimentDefinition

ONE = "treated"
"""Name of the only cell."""


def parse(treated: str | None, cells: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Read cells as they are typed.

    Parameters
    ----------
    treated : str or None
        Markets of the only cell, with commas between.
    cells : sequence of str
        ``NAME=MARKET,MARKET``, one for each cell.

    Returns
    -------
    dict of str to tuple of str

    Raises
    ------
    ProjectError
        If nothing is treated, both forms are used, or a market is in two cells.

    Examples
    --------
    >>> parse("chicago,portland", [])
    {'treated': ('chicago', 'portland')}
    >>> parse(None, ["tv=chicago", "radio=portland, reno"])
    {'tv': ('chicago',), 'radio': ('portland', 'reno')}
    """
    if treated is not None and cells:
        raise ProjectError("--treated and --cell together", "the command line", "use one of them")
    found: dict[str, tuple[str, ...]] = {}
    if treated is not None:
        found[ONE] = _names(treated)
    for text in cells:
        name, equals, markets = text.partition("=")
        if not equals or not name.strip() or "/" in name:
            hint = "write NAME=MARKET,MARKET, the name without a slash"
            raise ProjectError(f"cell {text!r} has no name", "--cell", hint)
        if name.strip() in found:
            hint = "give each its own name"
            raise ProjectError(f"two cells are called {name.strip()!r}", "--cell", hint)
        found[name.strip()] = _names(markets)
    check(found, "the command line")
    return found


def of_arms(experiment: ExperimentDefinition) -> dict[str, tuple[str, ...]]:
    """Take the cells of a declared geo experiment: all arms but control.

    Parameters
    ----------
    experiment : ExperimentDefinition
        With ``design = "geo"``.

    Returns
    -------
    dict of str to tuple of str
        Control has all markets that no other arm names.
    """
    return {name: arm.geos for name, arm in experiment.arms.items() if name != experiment.control}


def check(cells: Mapping[str, Sequence[str]], where: str) -> None:
    """Refuse cells that are empty, or share a market.

    Raises
    ------
    ProjectError
    """
    if not cells:
        hint = "name the markets: --treated chicago,portland"
        raise ProjectError("no market is treated", where, hint)
    owner: dict[str, str] = {}
    for cell, markets in cells.items():
        if not markets:
            raise ProjectError(f"cell {cell!r} has no markets", where, "name at least one")
        for market in markets:
            if market in owner:
                hint = "a market can have one treatment only"
                both = f"cells {owner[market]!r} and {cell!r}"
                if owner[market] == cell:
                    both = f"cell {cell!r} twice"
                raise ProjectError(f"market {market!r} is in {both}", where, hint)
            owner[market] = cell


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())

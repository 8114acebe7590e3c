"""`geo`: tests in some markets, planned on their history and read from a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from liftwerk.cli import progress, show
from liftwerk.cli.app import DEFAULTS, Common, app, emit, out
from liftwerk.errors import ProjectError
from liftwerk.lazy import LazyModule
from liftwerk.server import format as fmt
from liftwerk.server import words

if TYPE_CHECKING:
    import numpy as np

    from liftwerk.definitions import typed
    from liftwerk.experiments.geo import cells as given
    from liftwerk.experiments.geo import file, results
    from liftwerk.experiments.geo import plan as planning
    from liftwerk.experiments.geo import read as reading
    from liftwerk.server import geo_figures
    from liftwerk.stats import estimate
    from liftwerk.store import durable
else:
    np = LazyModule("numpy")
    typed = LazyModule("liftwerk.definitions.typed")
    given = LazyModule("liftwerk.experiments.geo.cells")
    file = LazyModule("liftwerk.experiments.geo.file")
    planning = LazyModule("liftwerk.experiments.geo.plan")
    reading = LazyModule("liftwerk.experiments.geo.read")
    geo_figures = LazyModule("liftwerk.server.geo_figures")
    estimate = LazyModule("liftwerk.stats.estimate")
    durable = LazyModule("liftwerk.store.durable")

BLOCKS = "▁▂▃▄▅▆▇█"
UNBELIEVABLE = 1e15
WIDE = 60
HEAVIEST = 5
SHOWN = 12

geo = App(
    name="geo",
    help="Tests in some markets: planned on their history, read from a file.",
    help_format="plaintext",
    group="Measurement",
)
app.command(geo)


@Parameter(name="*")
@dataclass(frozen=True)
class Columns:
    """Which columns of the file hold what; by default those with a usual name.

    Parameters
    ----------
    geo
        The column of the market.
    day
        The column of the day.
    value
        The column of the outcome.
    spend
        The column of what was spent.
    """

    geo: str | None = None
    day: str | None = None
    value: str | None = None
    spend: str | None = None

    def named(self) -> dict[str, str | None]:
        """Give them by role."""
        return {"geo": self.geo, "day": self.day, "value": self.value, "spend": self.spend}


USUAL = Columns()


@geo.command(name="read")
def read_(
    source: Path,
    /,
    *,
    start: Annotated[date, Parameter(name="--from")],
    end: Annotated[date, Parameter(name="--to")],
    treated: str | None = None,
    cell: list[str] | None = None,
    cost: str | None = None,
    without: str = "",
    level: str = "95%",
    svg: Path | None = None,
    csv: Path | None = None,
    seed: int = 0,
    columns: Columns = USUAL,
    common: Common = DEFAULTS,
) -> None:
    """Read a finished test without its design file.

    Parameters
    ----------
    source
        A CSV or Parquet file with a row a market and day.
    start
        First day of the test.
    end
        Last day of the test.
    treated
        The markets that got the action, with commas between.
    cell
        NAME=MARKET,MARKET for each arm, where there are several.
    cost
        What the test cost; NAME=AMOUNT,NAME=AMOUNT where there are several cells.
    without
        Markets to leave out, with commas between.
    level
        Of the intervals.
    svg
        Draw treated against counterfactual into this file (of several cells: one each).
    csv
        Write what is drawn into this file (of several cells: one each).
    seed
        Of the second opinion's placebos.
    """
    cells = given.parse(treated, cell or [])
    costs = _costs(cost, cells)
    for target in (svg, csv):
        if target is not None and target.resolve() == source.resolve():
            raise ProjectError("it would be written over", str(source), "name another file")
    markets = file.read_file(source, columns.named()).without(_listed(without))
    found = reading.read(
        markets,
        cells,
        start,
        end,
        rng=np.random.default_rng(seed),
        spend=costs,
        level=_share(level, "--level"),
    )
    for one in found.cells:
        if svg is not None:
            _write(svg, one.cell, len(cells), geo_figures.alone(one))
        if csv is not None:
            _write(csv, one.cell, len(cells), geo_figures.table(one).csv())
    emit(common, found, lambda: show_reading(found))


@geo.command(name="plan")
def plan_(
    source: Path,
    /,
    *,
    effect: str,
    until: date | None = None,
    days: str = "14,28",
    markets: str = "1,2,3,4",
    power: str = "80%",
    level: str = "95%",
    include: str = "",
    exclude: str = "",
    without: str = "",
    largest_share: str = "50%",
    price: str | None = None,
    draws: int = 1_000,
    seed: int = 0,
    columns: Columns = USUAL,
    common: Common = DEFAULTS,
) -> None:
    """Find markets and a length that can show an effect; exit 1 when none can.

    Parameters
    ----------
    source
        A CSV or Parquet file with a row a market and day, of a time without a test.
    effect
        The lift that is to be found, such as 5%.
    until
        The last day of the history; by default all of the file is.
    days
        Lengths to choose from, in rows of the file, with commas between.
    markets
        Numbers of treated markets to choose from, with commas between.
    power
        How often such an effect shall be found.
    level
        Of the intervals.
    include
        Markets that have to be treated, with commas between.
    exclude
        Markets that may not be treated but may stand in for others.
    without
        Markets to leave out altogether.
    largest_share
        The treated markets' part of the whole outcome, at most.
    price
        What one more unit of the outcome costs: then the plan says what the test would.
    draws
        Placebo tests to simulate.
    seed
        Of their draws.
    """
    paid = None
    if price is not None:
        paid = _amount(price, "--price")
    wish = planning.Wish(
        lift=_share(effect, "--effect"),
        days=_numbers(days, "--days"),
        sizes=_numbers(markets, "--markets"),
        power=_share(power, "--power"),
        level=_share(level, "--level"),
        required=_listed(include),
        excluded=_listed(exclude),
        largest_share=_share(largest_share, "--largest-share"),
        price=paid,
        draws=_positive(draws),
    )
    history = file.read_file(source, columns.named()).without(_listed(without))
    if until is not None:
        history = history.until(until)
    with progress.steps() as tell:
        found = planning.plan(history, wish, np.random.default_rng(seed), tell)
    emit(common, found, lambda: _show_plan(found))


def show_reading(found: results.GeoReading) -> None:
    """Print a reading for people."""
    out.print(f"{found.source}: {found.start} to {found.end}", markup=False, soft_wrap=True)
    for one in found.cells:
        out.print()
        figures = {
            "a market and day": one.effect,
            "in all": one.incremental,
            "lift": one.lift,
        }
        if one.roas is not None:
            figures["incremental ROAS"] = one.roas
        figures["second opinion"] = one.second
        rows = [[name, *_figure(name, answer)] for name, answer in figures.items()]
        out.print(f"{one.cell}: {', '.join(one.markets)}", style="bold", markup=False)
        show.table("", ["added", "value#", f"{fmt.share(found.level, 0)} interval", ""], rows)
        if one.p_value is not None:
            out.print(f"p = {one.p_value:.3f} that nothing was added (by the interval's method)")
        out.print()
        gap = geo_figures.gaps(one)
        out.print(f"seen      {sparkline(one.series.treated)}", markup=False)
        out.print(f"would be  {sparkline(one.series.counterfactual)}", markup=False)
        out.print(f"gap       {sparkline(gap)}", markup=False)
        ruler = "".join(" " if place < one.series.before else "─" for place in _bins(len(gap)))
        out.print(f"test      {ruler}", markup=False)
        heaviest = list(one.weights.items())[:HEAVIEST]
        named = ", ".join(f"{name} {fmt.share(weight)}" for name, weight in heaviest)
        out.print(f"made of {len(one.weights)} of {found.others} markets: {named} …", markup=False)
        rows = [
            [check.name, show.verdict(_WORDS[check.state]), check.words] for check in one.checks
        ]
        show.table("Checks", ["", "", ""], rows)


_WORDS = {"ok": "passed", "alarm": "warning", "unknown": "unknown"}


def _figure(name: str, answer: estimate.Estimate | estimate.Unknown) -> list[object]:
    if isinstance(answer, estimate.Unknown):
        return ["unknown", f"{answer.reason}; it takes {answer.needs}", ""]
    numbers = (answer.value, answer.low, answer.high)
    if name == "lift":
        value, low, high = (f"{fmt.number(100 * number, 1, sign=True)}%" for number in numbers)
    else:
        digits = fmt.decimals(numbers)
        value, low, high = (fmt.number(number, digits, sign=True) for number in numbers)
    verdict = words.verdict({"value": answer.value, "low": answer.low, "high": answer.high})
    return [value, f"{low} to {high}", show.verdict(verdict)]


def _show_plan(found: results.GeoPlan) -> None:
    rows = []
    for option in found.options[:SHOWN]:
        # An option that is listed finds the lift that was asked for, if no smaller one.
        least = found.lift
        if option.detectable is not None:
            least = option.detectable
        row: list[object] = [
            ", ".join(option.markets),
            option.days,
            fmt.share(least),
            fmt.share(option.power, 0),
            sparkline([point.power for point in option.curve], low=0.0, high=1.0),
            fmt.share(option.false_alarms, 0),
            fmt.share(option.share),
            fmt.number(option.imbalance, 2),
        ]
        if option.cost is not None:
            row.append(fmt.number(option.cost))
        rows.append(row)
    lift = fmt.share(found.lift)
    columns = ["treated", "days#", "finds from#", f"power at {lift}#", "power", "false alarms#"]
    columns += ["outcome#", "imbalance#"]
    if found.options[0].cost is not None:
        columns.append("cost#")
    title = f"Tests that find {lift} with {fmt.share(found.power, 0)} power, the keenest first"
    show.table(title, columns, rows)
    left = len(found.options) - SHOWN
    if left > 0:
        out.print(f"and {left} more: --json has all")
    out.print(
        f"{fmt.number(found.draws)} placebo tests in the history; "
        "of many options the best looks a little better than it is"
    )


def sparkline(values: Sequence[float], low: float | None = None, high: float | None = None) -> str:
    """Draw values as a line of blocks, at most `WIDE` of them.

    Examples
    --------
    >>> sparkline([0.0, 1.0, 2.0, 3.0])
    '▁▃▆█'
    """
    kept = [values[place] for place in _bins(len(values))]
    if low is None:
        low = min(kept)
    if high is None:
        high = max(kept)
    room = high - low
    if room <= 0.0:
        return BLOCKS[0] * len(kept)
    last = len(BLOCKS) - 1
    return "".join(BLOCKS[round(last * (value - low) / room)] for value in kept)


def _bins(days: int) -> list[int]:
    """Choose the days that are drawn: all, or the last and as many as have room evenly before."""
    if days <= WIDE:
        return list(range(days))
    return [round(place * (days - 1) / (WIDE - 1)) for place in range(WIDE)]


def _write(path: Path, cell: str, cells: int, text: str) -> None:
    """Write a file whole or not at all."""
    if cells > 1:
        path = path.with_name(f"{path.stem}-{cell}{path.suffix}")
    durable.write_atomically(path, text.encode(), path.with_name(f".{path.name}.part"))


def _costs(text: str | None, cells: Mapping[str, object]) -> dict[str, float] | None:
    if text is None:
        return None
    found: dict[str, float] = {}
    for part in text.split(","):
        name, equals, amount = part.rpartition("=")
        if not equals and len(cells) == 1:
            name = next(iter(cells))
        if name.strip() not in cells:
            hint = f"write NAME=AMOUNT with the cells: {', '.join(cells)}"
            raise ProjectError(f"no cell is called {name.strip()!r}", "--cost", hint)
        found[name.strip()] = _amount(amount, "--cost")
    return found


def _amount(text: str, where: str) -> float:
    try:
        amount = float(text)
    except ValueError:
        amount = 0.0
    if not 0.0 < amount < UNBELIEVABLE:
        raise ProjectError(f"{text!r} is no amount above 0", where, "write 5000")
    return amount


def _listed(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _numbers(text: str, where: str) -> tuple[int, ...]:
    try:
        found = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ProjectError(f"{text!r} are not whole numbers", where, "write 14,28") from None
    if min(found) < 1:
        raise ProjectError(f"{text!r} holds less than 1", where, "write 1 or more")
    return found


def _share(text: str, where: str) -> float:
    try:
        found = float(typed.Share(text).exact)
    except ValueError as error:
        raise ProjectError(f"{text!r} is no share", where, str(error)) from None
    if not 0.0 < found < 1.0:
        if where == "--largest-share" and found == 1.0:
            return found
        raise ProjectError(f"{text!r} is out of range", where, "write more than 0%, less than 100%")
    return found


def _positive(draws: int) -> int:
    if draws < 1:
        raise ProjectError(f"{draws} draws say nothing", "--draws", "write 1000")
    return draws

"""The project file of a trial, with what a file cannot say marked "PLEASE CHECK"."""

from __future__ import annotations

from msgspec import Struct

from liftwerk.connectors.trial import words
from liftwerk.connectors.trial.history import Known
from liftwerk.connectors.trial.look import Look
from liftwerk.connectors.trial.names import (
    CONVERSION,
    HISTORY,
    MARGIN,
    MODEL,
    ORDER,
    PLACEMENT,
    POLICY,
    SPEND,
    Names,
)
from liftwerk.connectors.trial.outcomes import Binary
from liftwerk.connectors.trial.toml import Page, inline, sized, string, strings
from liftwerk.connectors.trial.understand import Trial
from liftwerk.money import exponent

KNOWN_AT, SENT_AT = "2024-01-01T00:00:00Z", "2024-01-15T12:00:00Z"
SEEN_AT, ORDERED_AT = "2024-01-15T18:00:00Z", "2024-01-16T00:00:00Z"
"""A file without times gets these: within a day of the action, so that any window holds them."""

ONE = "1.00"
"""What an outcome is worth where the file has no money."""

_EXPLORED = 0.05
_HALVES = 2


class Written(Struct, frozen=True):
    """A project file.

    Attributes
    ----------
    text : str
        TOML.
    questions : tuple of str
        What is marked "PLEASE CHECK" in it.
    """

    text: str
    questions: tuple[str, ...]


def written(trial: Trial, look: Look, name: str, data: str) -> Written:
    """Write the project file.

    Parameters
    ----------
    trial : Trial
        What the file says.
    look : Look
        How it was read.
    name : str
        The project's name.
    data : str
        Where the data stand, relative to the project's folder.

    Returns
    -------
    Written
    """
    page = Page()
    names = Names(trial)
    _project(page, trial, look, name)
    _purposes(page)
    _events(page, trial, look, names)
    _import(page, trial, look, names, data)
    _features(page, trial, names)
    _metrics(page, trial, names)
    _decisions(page, trial, names)
    return Written(page.text, tuple(page.questions))


def _project(page: Page, trial: Trial, look: Look, name: str) -> None:
    page.note(f"Proposed from {look.file.name}: {look.rows:,} rows, {len(trial.arms)} arms.")
    page.note('Runs as it stands. What a file cannot say is marked "PLEASE CHECK".')
    if trial.needs_copy:
        page.note("The copy of the data holds only the columns that are used.")
    for change in trial.changes:
        page.ask(f"in the copy of the data, {change}")
    page.lines += ["", "[project]"]
    page.set(name=string(name))
    if trial.currency_is_guess:
        page.ask(f"amounts are in {trial.currency}")
    page.set(currency=string(trial.currency), timezone='"UTC"')
    page.table("goal", metric=string(MARGIN), holdout='"5%"', salt=string(f"{name}-holdout-1"))


def _purposes(page: Page) -> None:
    page.title("what data may be used for")
    page.table("purposes.measurement", basis='"legitimate_interest"')
    page.set(description='"Count what the campaign did, in aggregates"')
    page.lines += ["", "[purposes.personalisation]"]
    page.ask(
        "you may learn from these rows on this ground; if it is consent, write that, and"
        " consent = { granted, version, at } in the import"
    )
    page.set(basis='"legitimate_interest"', withdrawal='"retroactive"')
    page.set(description='"Learn and choose what to do for whom"')


def _events(page: Page, trial: Trial, look: Look, names: Names) -> None:
    page.title("what happened")
    page.table("sources.trial", kind='"file"', trust='"import"')
    page.set(description='"The trial\'s result file"')
    page.table(f"identifiers.{names.identifier}")
    if names.identifier == "email":
        page.set(normalise='"email"', privacy='"personal"')
    else:
        page.set(normalise='"trim"', privacy='"pseudonymous"')
    page.set(description=string(f"{trial.key.name} in the file"))
    page.table(f"events.{HISTORY}", version="1")
    page.set(description='"What was known of a customer before the action"')
    page.table(f"events.{HISTORY}.properties")
    for one in trial.history.known:
        page.set(**{names.features[one.column.name]: _property(one, look.rows)})
    for left_out in trial.history.left_out:
        page.note(f"left out: {left_out.column}: {left_out.why}")
    for column, event in names.events.items():
        page.table(f"events.{event}", version="1", description=string(f"{column} in the file"))
    page.table(f"events.{ORDER}", version="1")
    page.set(description=string(f"A success: {trial.outcomes.order.column} in the file"))
    if names.has_order_id:
        page.set(unique='["order_id"]')
    revenue = {"type": '"money"'}
    money = trial.outcomes.money
    if money is None or money.low is None or money.low >= 0:
        revenue["minimum"] = '"0"'
    page.table(f"events.{ORDER}.properties")
    if names.has_order_id:
        page.set(order_id=inline(type='"string"', privacy='"pseudonymous"'))
    page.set(revenue=inline(**revenue))


def _property(one: Known, rows: int) -> str:
    said = {"type": string(one.kind)}
    if one.column.filled < rows:
        said["required"] = "false"
    return inline(**said, description=string(f"{one.column.name} in the file"))


def _import(page: Page, trial: Trial, look: Look, names: Names, data: str) -> None:
    page.title("how the file becomes events")
    page.table("imports.trial", source='"trial"', file=string(data), key=strings([trial.key.name]))
    page.set(identifiers=inline(**{names.identifier: string(trial.key.name)}))
    if not trial.needs_copy and look.format == "csv":
        if not data.lower().endswith((".csv", ".csv.gz")):
            page.set(format='"csv"')
        if look.delimiter != ",":
            page.set(delimiter=string(look.delimiter))
        if look.encoding != "utf-8":
            page.set(encoding=string(look.encoding))
    _event(page, HISTORY, KNOWN_AT)
    page.lines += ["[imports.trial.events.properties]"]
    for one in trial.history.known:
        page.set(**{names.features[one.column.name]: string(one.column.name)})
    page.lines.append("")
    page.ask("times are not in the file: every action is put here, outcomes within a day of it")
    _event(page, "decision_made", SENT_AT)
    page.set(placement=string(PLACEMENT))
    if trial.control_is_guess:
        page.ask(f"{trial.arms[0].level!r} is the control arm")
    levels = {string(arm.level): string(arm.action) for arm in trial.arms}
    page.set(action=inline(column=string(trial.arm.name), map=inline(**levels)))
    page.set(eligible=strings(arm.action for arm in trial.arms))
    page.ask(trial.chance.question)
    probability = string(trial.chance.value)
    if trial.chance.column:
        probability = inline(column=string(trial.chance.column))
    page.set(probability=probability)
    for outcome in trial.outcomes.binaries:
        page.lines.append("")
        page.ask(outcome.question)
        _answer(page, names.events[outcome.column], outcome, SEEN_AT)
    page.lines.append("")
    page.ask(trial.outcomes.order.question)
    page.ask(trial.outcomes.question)
    _answer(page, ORDER, trial.outcomes.order, ORDERED_AT)
    page.lines += ["[imports.trial.events.properties]"]
    if names.has_order_id:
        page.set(order_id=string(trial.key.name))
    if trial.outcomes.money is not None:
        page.set(revenue=string(trial.outcomes.money.name))
        return
    page.ask(f"no column says how much money: each {trial.outcomes.order.column} counts {ONE}")
    page.set(revenue=inline(value=string(_one(trial))))


def _event(page: Page, event: str, time: str) -> None:
    if page.lines[-1] and not page.lines[-1].startswith("# PLEASE"):
        page.lines.append("")
    page.lines.append("[[imports.trial.events]]")
    page.set(event=string(event), time=string(time))


def _answer(page: Page, event: str, one: Binary, time: str) -> None:
    _event(page, event, time)
    page.set(when=inline(column=string(one.column), equals=string(one.yes)))
    page.set(answers='"decision_made"')


def _features(page: Page, trial: Trial, names: Names) -> None:
    page.title("what is known")
    page.lines.append("")
    page.ask(trial.history.question)
    for one in trial.history.known:
        name = names.features[one.column.name]
        if page.lines[-1] and not page.lines[-1].startswith("# PLEASE"):
            page.lines.append("")
        page.lines.append(f"[features.{name}]")
        page.set(entity='"customer"', from_=string(HISTORY), aggregate='"last"')
        page.set(property=string(name), description=string(one.column.name))


def _metrics(page: Page, trial: Trial, names: Names) -> None:
    page.title("what counts")
    within = string(f"{trial.days}d")
    counted = dict(names.events.items())
    if CONVERSION in names.outcomes:
        counted[trial.outcomes.order.column] = CONVERSION
    for column, metric in counted.items():
        event = metric
        if metric == CONVERSION:
            event = ORDER
        page.table(f"metrics.{metric}", description=string(f"{column} in the file"))
        page.set(from_=string(event), aggregate='"any"', within=within, unit='"share"')
    unit = string(trial.currency)
    page.table(f"metrics.{SPEND}", description='"Spend after the action"', from_=string(ORDER))
    page.set(aggregate='"sum"', property='"revenue"', within=within, unit=unit)
    page.table(f"metrics.{MARGIN}", description='"Margin after the action, less its cost"')
    page.set(from_=string(ORDER), aggregate='"sum"', property='"revenue"')
    page.ask("your margin is this share of the spend; 100% counts the spend itself")
    page.set(multiply='"100%"', subtract='"action_cost"')
    if trial.days_is_guess:
        page.ask(f"outcomes were counted for {trial.days} days")
    page.set(within=within, unit=unit)


def _decisions(page: Page, trial: Trial, names: Names) -> None:
    page.title("what is likely, what to do")
    actions = [arm.action for arm in trial.arms]
    decimals = exponent(trial.currency)
    page.table(f"models.{MODEL}", kind='"uplift"', placement=string(PLACEMENT))
    page.set(outcomes=strings(names.outcomes), features=strings(names.features.values()))
    page.set(purpose='"personalisation"')
    page.ask("effects that differ by less than this between customers do not matter to you")
    spread = dict.fromkeys(names.outcomes, '"0.02"')
    spread[SPEND] = string(sized(trial.mean_spend, decimals))
    page.set(negligible=inline(**spread))
    free = string(f"{0:.{decimals}f}")
    for place, arm in enumerate(trial.arms):
        page.lines += ["", f"[actions.{arm.action}]"]
        page.set(label=string(arm.label))
        if place > 0:
            page.ask(f"{arm.label} costs nothing; otherwise write what doing it once costs")
        page.set(cost=free)
    channel = words.channel_of([trial.arm.name, *(arm.level for arm in trial.arms)])
    page.table(f"placements.{PLACEMENT}", channel=string(channel), control=string(actions[0]))
    page.table(f"policies.{POLICY}", placement=string(PLACEMENT), kind='"uplift"')
    page.set(model=string(MODEL), actions=strings(actions), reward=string(MARGIN))
    explored = min(_EXPLORED, 1 / (_HALVES * len(actions)))
    page.set(exploration=string(f"{explored:.3g}"))
    page.set(baselines=inline(**{f"{name}_to_all": string(name) for name in actions[1:]}))
    page.ask("a policy may lose at most this much a customer before it is stopped")
    page.set(gate=inline(margin=string(sized(trial.mean_spend / 10, decimals))))


def _one(trial: Trial) -> str:
    """Write one unit of the currency with its decimals."""
    return f"{1:.{exponent(trial.currency)}f}"

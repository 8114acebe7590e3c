"""The same few words for the same answers, and the report's headline as sentences.

A verdict is always word, sign and colour together, so that colour is never the only cue. The
headline is told in a fixed order: what the data could detect, then the answer, then how sure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from liftwerk.server import format as fmt


@dataclass(frozen=True)
class Word:
    """An answer's word, the sign and tone that always come with it, and what it means."""

    word: str
    sign: str
    tone: str
    meaning: str


WORDS = {
    "better": Word("better", "▲", "good", "the whole interval lies above zero"),
    "worse": Word("worse", "▼", "bad", "the whole interval lies below zero"),
    "unclear": Word("unclear", "◆", "open", "the interval includes zero"),
    "unknown": Word("unknown", "?", "none", "no honest number can be given"),
    "passed": Word("passed", "✓", "good", "the condition holds"),
    "failed": Word("failed", "✕", "bad", "the condition does not hold"),
    "blocked": Word("blocked", "✕", "bad", "the guardrail forbade the action"),
    "not checked": Word("not checked", "?", "none", "nothing was asked of it"),
    "yes": Word("yes", "✓", "good", "the effects differ between customers"),
    "no": Word("no", "=", "none", "any difference is smaller than what was called negligible"),
    "sending": Word("sending", "✓", "good", "events come as they used to"),
    "silent": Word("silent", "✕", "bad", "events that were usual at this time do not come"),
    "held": Word("held", "!", "open", "its values stay at their last good state"),
    "warning": Word("warning", "!", "open", "look at it when there is time"),
    "ok": Word("ok", "✓", "good", "nothing was found that would spoil the answer"),
    "alarm": Word("alarm", "✕", "bad", "something was found that spoils the answer"),
    "changed": Word("changed", "!", "open", "declared otherwise than it was registered"),
    "ship": Word("ship", "▲", "good", "give it to everybody"),
    "stop": Word("stop", "■", "bad", "end it: it does not add what it should"),
    "keep running": Word("keep running", "◆", "open", "not decided yet"),
    "do not trust": Word("do not trust", "✕", "bad", "the figures are not about the arms"),
}
"""Every verdict, answer and state that pages and terminal show."""


def word(name: str | None) -> Word:
    """Look an answer up; a word nobody knows is shown as it is, without a tone.

    Examples
    --------
    >>> word("better").sign, word(None).word, word("draft").tone
    ('▲', 'unknown', 'none')
    """
    if name is None:
        return WORDS["unknown"]
    return WORDS.get(name, Word(name, "", "none", ""))


def verdict(figure: Mapping[str, Any] | None) -> str:
    """Say what an interval of a difference means.

    Examples
    --------
    >>> verdict({"value": 0.2, "low": 0.1, "high": 0.3})
    'better'
    >>> verdict({"value": 0.2, "low": -0.1, "high": 0.3})
    'unclear'
    >>> verdict({"unknown": "tails too heavy", "needs": "more customers"})
    'unknown'
    """
    if figure is None or fmt.is_unknown(figure):
        return "unknown"
    if figure["low"] > 0:
        return "better"
    if figure["high"] < 0:
        return "worse"
    return "unclear"


def heterogeneity(answer: Any) -> tuple[str, str]:
    """Read an answer to "do the effects differ?": its word, and why when it is unknown.

    Examples
    --------
    >>> heterogeneity("yes")
    ('yes', '')
    >>> heterogeneity({"unknown": "too few buyers", "needs": "more of them"})
    ('unknown', 'because too few buyers; it would take more of them')
    """
    if isinstance(answer, str):
        return answer, ""
    if isinstance(answer, Mapping):
        if "answer" in answer:
            return str(answer["answer"]), ""
        return "unknown", fmt.because(answer)
    return "unknown", fmt.because(None)


POLICY_LABELS = {
    "learned": "Chosen per customer",
    "logged": "What was done",
    "uniform": "By lot, all actions alike",
    "control": "Control action to everybody",
}


def policy_label(name: str, charts: Mapping[str, Any]) -> str:
    """Name a policy for people: the charts' label, else a known one, else its name.

    Examples
    --------
    >>> policy_label("logged", {}), policy_label("mens_to_all", {})
    ('What was done', 'mens to all')
    """
    for entry in charts.get("policies", []):
        if entry.get("name") == name and entry.get("label"):
            return str(entry["label"])
    return POLICY_LABELS.get(name, name.replace("_", " "))


@dataclass(frozen=True)
class Headline:
    """The answer in sentences, in the order in which they must be read."""

    verdict: str
    detect: str
    answer: str
    sure: str
    against: str

    def text(self) -> str:
        """Put the sentences together, for a terminal."""
        return " ".join([self.detect, self.answer, self.sure])


def gate(
    said: Mapping[str, Any], difference: Mapping[str, Any] | None, currency: str
) -> tuple[str, str]:
    """Say what a gate asks, and what the evaluation answers.

    Parameters
    ----------
    said : mapping
        The gate's ``verdict`` and ``margin``; ``low`` where it was computed.
    difference : mapping or None
        The difference to what was done.
    currency : str
        The project's.

    Examples
    --------
    >>> asks, answers = gate({"verdict": "passed", "margin": 0.1, "low": -0.028}, None, "USD")
    >>> asks
    'The gate asks that it lose at most USD 0.100 a customer against what was done.'
    >>> answers
    'With 95% confidence it earns no less than USD −0.028 a customer against what was done.'
    """
    asks = ""
    if "margin" in said:
        margin = fmt.money(float(said["margin"]), currency, 3)
        asks = f"The gate asks that it lose at most {margin} a customer against what was done."
    if difference is not None and not fmt.is_unknown(difference):
        digits = fmt.figure_digits([difference])
        value = fmt.money(difference["value"], currency, digits, sign=True)
        low = fmt.money(difference["low"], currency, digits, sign=True)
        answers = f"Against what was done it earns {value} a customer; with 95% confidence, "
        return asks, f"{answers}no less than {low}."
    if said.get("low") is not None:
        low = fmt.money(float(said["low"]), currency, 3, sign=True)
        answers = f"With 95% confidence it earns no less than {low} a customer"
        return asks, f"{answers} against what was done."
    return asks, f"The difference to what was done is {fmt.unknown_words(difference)}."


_ANSWERS = {
    "better": "Choosing per customer earns more than the best simple rule: {rule}.",
    "worse": "Choosing per customer earns less than the best simple rule: {rule}.",
    "unclear": "Choosing per customer may earn more or less than the best simple rule, "
    "{rule}: this data cannot tell.",
    "unknown": "What choosing per customer would earn cannot be said from this data.",
}


def headline(document: Mapping[str, Any], charts: Mapping[str, Any]) -> Headline:
    """Tell the report's answer: first what the data could detect, then the answer, then how sure.

    Parameters
    ----------
    document, charts : mapping
        A `liftwerk.server.source.Report`'s two parts.

    Returns
    -------
    Headline

    Examples
    --------
    >>> document = {
    ...     "customers": 1000,
    ...     "headline": {"detectable": 0.2, "against": "all", "difference_to_best_fixed": 0.05,
    ...                  "low": -0.1, "high": 0.2, "verdict": "unclear"},
    ... }
    >>> said = headline(document, {"project": {"currency": "EUR"}})
    >>> said.detect
    'With 1,000 customers, this data could detect a difference of EUR 0.200 a customer or more.'
    >>> said.sure
    'The difference is EUR +0.050 a customer; with 95% confidence it is between −0.100 and +0.200.'
    """
    currency = str(charts.get("project", {}).get("currency", ""))
    head = document.get("headline", {})
    figure = headline_figure(head)
    said = str(head.get("verdict", verdict(figure)))
    if fmt.is_unknown(figure):
        said = "unknown"
    against = head.get("against") or ""
    rule = ""
    if against:
        rule = policy_label(against, charts)
    answer = _ANSWERS[said].format(rule=rule[:1].lower() + rule[1:])
    return Headline(
        verdict=said,
        detect=_detect(head.get("detectable"), document.get("customers"), currency),
        answer=answer,
        sure=_sure(figure, currency),
        against=rule,
    )


def headline_figure(head: Mapping[str, Any]) -> dict[str, Any]:
    """Read the headline's difference as a figure, whether it is a number or an unknown.

    Examples
    --------
    >>> headline_figure({"difference_to_best_fixed": 0.1, "low": 0.0, "high": 0.2})
    {'value': 0.1, 'low': 0.0, 'high': 0.2}
    >>> headline_figure({"unknown": "tails too heavy", "needs": "more"})
    {'unknown': 'tails too heavy', 'needs': 'more'}
    """
    difference = head.get("difference_to_best_fixed")
    if isinstance(difference, Mapping):
        return dict(difference)
    if difference is None:
        return {"unknown": str(head.get("unknown", "")), "needs": str(head.get("needs", ""))}
    return {"value": difference, "low": head["low"], "high": head["high"]}


def _detect(detectable: Any, customers: int | None, currency: str) -> str:
    if isinstance(detectable, Mapping) or detectable is None:
        return f"What difference this data could detect is {fmt.unknown_words(detectable)}."
    amount = fmt.money(detectable, currency)
    if not customers:
        return f"This data could detect a difference of {amount} a customer or more."
    data = f"With {fmt.number(customers)} customers, this data"
    return f"{data} could detect a difference of {amount} a customer or more."


def _sure(figure: Mapping[str, Any], currency: str) -> str:
    if fmt.is_unknown(figure):
        words = fmt.unknown_words(figure)
        return f"The difference is {words}."
    amount = fmt.money(figure["value"], currency, fmt.figure_digits([figure]), sign=True)
    interval = fmt.between(figure, currency, sign=True)
    return f"The difference is {amount} a customer; with 95% confidence it is {interval}."

"""The report: one document of figures with a hash, and what the page draws beside it.

The hash is SHA-256 over the document's RFC 8785 form, floats rounded to 12 significant digits,
without the hash itself and without what differs between two runs of the same work: the seconds
and the stages.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import rfc8785

from liftwerk.decisions.evaluate import Evaluation, headline_json
from liftwerk.models.assess import Reading
from liftwerk.stats.deciles import Decile
from liftwerk.stats.estimate import Estimate, Unknown, to_json
from liftwerk.stats.profit_curve import ProfitCurve
from liftwerk.stats.qini import Qini

UNHASHED = ("reproducible_hash", "seconds", "stages")
DIGITS = 12

Readings = Mapping[tuple[int, str], Reading]


def reproducible_hash(document: Mapping[str, Any]) -> str:
    """Hash what a report says, whoever computed it where and when.

    Parameters
    ----------
    document : mapping
        The report's document.

    Returns
    -------
    str
        Hexadecimal SHA-256.

    Examples
    --------
    >>> reproducible_hash({"a": 0.1 + 0.2}) == reproducible_hash({"a": 0.3, "seconds": 7.0})
    True
    """
    content = {name: value for name, value in document.items() if name not in UNHASHED}
    return hashlib.sha256(rfc8785.dumps(rounded(content))).hexdigest()


def rounded(value: Any) -> Any:
    """Round every float inside to 12 significant digits.

    Examples
    --------
    >>> rounded({"a": [0.30000000000000004]})
    {'a': [0.3]}
    """
    if isinstance(value, Mapping):
        return {name: rounded(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(part) for part in value]
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    return value


def evaluation_figures(evaluation: Evaluation) -> dict[str, Any]:
    """Write an evaluation as the document's ``policies``, ``differences`` and ``headline``."""
    return {
        "policies": {
            name: {
                **{key: to_json(answer) for key, answer in policy.values.items()},
                "treated_share": policy.treated_share,
            }
            for name, policy in evaluation.policies.items()
        },
        "differences": {name: to_json(answer) for name, answer in evaluation.differences.items()},
        "headline": headline_json(evaluation.headline),
    }


def uplift_figures(readings: Readings, actions: Sequence[str]) -> dict[str, Any]:
    """Write the readings as the document's ``uplift``."""
    figures: dict[str, Any] = {}
    for (arm, outcome), reading in readings.items():
        differs: Any = reading.differs
        if isinstance(differs, Unknown):
            differs = to_json(differs)
        answer = {"qini": to_json(reading.qini.value), "heterogeneity": differs}
        figures.setdefault(actions[arm], {})[outcome] = answer
    return figures


def uplift_charts(
    readings: Readings, actions: Sequence[str], units: Mapping[str, str]
) -> dict[str, Any]:
    """Lay out Qini curves and deciles for the page, by action and outcome."""
    curves: dict[str, Any] = {}
    tenths: dict[str, Any] = {}
    differs: dict[str, Any] = {}
    for (arm, outcome), reading in readings.items():
        curve = {**_curve(reading.qini), "unit": units[outcome]}
        curves.setdefault(actions[arm], {})[outcome] = curve
        tenths.setdefault(actions[arm], {})[outcome] = _tenths(reading.deciles)
        answer: Any = reading.differs
        if isinstance(answer, Unknown):
            answer = to_json(answer)
        differs.setdefault(actions[arm], {})[outcome] = answer
    return {"qini": curves, "deciles": tenths, "heterogeneity": differs}


def profit_chart(curve: ProfitCurve, evaluation: Evaluation) -> dict[str, Any]:
    """Lay out profit against share treated, with a mark for each policy whose value is known."""
    marks = {}
    for name, policy in evaluation.policies.items():
        value = policy.values["dr"]
        if isinstance(value, Estimate):
            marks[name] = [policy.treated_share, value.value]
    if curve.low is None or curve.high is None:
        assert curve.refusal is not None  # a curve has a band or says why not
        return dict(to_json(curve.refusal))
    return {
        "share": curve.share.tolist(),
        "value": curve.value.tolist(),
        "low": curve.low.tolist(),
        "high": curve.high.tolist(),
        "marks": marks,
    }


def _curve(found: Qini) -> dict[str, Any]:
    if isinstance(found.value, Unknown):
        return dict(to_json(found.value))
    return {
        "share": found.share.tolist(),
        "gain": found.gain.tolist(),
        "low": found.low.tolist(),
        "high": found.high.tolist(),
    }


def _tenths(found: Sequence[Decile]) -> list[dict[str, Any]] | dict[str, Any]:
    """Lay out the tenths, or say why one of them has no honest interval."""
    rows = []
    for tenth in found:
        if isinstance(tenth.observed, Unknown):
            return dict(to_json(tenth.observed))
        rows.append(
            {
                "decile": tenth.number,
                "predicted": tenth.predicted,
                "observed": tenth.point,
                "low": tenth.observed.low,
                "high": tenth.observed.high,
                "n": tenth.n,
            }
        )
    return rows

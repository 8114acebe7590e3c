"""A made-up experiment and holdout for the server's tests: seeded numbers, no real result."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np

from liftwerk.experiments.reading import (
    Check,
    Comparison,
    Counted,
    Look,
    Reading,
    Seen,
    Segment,
    Verdict,
    plain,
)
from liftwerk.stats.estimate import Estimate, Unknown

Json = dict[str, Any]
START = datetime(2026, 9, 1, 8, tzinfo=UTC)
METHOD = "asymptotic confidence sequence, CUPED"
FEW = Unknown("only 4 units of the arm bought", "some 40 of them")
SQL = "SELECT _row, count(*)\nFROM _spine\nGROUP BY _row"


def estimate(value: float, half: float, n: int = 20_000) -> Estimate:
    return Estimate(value, value - half, value + half, half / 3, n, METHOD)


def compared(
    metric: str, arm: str, unit: str, value: float, half: float, mean: float, **more: Any
) -> Comparison:
    answer = "unclear"
    if value - half > 0:
        answer = "better"
    if value + half < 0:
        answer = "worse"
    told: Json = {"role": "primary", "up": True, "p_value": 0.012, "adjusted": 0.024, **more}
    return Comparison(
        metric,
        arm,
        told.pop("role"),
        unit,
        told.pop("up"),
        mean,
        mean + value,
        estimate(value, half),
        estimate(value / mean, half / mean),
        told.pop("p_value"),
        told.pop("adjusted"),
        answer,  # type: ignore[arg-type]
        **told,
    )


def reading(trusted: bool = True) -> Reading:
    """Build a reading of two arms; without trust the sample ratio rings."""
    rng = np.random.default_rng(8)
    arms = (
        Counted("nothing", "No e-mail", 0.5, 12_012, 10_020, 9_000),
        Counted("voucher", "Voucher of 10%", 0.25, 5_990, 5_011, 4_480),
        Counted("reminder", "Reminder", 0.25, 6_001, 5_004, 4_502),
    )
    found = (
        compared("margin_30d", "voucher", "EUR", 0.42, 0.31, 2.1),
        compared("margin_30d", "reminder", "EUR", -0.05, 0.3, 2.1, p_value=0.7, adjusted=1.0),
        compared("ordered", "voucher", "share", 0.0043, 0.002, 0.031),
        compared("ordered", "reminder", "share", -0.0041, 0.0019, 0.031),
        compared(
            "returns",
            "voucher",
            "returns",
            0.002,
            0.01,
            0.11,
            role="counter",
            up=False,
            margin=0.1,
            harmless=None,
            more=9_000,
        ),
        Comparison(
            "returns",
            "reminder",
            "counter",
            "returns",
            False,
            0.11,
            0.1,
            FEW,
            FEW,
            None,
            None,
            "unknown",
            margin=0.1,
        ),
    )
    looks = []
    for day in range(5, 60):
        n = 17 * day * day
        seen = tuple(
            Seen(
                one.metric,
                one.arm,
                estimate(
                    one.absolute.value + rng.normal(0, 0.2) * abs(one.absolute.value) * 20 / day,
                    (one.absolute.high - one.absolute.value) * 58 / day,
                    n,
                ),
            )
            if isinstance(one.absolute, Estimate) and day > 8
            else Seen(one.metric, one.arm, FEW)
            for one in found[:4]
        )
        looks.append(Look((START + timedelta(days=day)).date(), n, seen))
    checks = (
        Check("sample ratio", "ok", "Arms have as many units as they should (p 0.41)."),
        Check("A/A on history", "ok", "Of 200 reshuffled pasts 4.5% showed a difference."),
        Check("exposure imbalance", "unknown", "No event says who met an arm."),
        Check("carry-over", "ok", "Arms did alike before they began."),
        Check("novelty", "alarm", "The effect of Voucher comes in the first half and fades."),
    )
    verdict = Verdict(
        "ship",
        "Ship Voucher of 10%: margin_30d EUR +0.420 (+0.110 to +0.730) a customer.",
        "It would change if the interval came to include 0.",
        "voucher",
    )
    if not trusted:
        ratio = Check("sample ratio", "alarm", "Of control there are 1,012 units too many.")
        checks = (ratio, *checks[1:])
        verdict = Verdict("do not trust", f"Do not trust it. {ratio.words}", "Find the cause.")
    segments = tuple(
        Segment("channel", value, n, (compared("margin_30d", "voucher", "EUR", 0.4, half, 2.0),))
        for value, n, half in (("Phone", 8_000, 0.5), ("Web", 9_000, 0.3), ("unknown", 300, 3.0))
    )
    return Reading(
        "autumn_mail",
        "ab",
        "A voucher or a reminder to who has not bought for long",
        "customer",
        datetime(2026, 11, 1, 9, tzinfo=UTC),
        START,
        "anytime",
        0.95,
        0.05,
        arms,
        found,
        found[:2],
        segments,
        tuple(looks),
        checks,
        verdict,
        12,
        2,
        ("Variance is reduced by orders_90d.",),
        {"metrics: order_completed": SQL, "units": SQL},
    )


def rows() -> list[Json]:
    """List experiments in several states."""
    alarm = "Of control there are 1,012 units too many."
    told = {"description": "A voucher or a reminder to who has not bought for long"}
    return [
        {
            "name": "autumn_mail",
            **told,
            "design": "ab",
            "stage": "running",
            "changed": False,
            "since": START.isoformat(),
            "metrics": ["margin_30d", "ordered"],
            "alarms": [alarm],
            "verdict": plain(reading().verdict),
        },
        {
            "name": "blocks",
            **told,
            "design": "switchback",
            "stage": "declared",
            "changed": False,
            "since": None,
            "metrics": ["margin_30d"],
            "alarms": [],
            "verdict": None,
        },
    ]


def experiment(name: str, trusted: bool = True) -> Json:
    """Build what the page of an experiment shows; of ``blocks``, which did not start, little."""
    known = {row["name"]: row for row in rows()}[name]
    told = {
        **known,
        "owner": "crm@shop.example",
        "hypothesis": "Who was away comes back",
        "version": "a1" * 32,
        "registered": None,
        "changes": [],
        "log": [],
    }
    if name == "blocks":
        return {**told, "reading": None, "why": "It has not started: nobody was assigned yet."}
    change = {"key": "experiment.metrics", "then": ["margin_30d"], "now": ["margin_30d", "ordered"]}
    log = [
        {"action": action, "at": START.isoformat(), "words": words}
        for action, words in (("register", ""), ("start", "10%"), ("ramp", "100%"))
    ]
    return {
        **told,
        "registered": START.isoformat(),
        "changes": [change],
        "log": log,
        "reading": plain(reading(trusted)),
        "why": None,
    }


def holdout() -> Json:
    """Build the weeks of a programme and of one policy."""
    rng = np.random.default_rng(9)
    subjects = []
    for subject, label, value in (
        ("programme", "The whole programme", 900.0),
        ("policy:win_back", "Policy win_back", 0.0),
    ):
        weeks, total = [], 0.0
        for week in range(9):
            start = date(2026, 8, 31) + timedelta(weeks=week)
            added = value + float(rng.normal(0, 300))
            total += added
            increment: Estimate | Unknown = estimate(added, 1_100)
            if week == 0:
                increment = FEW
            weeks.append(
                {
                    "start": start.isoformat(),
                    "end": (start + timedelta(days=6)).isoformat(),
                    "treated": 19_000 + 100 * week,
                    "held_out": 1_000 + 5 * week,
                    "increment": plain(increment),
                    "so_far": plain(FEW if week == 0 else estimate(total, 1_500 + 300 * week)),
                    "last_click": 5_210.0 + 10 * week,
                }
            )
        subjects.append(
            {
                "subject": subject,
                "label": label,
                "says": "Customers known by Monday.",
                "weeks": weeks,
                "total": weeks[-1]["so_far"],
                "last_click": 47_250.0,
                "sql": {"revenue": SQL},
            }
        )
    return {
        "currency": "EUR",
        "metric": "margin",
        "share": 0.05,
        "timezone": "Europe/Berlin",
        "level": 0.95,
        "age_words": "The newest measured effect is 3 days old.",
        "subjects": subjects,
        "why": None,
    }

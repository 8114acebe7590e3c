"""A made-up experiment and holdout for the server's tests: seeded numbers, no real result."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
from msgspec import structs

from liftwerk.experiments.geo.results import CellReading, GeoReading
from liftwerk.experiments.geo.results import Series as GeoSeries
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
from liftwerk.experiments.switchback.read import ArmReading, Turn
from liftwerk.experiments.switchback.read import Reading as SwitchbackReading
from liftwerk.stats.estimate import Estimate, Unknown
from liftwerk.stats.switchback import CarryOver, Effect

Json = dict[str, Any]
START = datetime(2026, 9, 1, 8, tzinfo=UTC)
METHOD = "asymptotic confidence sequence, CUPED"
FEW = Unknown("only 4 units of the arm bought", "some 40 of them")
ONCE = ("radio", "turns")
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
    if unit == "share":
        told["kind"] = "proportion"
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


def cell() -> CellReading:
    """Build two cities with a radio campaign, against what they would have been."""
    rng = np.random.default_rng(10)
    would = 2_700 + 300 * np.sin(np.arange(75) / 7 * 2 * np.pi) + rng.normal(0, 60, 75)
    treated = would + rng.normal(0, 90, 75) + 150 * (np.arange(75) >= 60)
    days = tuple(date(2026, 7, 1) + timedelta(days=place) for place in range(75))
    return CellReading(
        cell="radio",
        markets=("chicago", "portland"),
        effect=estimate(155.6, 138.0),
        incremental=estimate(4_667.0, 4_140.0),
        lift=estimate(0.054, 0.048),
        p_value=0.048,
        spend=5_000.0,
        roas=estimate(0.93, 0.83),
        second=estimate(171.2, 150.0),
        weights={"cincinnati": 0.227, "miami": 0.2, "baton rouge": 0.134},
        imbalance=0.6,
        misfit=0.31,
        checks=(),
        series=GeoSeries(days, tuple(treated.tolist()), tuple(would.tolist()), 60),
    )


def blocks() -> SwitchbackReading:
    """Build four weeks of turns between two arms."""
    rng = np.random.default_rng(11)
    turns = []
    for block in range(112):
        begins = START + timedelta(hours=6 * block)
        arm = ["usual", "dearer"][int(rng.integers(2))]
        value = float(
            110 + 5 * (arm == "dearer") + 20 * np.sin(block * np.pi / 2) + rng.normal(0, 6)
        )
        ends = begins + timedelta(hours=6)
        turns.append(Turn(begins, begins + timedelta(hours=1), ends, arm, value))
    carried = CarryOver(
        length=1,
        added=(4.1, 0.3, -0.2, 0.1, 0.4, -0.6),
        p_values=(0.002, 0.8, 0.9, 1.0, 0.7, 0.6),
        detectable=3.2,
        left=0.4,
        left_p_value=0.7,
        beyond=False,
    )
    arm = ArmReading(
        "dearer",
        57,
        55,
        110.2,
        114.9,
        Effect(estimate(4.7, 3.1), 0.004),
        estimate(4.9, 2.9),
        carried,
        None,
    )
    return SwitchbackReading("blocks", (arm,), 672, 1, tuple(turns))


def once(name: str) -> tuple[Reading, Json]:
    """Build the reading of a geo test (``radio``) or a switchback (``turns``)."""
    seen = cell()
    if name == "radio":
        radio = GeoReading("sales by city", date(2026, 8, 30), date(2026, 9, 13), 0.95, 38, (seen,))
        one = compared("sales", "radio", "units", 155.6, 138.0, 2_742.0)
        told: Json = {"design": "geo", "unit": "market and day"}
        arms = {"quiet": ("No radio", 38), "radio": ("Radio", 2)}
        by_metric: Json = {"sales": radio}
        words = "Before the test the gap is 31% of what the treated markets themselves moved."
        checks = (Check("fit", "ok", words),)
    else:
        one = compared("margin", "dearer", "EUR", 4.7, 3.1, 110.2)
        told = {"design": "switchback", "unit": "period of 1h"}
        arms = {"usual": ("2.90", 55), "dearer": ("3.90", 57)}
        by_metric = {"margin": blocks()}
        checks = (Check("carry-over", "alarm", "margin of dearer: remembered longer."),)
    counted = tuple(
        Counted(arm, label, 0.5, many, many, many) for arm, (label, many) in arms.items()
    )
    words = f"Ship {arms[one.arm][0]}: {one.metric} is better."
    change = f"It would change if the interval of {one.metric} came to include 0."
    verdict = Verdict("ship", words, change, one.arm)
    changed = structs.replace(
        reading(),
        **told,
        experiment=name,
        method="fixed",
        arms=counted,
        comparisons=(one,),
        exposed=(),
        segments=(),
        looks=(),
        checks=checks,
        verdict=verdict,
        sql={f"{one.metric}: order_completed": SQL},
    )
    return changed, by_metric


def kept(name: str, reading: Reading) -> list[Json]:
    """Build what the effect register holds of an experiment."""
    (one,) = reading.comparisons
    return [
        {
            "subject": f"experiment:{name}",
            "metric": one.metric,
            "start": START.isoformat(),
            "end": (START + timedelta(days=28)).isoformat(),
            "estimate": plain(one.absolute),
            "unit": one.unit,
            "method": "augmented synthetic control, conformal",
            "source": f"experiment:{name}",
            "at": START.isoformat(),
            "age_seconds": 400_000.0,
        }
    ]


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
        *(
            {
                "name": name,
                "description": "Whatever cannot be given to one and kept from the next",
                "design": once(name)[0].design,
                "stage": "stopped",
                "changed": False,
                "since": START.isoformat(),
                "metrics": list(once(name)[1]),
                "alarms": [],
                "verdict": plain(once(name)[0].verdict),
            }
            for name in ONCE
        ),
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
        "plan": [],
        "effects": [],
        "by_metric": None,
    }
    if name == "blocks":
        return {**told, "reading": None, "why": "It has not started: nobody was assigned yet."}
    if name in ONCE:
        found, by_metric = once(name)
        return {
            **told,
            "registered": START.isoformat(),
            "plan": ["Planned for 28 days.", "An effect of 4.0% would be seen."],
            "effects": kept(name, found),
            "reading": plain(found),
            "by_metric": by_metric,
            "why": "",
        }
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

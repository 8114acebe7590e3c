"""Carry-over: arms that differed before they began, or among which an earlier one is uneven."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from liftwerk.amounts import number, share
from liftwerk.experiments.checks.evidence import Evidence
from liftwerk.experiments.checks.sample_ratio import mismatch
from liftwerk.experiments.compare import compare, outcomes
from liftwerk.experiments.definition import EXPERIMENTS
from liftwerk.experiments.reading import Comparison, State
from liftwerk.experiments.spine import assigned_units
from liftwerk.experiments.state import states
from liftwerk.stats.moments import Moments

RINGS = 0.001
FEWEST = 50
"""Units that two experiments must share before anything is said."""


def check(evidence: Evidence) -> tuple[State, str]:
    """Say whether what was before is spread evenly over the arms."""
    earlier = list(_earlier(evidence))
    for name in earlier:
        words = _uneven(evidence, name)
        if words is not None:
            return "alarm", words
    before = _before(evidence)
    worst = min(
        (one for one in before if one.adjusted is not None),
        key=lambda one: one.adjusted or 0.0,
        default=None,
    )
    if worst is not None and worst.adjusted is not None and worst.adjusted < RINGS:
        arm = evidence.label(worst.arm)
        return "alarm", f"Before it began, {worst.metric} of {arm} was already {worst.answer}."
    told = "no earlier experiment was in its place"
    if earlier:
        told = f"the arms of {', '.join(earlier)} are spread evenly"
    if worst is None:
        return "unknown", f"What the units did before is too little to compare; {told}."
    return "ok", f"Arms did alike before they began; {told}."


def _earlier(evidence: Evidence) -> Iterator[str]:
    """Name the experiments that began before this one in its layer or at its placement."""
    declared = evidence.project.get(EXPERIMENTS)
    started = evidence.state.started
    for name, state in states(evidence.stores.ledger).items():
        other = declared.get(name)
        if other is None or name == evidence.name or state.started is None:
            continue
        if started is not None and state.started >= started:
            continue
        mine = evidence.experiment
        same_layer = mine.layer is not None and mine.layer == other.layer
        same_place = mine.placement is not None and mine.placement == other.placement
        if (same_layer or same_place) and mine.unit == other.unit and other.design == "ab":
            yield name


def _uneven(evidence: Evidence, name: str) -> str | None:
    """Say which arm of an earlier experiment is spread unevenly over the arms of this one."""
    told = assigned_units(evidence.project, evidence.stores, name, as_of=evidence.as_of).table
    mine = evidence.spine.table
    place = pc.index_in(mine.column("unit"), value_set=told.column("unit").combine_chunks())
    were = told.column("arm").take(place)
    for arm in pc.unique(were.drop_null()).to_pylist():
        rows = pc.fill_null(pc.equal(were, pa.scalar(arm)), False)
        counts = evidence.count(mine.filter(rows))
        total = sum(counts.values())
        p = mismatch(list(counts.values()), evidence.shares)
        if total >= FEWEST and p < RINGS:
            most = max(counts, key=lambda one: counts[one] / dict(_shares(evidence))[one])
            where = f"{share(counts[most] / total)} are in {evidence.label(most)}"
            return f"Of {number(total)} units that {name} had given {arm}, {where} now."
    return None


def _shares(evidence: Evidence) -> Iterator[tuple[str, float]]:
    yield from zip(evidence.counts, evidence.shares, strict=True)


def _before(evidence: Evidence) -> tuple[Comparison, ...]:
    """Compare what the units of the arms did before they were assigned."""
    past = evidence.past
    arms = {
        name: [Moments.of(past[:, evidence.units.arm == place])]
        for place, name in enumerate(evidence.units.arms)
    }
    questions = [
        msgspec.structs.replace(question, columns=question.columns[: outcomes(question.kind)])
        for question in evidence.questions
    ]
    return compare(questions, arms, evidence.how)

"""Registration: whether what is read is what was promised before the start."""

from __future__ import annotations

from liftwerk.definitions.project import Project
from liftwerk.experiments.changed import changed_keys
from liftwerk.experiments.checks.evidence import Evidence
from liftwerk.experiments.reading import State
from liftwerk.experiments.state import State as Stands


def check(evidence: Evidence) -> tuple[State, str]:
    """Say whether the experiment is declared as it was registered."""
    return as_registered(evidence.project, evidence.state)


def as_registered(project: Project, state: Stands) -> tuple[State, str]:
    """Say so of one whose evidence is of another design."""
    if state.registered is None:
        return "unknown", "It was never registered: nothing says what was to be read."
    keys = changed_keys(project, state)
    if not keys:
        return "ok", "It is declared as it was registered."
    told = ", ".join(keys[:3])
    if len(keys) > 3:
        told = f"{told} and {len(keys) - 3} more"
    return "alarm", f"{told} changed after it was registered: put it back, or start a new one."

"""What still uses a deprecated feature: said before its day, refused by `check` after it."""

from __future__ import annotations

from datetime import date

from msgspec import Struct

from liftwerk.definitions.problem import Problem
from liftwerk.definitions.project import Project
from liftwerk.features.definition import FEATURES
from liftwerk.governance.lineage import lineage


class Deprecated(Struct, frozen=True):
    """Something that reads a deprecated feature.

    Attributes
    ----------
    problem : Problem
        What it is, where it is declared, and what to do.
    over : bool
        Whether the day has come.
    """

    problem: Problem
    over: bool


def deprecated_uses(project: Project, today: date) -> list[Deprecated]:
    """Find the views, models and expressions that read a deprecated feature.

    Nothing stops working on the day: `check` refuses, and what is served goes on being served.

    Parameters
    ----------
    project : Project
    today : datetime.date

    Returns
    -------
    list of Deprecated
        Features that are deprecated themselves may read others that are.
    """
    features = project.get(FEATURES)
    going = {name: one.deprecated for name, one in features.items() if one.deprecated is not None}
    if not going:
        return []
    found = []
    graph = lineage(project)
    for name, day in going.items():
        hint = "take it out"
        if features[name].use is not None:
            hint = f"use {features[name].use} in its place"
        for edge in graph.targets.get(f"features.{name}", ()):
            section, _, user = edge.target.partition(".")
            if user in going and section == FEATURES.name:
                continue
            key = "expression"
            if section != FEATURES.name:
                key = "features"
            what = f"{edge.target} reads {name}, which is deprecated from {day} on"
            problem = project.problem((section, user, key), hint, what=what)
            found.append(Deprecated(problem, day.date <= today))
    return found

"""The SQL behind a reading's figures, as it is run: whoever doubts a figure counts again."""

from __future__ import annotations

from liftwerk.definitions.project import Project
from liftwerk.experiments.definition import ExperimentDefinition
from liftwerk.experiments.units import by_of
from liftwerk.metrics.read import plans_of
from liftwerk.metrics.units import ASKED, asked_columns, counted_by

UNITS = """\
SELECT arm, count(*) AS units, count(exposed) AS exposed
FROM _spine  -- one row a unit: its first assignment, testers and mixed units left out
GROUP BY arm
ORDER BY arm"""


def statements(project: Project, experiment: ExperimentDefinition) -> dict[str, str]:
    """Write down what was asked.

    Parameters
    ----------
    project : Project
    experiment : ExperimentDefinition

    Returns
    -------
    dict of str to str
        ``units``, and for each event that metrics count ``metrics EVENT``.
    """
    names = [*experiment.metrics, *experiment.counter_metrics]
    counted = counted_by(project, asked_columns(project, names).values())
    plans = plans_of(project, counted, ASKED[by_of(experiment)])
    return {"units": UNITS, **{f"metrics: {plan.event}": plan.sql for plan in plans}}

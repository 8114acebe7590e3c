"""The checks of features, over any table that has their values in columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

import pyarrow as pa
from msgspec import structs

from liftwerk.definitions.project import Project
from liftwerk.errors import Refused
from liftwerk.features.checks.finding import Finding
from liftwerk.features.checks.keep import Accepted, references
from liftwerk.features.checks.kinds import checks_of_values
from liftwerk.features.checks.kinds.check import Check
from liftwerk.features.checks.scan import TYPES, Asked, Scan, scannable
from liftwerk.features.checks.sketch import Sketch
from liftwerk.features.definition import FEATURES, value_type
from liftwerk.store.stores import Stores


def check_features(
    project: Project, stores: Stores, values: pa.Table, names: Sequence[str]
) -> None:
    """Refuse to go on with values that fail a check that stops.

    A value outside its bounds is a fault of the data or of the declaration, and which of the two it
    is no program can know. So the run stops with one line: a model that learned from such values
    would be wrong without saying so.

    Parameters
    ----------
    project : Project
    stores : Stores
        Where references are.
    values : pyarrow.Table
        One column a feature.
    names : sequence of str
        The features.

    Raises
    ------
    Refused
        One line about the first that fails, naming the feature, what should be and what is.
    DefinitionError
        If a column holds values of another type than the feature.
    """
    findings = check_values(project, stores, values, names)
    stopping = [one for one in findings if one.stops]
    if not stopping:
        return
    first, more = stopping[0], ""
    if len(stopping) > 1:
        more = f" (and {len(stopping) - 1} more)"
    hint = "correct the events, declare another limit, or let it warn"
    raise Refused(f"{reason(first)}{more}", first.where, hint)


def check_values(
    project: Project, stores: Stores, values: pa.Table, names: Sequence[str]
) -> list[Finding]:
    """Check values of features, in one scan.

    Parameters
    ----------
    project : Project
    stores : Stores
        Where references are.
    values : pyarrow.Table
        One column a feature; others are left alone.
    names : sequence of str
        The features.

    Returns
    -------
    list of Finding
        In the order of the features.
    """
    known = references(project, stores, names)
    sketches = tuple((name, one.sketch) for name, one in known.items())
    return Plan(project, tuple(names), sketches).run(values)


class Plan:
    """The checks of some features, ready to be run.

    Parameters
    ----------
    project : Project
    names : tuple of str
        The features.
    sketches : tuple of (str, Sketch)
        How their values were spread.
    accepted : tuple of Accepted
        What somebody accepted of them.
    stopping : bool
        Only checks that stop.
    """

    def __init__(
        self,
        project: Project,
        names: tuple[str, ...],
        sketches: tuple[tuple[str, Sketch], ...] = (),
        accepted: Sequence[Accepted] = (),
        stopping: bool = False,
    ) -> None:
        asked = [
            _accepting(one, accepted)
            for one in asked_of(project, names, sketches)
            if one.severity == "stop" or not stopping
        ]
        self.types = {
            name: value_type(project, project.lookup(FEATURES, name))
            for name in names
            if any(one.subject == subject_of(name) for one in asked)
        }
        self._columns = tuple((name, TYPES[type_][0]) for name, type_ in self.types.items())
        self._each = tuple(one for one in asked if one.check.each)
        self._all = tuple(asked)

    @property
    def asks_each(self) -> bool:
        """Whether a value may fail a check by itself."""
        return bool(self._each)

    @property
    def asks_all(self) -> bool:
        """Whether something is asked of all values together."""
        return len(self._each) < len(self._all)

    def run(self, values: pa.Table, each: bool = False) -> list[Finding]:
        """Check values.

        Parameters
        ----------
        values : pyarrow.Table
        each : bool
            Only what a value may fail by itself: the rest means nothing of values that were chosen.
        """
        if not self._all:
            return []
        asked = self._each if each else self._all
        return _compiled(asked, self._columns).table(scannable(values, self.types))


def subject_of(name: str) -> str:
    """Name a feature as the project file does."""
    return f"features.{name}"


def reason(finding: Finding) -> str:
    """Say in one line what is wrong."""
    name = finding.subject.rpartition(".")[2]
    return f"{name} should be {finding.expected}: {finding.found}"


def asked_of(
    project: Project, names: Iterable[str], sketches: Iterable[tuple[str, Sketch]] = ()
) -> list[Asked]:
    """Return all that is declared for some features."""
    known = dict(sketches)
    asked = []
    for name in names:
        declared = project.lookup(FEATURES, name).checks
        for check in checks_of_values(name, declared, known.get(name)):
            severity = declared.severity
            if severity is None:
                severity = check.severity
            asked.append(Asked(subject_of(name), check, severity, check.expected))
    return asked


def _accepting(asked: Asked, accepted: Sequence[Accepted]) -> Asked:
    for one in accepted:
        about = (one.subject, one.check, one.expected)
        if about == (asked.subject, asked.check.name, asked.expected):
            check: Check = asked.check.accepting(one.observed)
            return structs.replace(asked, check=check)
    return asked


@lru_cache(maxsize=16)
def _compiled(asked: tuple[Asked, ...], columns: tuple[tuple[str, str], ...]) -> Scan:
    """Compile once what is checked for again and again, one decision after another."""
    return Scan(asked, dict(columns))

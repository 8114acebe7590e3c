"""``checks`` of how events keep coming: how old the newest may be, and how many a day is usual."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from liftwerk.definitions.lines import Path
from liftwerk.definitions.problem import Problem, dotted
from liftwerk.definitions.project import Project
from liftwerk.definitions.typed import Duration, Share


class VolumeCheck(Struct, frozen=True):
    """How many there should be in a day of the project's time zone, the last that is over.

    Attributes
    ----------
    minimum, maximum : int or None
        At least and at most so many.
    usual : Share or None
        Differing from the median of the same weekday in the eight weeks before by at most this
        share of it.
    """

    minimum: int | None = None
    maximum: int | None = None
    usual: Share | None = None


class ArrivalChecks(Struct, frozen=True):
    """How what is collected should keep coming; it tells and stops nothing.

    Attributes
    ----------
    freshness : Duration or None
        How old the newest may be: of an event, since it was known; of a view, since its values were
        brought up to date.
    volume : VolumeCheck or None
        How many a day; of a view, of all events that it reads and may read.
    """

    freshness: Duration | None = None
    volume: VolumeCheck | None = None


def check_arrival(project: Project, path: Path, checks: ArrivalChecks) -> Iterable[Problem]:
    """Say what is wrong with such checks.

    Parameters
    ----------
    project : Project
    path : tuple
        Where they stand.
    checks : ArrivalChecks
    """
    if checks.freshness is not None and checks.freshness.microseconds == 0:
        yield project.problem((*path, "freshness"), "write more than 0", str(checks.freshness))
    volume = checks.volume
    if volume is None:
        return
    where = (*path, "volume")
    if volume == VolumeCheck():
        what = f"{dotted(where)} says nothing"
        yield project.problem(where, 'add minimum, maximum or usual = "50%"', what=what)
    for word, bound in (("minimum", volume.minimum), ("maximum", volume.maximum)):
        if bound is not None and bound < 0:
            yield project.problem((*where, word), "write 0 or more", bound)
    if volume.minimum is None or volume.maximum is None:
        return
    if volume.minimum > volume.maximum:
        hint = f"write at least the minimum, {volume.minimum}"
        yield project.problem((*where, "maximum"), hint, volume.maximum)

"""Every kind of check, a file each: what it needs of a scan, and a pure rule over that.

Another one is a file, a line in the list, and a key in the declaration.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from liftwerk.events.arrival import ArrivalChecks
from liftwerk.features.checks.definition import FeatureChecks
from liftwerk.features.checks.kinds.bounds import Maximum, Minimum
from liftwerk.features.checks.kinds.categories import Categories
from liftwerk.features.checks.kinds.check import Check
from liftwerk.features.checks.kinds.distribution import Distribution
from liftwerk.features.checks.kinds.freshness import Freshness
from liftwerk.features.checks.kinds.null_share import NullShare
from liftwerk.features.checks.kinds.volume import Volume, days_before
from liftwerk.features.checks.sketch import Sketch

KINDS = (Minimum, Maximum, NullShare, Categories, Distribution, Freshness, Volume)
"""All of them, in the order in which they are told."""


def checks_of_values(
    column: str, declared: FeatureChecks, reference: Sketch | None = None
) -> Sequence[Check]:
    """Return the checks that are declared for a feature.

    Parameters
    ----------
    column : str
        Where its values are.
    declared : FeatureChecks
    reference : Sketch, optional
        How they were spread.
    """
    checks: list[Check] = []
    if declared.minimum is not None:
        checks.append(Minimum(column, float(declared.minimum)))
    if declared.maximum is not None:
        checks.append(Maximum(column, float(declared.maximum)))
    if declared.null_share is not None:
        checks.append(NullShare(column, declared.null_share.value))
    if declared.categories:
        checks.append(Categories(column, declared.categories))
    if declared.distribution is not None:
        checks.append(Distribution(column, float(declared.distribution), reference))
    return checks


def checks_of_arrival(
    declared: ArrivalChecks, now: datetime, zone: ZoneInfo, newest: datetime | None = None
) -> Sequence[Check]:
    """Return the checks that are declared for what is collected.

    Parameters
    ----------
    declared : ArrivalChecks
    now : datetime
    zone : ZoneInfo
        Whose days are counted.
    newest : datetime, optional
        Where it is known without a scan.
    """
    checks: list[Check] = []
    if declared.freshness is not None:
        checks.append(Freshness(declared.freshness, now, newest))
    if declared.volume is not None:
        checks.append(Volume(declared.volume, days_before(now, zone)))
    return checks

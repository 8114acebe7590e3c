"""``[consent]``: which of the project's purposes a consent manager's answer grants."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TypeVar

from msgspec import Struct

from liftwerk.definitions.lines import Path
from liftwerk.definitions.problem import Problem
from liftwerk.definitions.project import Project
from liftwerk.definitions.section import one
from liftwerk.errors import did_you_mean
from liftwerk.events.consent.tc_string import PURPOSES as TCF_PURPOSES
from liftwerk.privacy.definition import PURPOSES

GCM_FIELDS = (
    "ad_storage",
    "ad_user_data",
    "ad_personalization",
    "analytics_storage",
    "functionality_storage",
    "personalization_storage",
    "security_storage",
)
"""The fields of Google's consent mode v2."""

TCF_DEFAULTS: dict[str, tuple[int, ...]] = {
    "ads": (1, 2, 3, 4, 7),
    "advertising": (1, 2, 3, 4, 7),
    "analytics": (1, 8, 9),
    "measurement": (1, 7, 8),
    "personalisation": (1, 5, 6),
    "personalization": (1, 5, 6),
}
"""What grants a purpose of such a name, where the project says nothing."""

GCM_DEFAULTS: dict[str, tuple[str, ...]] = {
    "ads": ("ad_storage", "ad_user_data", "ad_personalization"),
    "advertising": ("ad_storage", "ad_user_data", "ad_personalization"),
    "analytics": ("analytics_storage",),
    "measurement": ("analytics_storage",),
    "personalisation": ("ad_user_data", "ad_personalization"),
    "personalization": ("ad_user_data", "ad_personalization"),
}
"""What grants a purpose of such a name, where the project says nothing."""

LAST_VENDOR = 65_535

T = TypeVar("T")


class TcfMapping(Struct, frozen=True):
    """``[consent.tcf]``: what IAB TCF v2 strings grant.

    Attributes
    ----------
    purposes : dict of str to tuple of int
        Purpose of the project -> TCF purposes (1 to 11) that must all be consented to; without it,
        purposes with well-known names have well-known ones.
    vendor : int or None
        Your id on IAB's vendor list; with it, this vendor's consent is asked for as well.
    legitimate_interest : bool
        Whether an established legitimate interest counts like consent, for purposes of that basis.
    """

    purposes: dict[str, tuple[int, ...]] = {}
    vendor: int | None = None
    legitimate_interest: bool = False


class GcmMapping(Struct, frozen=True):
    """``[consent.gcm]``: what the fields of Google's consent mode v2 grant.

    Attributes
    ----------
    purposes : dict of str to tuple of str
        Purpose of the project -> fields that must all be ``granted``; without it, purposes with
        well-known names have well-known ones.
    """

    purposes: dict[str, tuple[str, ...]] = {}


class ConsentSection(Struct, frozen=True):
    """``[consent]``: which purposes a consent manager's answer grants.

    Attributes
    ----------
    tcf : TcfMapping
        For IAB TCF v2 strings.
    gcm : GcmMapping
        For Google's consent mode v2.
    """

    tcf: TcfMapping = TcfMapping()
    gcm: GcmMapping = GcmMapping()


def asked_for(
    project: Project, declared: Mapping[str, tuple[T, ...]], defaults: Mapping[str, tuple[T, ...]]
) -> list[tuple[str, tuple[T, ...]]]:
    """Say what must be agreed to for each purpose: as declared, or else by its name.

    Parameters
    ----------
    project : Project
    declared : mapping of str to tuple
        What the project says; empty when nothing.
    defaults : mapping of str to tuple
        By the purpose's name.

    Returns
    -------
    list of (str, tuple)
        Sorted by the purpose's name; only declared purposes.
    """
    purposes = project.get(PURPOSES)
    mapping = declared
    if not declared:
        mapping = defaults
    return sorted((name, parts) for name, parts in mapping.items() if name in purposes)


def _check(project: Project) -> Iterable[Problem]:
    section = project.get(CONSENT)
    path: Path = ("consent", "tcf", "purposes")
    yield from _check_names(project, path, section.tcf.purposes)
    for name, numbers in section.tcf.purposes.items():
        for place, number in enumerate(numbers):
            if number not in TCF_PURPOSES:
                hint = "TCF has the purposes 1 to 11"
                yield project.problem((*path, name, place), hint, number)
    vendor = section.tcf.vendor
    if vendor is not None and not 1 <= vendor <= LAST_VENDOR:
        hint = "write your id on IAB's vendor list, from 1"
        yield project.problem(("consent", "tcf", "vendor"), hint, vendor)
    path = ("consent", "gcm", "purposes")
    yield from _check_names(project, path, section.gcm.purposes)
    for name, fields in section.gcm.purposes.items():
        for place, field in enumerate(fields):
            if field not in GCM_FIELDS:
                hint = did_you_mean(field, GCM_FIELDS)
                yield project.problem((*path, name, place), hint, field)


def _check_names(
    project: Project, path: Path, mapping: Mapping[str, Collection[object]]
) -> Iterable[Problem]:
    for name, parts in mapping.items():
        if name not in project.get(PURPOSES):
            yield project.unknown_key((*path, name), project.get(PURPOSES))
        elif not parts:
            hint = "list what must be agreed to, or leave the purpose out"
            yield project.problem((*path, name), hint, what=f"nothing is asked for {name!r}")


CONSENT = one("consent", ConsentSection, _check)

"""IAB TCF v2 strings: ``{"tcf": "CP…"}``.

The string itself is not kept: the choices in it, over a thousand vendors, can single a person out.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import lru_cache

from msgspec.structs import replace

from liftwerk.definitions.project import Project
from liftwerk.events.consent.definition import CONSENT, TCF_DEFAULTS, asked_for
from liftwerk.events.consent.tc_string import LONGEST, TcString, read_tc_string
from liftwerk.events.consent.wire import Consent
from liftwerk.privacy.definition import PURPOSES

CACHED = 4096
"""Strings that are remembered with what they grant: one visitor sends the same one many times."""

_DAY = timedelta(days=1)


def reader(project: Project) -> Callable[[Consent], Consent | None]:
    """Prepare to read them by the project's mapping.

    Parameters
    ----------
    project : Project

    Returns
    -------
    callable
        ``at`` is the string's last update. Consent managers round that to the day, so an ``at``
        beside the string says the time, if it lies in that day.
    """
    section = project.get(CONSENT).tcf
    asked = [
        (name, numbers, section.legitimate_interest and _is_interest(project, name))
        for name, numbers in asked_for(project, section.purposes, TCF_DEFAULTS)
    ]

    @lru_cache(maxsize=CACHED)
    def read_text(text: str) -> Consent | None:
        said = read_tc_string(text)
        if said is None:
            return None
        granted = [
            name
            for name, numbers, by_interest in asked
            if _is_granted(said, numbers, section.vendor, by_interest)
        ]
        version = f"policy {said.policy}, vendor list {said.vendor_list}, cmp {said.cmp}"
        return Consent(granted, "tcf", version, said.updated)

    def read(consent: Consent) -> Consent | None:
        text = consent.tcf
        if not isinstance(text, str) or len(text) > LONGEST:
            return None
        found = read_text(text)
        if found is None or found.at is None or consent.at is None:
            return found
        if found.at <= consent.at < found.at + _DAY:
            return replace(found, at=consent.at)
        return found

    return read


def _is_interest(project: Project, name: str) -> bool:
    return project.get(PURPOSES)[name].basis == "legitimate_interest"


def _is_granted(
    said: TcString, numbers: tuple[int, ...], vendor: int | None, by_interest: bool
) -> bool:
    for number in numbers:
        if said.consents(number, vendor):
            continue
        if not by_interest or not said.admits_interest(number, vendor):
            return False
    return True

"""Consent said in our own words: ``{"granted": ["ads"], "source": "api"}``."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from liftwerk.definitions.project import Project
from liftwerk.events.consent.wire import Consent
from liftwerk.privacy.definition import PURPOSES


def reader(project: Project) -> Callable[[Consent], Consent | None]:
    """Prepare to read it: sorted, each purpose once, declared ones only.

    Parameters
    ----------
    project : Project

    Returns
    -------
    callable
        Consent that names purposes, but no declared one, is not known: a misspelt name must not
        look like a refusal.
    """
    declared = frozenset(project.get(PURPOSES))

    def read(consent: Consent) -> Consent | None:
        named = consent.granted
        if named is None:
            return None
        granted = sorted(declared.intersection(named))
        if granted == named:
            return consent
        if not granted:
            return None
        return replace(consent, granted=granted)

    return read

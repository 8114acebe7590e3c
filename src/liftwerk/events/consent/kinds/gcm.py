"""Google's consent mode v2: ``{"gcm": {"ad_storage": "granted", "ad_user_data": "denied"}}``.

A field that is not there was not granted. What Google adds one day is none of our business.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from msgspec.structs import replace

from liftwerk.definitions.project import Project
from liftwerk.events.consent.definition import CONSENT, GCM_DEFAULTS, GCM_FIELDS, asked_for
from liftwerk.events.consent.wire import Consent

GRANTED, DENIED = "granted", "denied"

_WORDS = (GRANTED, DENIED, None)
_SECOND = ("ad_user_data", "ad_personalization")


def reader(project: Project) -> Callable[[Consent], Consent | None]:
    """Prepare to read it by the project's mapping.

    Parameters
    ----------
    project : Project

    Returns
    -------
    callable
        Without a known field, or with a value that is neither word, consent is not known.
    """
    asked = asked_for(project, project.get(CONSENT).gcm.purposes, GCM_DEFAULTS)

    # At most three words in each of seven fields: the cache needs no bound.
    @cache
    def read_words(words: tuple[str | None, ...]) -> Consent | None:
        said = {field: word for field, word in zip(GCM_FIELDS, words, strict=True) if word}
        if not said:
            return None
        version = "consent mode v1"
        if not said.keys().isdisjoint(_SECOND):
            version = "consent mode v2"
        granted = [
            name for name, fields in asked if all(said.get(field) == GRANTED for field in fields)
        ]
        return Consent(granted, "gcm", version)

    def read(consent: Consent) -> Consent | None:
        if not isinstance(consent.gcm, dict):
            return None
        words = tuple(map(consent.gcm.get, GCM_FIELDS))
        if not all(word in _WORDS for word in words):
            return None
        found = read_words(words)
        if found is None or consent.at is None:
            return found
        return replace(found, at=consent.at)

    return read

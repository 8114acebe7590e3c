"""What an event says of consent -> the one form in which it is kept, by the project's mapping.

Whatever a consent manager answers, the event is kept: an order must not get lost because a banner
is broken. Where the answer can't be read the consent is *not known*: no purpose that rests on
consent may read the event, and `liftwerk.events.consent.gaps` counts it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from liftwerk.definitions.project import Project
from liftwerk.events.consent.kinds import KINDS
from liftwerk.events.consent.wire import Consent

AHEAD = timedelta(days=1)
"""How far a client's clock may be ahead when it says when consent was given."""


class Resolver:
    """Resolves consents for one project.

    Parameters
    ----------
    project : Project

    Examples
    --------
    >>> from datetime import UTC
    >>> from liftwerk.sections import define
    >>> draft = define("shop", "EUR").add("purposes", "ads", basis="consent")
    >>> resolve = Resolver(draft.build())
    >>> now = datetime(2026, 3, 1, tzinfo=UTC)
    >>> yes = dict.fromkeys(("ad_storage", "ad_user_data", "ad_personalization"), "granted")
    >>> resolve(Consent(gcm=yes), now).granted
    ['ads']
    >>> resolve(Consent(tcf="not loaded yet"), now)
    Consent(granted=None, source='tcf', version=None, at=None, tcf=UNSET, gcm=UNSET)
    """

    def __init__(self, project: Project) -> None:
        self._readers = {name: reader(project) for name, reader in KINDS.items()}

    def __call__(self, consent: Consent, received: datetime) -> Consent:
        """Resolve one consent.

        Parameters
        ----------
        consent : Consent
            As it came.
        received : datetime
            When it came.

        Returns
        -------
        Consent
            With ``granted`` None where it can't be read. Resolved again, it is the same. A time of
            consent that lies ahead is dropped: it would outlast every withdrawal to come.
        """
        resolved = self._readers[consent.way](consent)
        if resolved is None:
            return Consent(source=consent.source)
        if resolved.at is not None and resolved.at - received > AHEAD:
            return replace(resolved, at=None)
        return resolved

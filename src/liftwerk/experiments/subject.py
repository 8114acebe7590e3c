"""Whom an answer is asked for: what OpenFeature calls the evaluation context."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from liftwerk.definitions.project import Project
from liftwerk.errors import InputError, UnknownName
from liftwerk.events.consent.wire import Consent
from liftwerk.events.identifiers import IDENTIFIERS, leaf_key
from liftwerk.events.schema import schema_of
from liftwerk.identity.resolve import named_identifier

WHERE = "the context"

TEXT_MOST = 1000
"""Longest text of a context that is looked at."""


class NoTargetingKey(InputError):
    """Nobody is named of whom an answer could be given."""


class Subject:
    """One context.

    Parameters
    ----------
    project : Project
    context : mapping
        ``targetingKey`` is an identifier: ``NAMESPACE:VALUE``, or a value of the ``namespace`` that
        stands beside it, or else of the first declared one. ``session`` is a session's id, and
        ``consent`` what was agreed to, as in events. Further identifiers stand under the names of
        their namespaces, and a region under the name that the experiment gives it.
    now : datetime
    """

    def __init__(self, project: Project, context: Mapping[str, Any], now: datetime) -> None:
        self._project = project
        self._context = context
        self._now = now

    def text(self, name: str) -> str | None:
        """Return a field of the context that has to be a text.

        Raises
        ------
        InputError
            If it is something else.
        """
        found = self._context.get(name)
        if found in (None, ""):
            return None
        if not isinstance(found, str) or len(found) > TEXT_MOST:
            raise InputError(f"{name} is no text of up to 1,000 characters", WHERE, "send a text")
        return found

    def consent(self) -> Consent | None:
        """Return what was agreed to, resolved as of an event.

        Raises
        ------
        InputError
            If it is not said as in events.
        """
        said = self._context.get("consent")
        if said is None:
            return None
        try:
            consent = msgspec.convert(said, Consent)
        except msgspec.ValidationError as error:
            hint = 'send {"granted": [PURPOSE], "source": "api"}'
            raise InputError(f"consent: {error}", WHERE, hint) from None
        return schema_of(self._project).resolve_consent(consent, self._now)

    def identifier(self, anonymous: bool = False) -> tuple[str, str]:
        """Return namespace and normalised value of the targeting key.

        Parameters
        ----------
        anonymous : bool
            Whether only a visitor's will do; then another field of the context may have it.

        Raises
        ------
        NoTargetingKey
            If there is none.
        InputError
            If it is not what its namespace demands.
        """
        namespaces = self._project.get(IDENTIFIERS)
        key = self.text("targetingKey")
        found = None
        if key is not None:
            try:
                found = named_identifier(self._project, key, self.text("namespace"))
            except UnknownName as error:
                raise InputError(error.what, WHERE, error.hint) from None
            if anonymous and not namespaces[found[0]].anonymous:
                found = None
        if found is None and anonymous:
            named = [name for name, one in namespaces.items() if one.anonymous]
            given = {name: self.text(name) for name in named}
            found = next(((name, one) for name, one in given.items() if one is not None), None)
        if found is None:
            hint = "send an identifier as targetingKey: NAMESPACE:VALUE"
            raise NoTargetingKey("nobody is named", WHERE, hint)
        namespace, value = found
        try:
            return namespace, namespaces[namespace].spell(value)
        except ValueError as error:
            raise InputError(f"{namespace}: {error}", WHERE, "check its spelling") from None

    def leaf(self) -> bytes | None:
        """Return the leaf key of whoever the targeting key names; None where it names nobody."""
        try:
            return leaf_key(*self.identifier())
        except InputError:
            return None

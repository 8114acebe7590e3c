"""What went wrong, as a problem document (RFC 9457) for programs and as a page for people."""

from __future__ import annotations

import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from liftwerk.errors import (
    EnvironmentFault,
    Forbidden,
    InputError,
    LiftwerkError,
    Overloaded,
    ProjectError,
    Refused,
    Throttled,
    TooLarge,
    TooSlow,
    Unauthenticated,
    UnknownForm,
    UnknownName,
)

MEDIA_TYPE = "application/problem+json"

STATUS: tuple[tuple[type[LiftwerkError], int], ...] = (
    (UnknownName, 404),
    (TooLarge, 413),
    (TooSlow, 408),
    (UnknownForm, 415),
    (InputError, 400),
    (ProjectError, 422),
    (Unauthenticated, 401),
    (Forbidden, 403),
    (Throttled, 429),
    (Refused, 422),
    (EnvironmentFault, 503),
)
"""HTTP status by family; the first that fits counts."""


def status_of(error: LiftwerkError) -> int:
    """Map an error's family to its HTTP status.

    Examples
    --------
    >>> status_of(UnknownName("no such decision", "42")), status_of(LiftwerkError("x", "y"))
    (404, 500)
    """
    for family, status in STATUS:
        if isinstance(error, family):
            return status
    return 500


def retry_after(error: LiftwerkError) -> str | None:
    """Return the seconds after which the same may be tried again, as a header says them.

    Examples
    --------
    >>> retry_after(Throttled("too much", "sources.web", retry_after=1.2))
    '2'
    >>> retry_after(InputError("not JSON", "the request's body")) is None
    True
    """
    if isinstance(error, Throttled):
        return str(max(math.ceil(error.retry_after), 1))
    if isinstance(error, Overloaded):
        return "1"
    if isinstance(error, EnvironmentFault):
        return "5"
    return None


def problem(
    status: int, detail: str, instance: str, members: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Make a problem document.

    Examples
    --------
    >>> problem(404, "no such decision", "/v1/decisions/42")["title"]
    'Not Found'
    """
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": instance,
    }
    document.update(members or {})
    return document


def problem_body(
    status: int, detail: str, instance: str, members: Mapping[str, Any] | None = None
) -> bytes:
    """Encode a problem document."""
    return msgspec.json.encode(problem(status, detail, instance, members))

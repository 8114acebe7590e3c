"""Named places where a kill matters.

``with fault("inbox_append"): ...`` marks work whose middle must not be torn. Set
``LIFTWERK_FAULT=inbox_append:before`` (or ``:after``, or ``:after:3`` for the third visit) and the
process ends there as a power cut would end it: no handlers, no flushes. Tests visit every site.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

SITES = (
    "inbox_append",
    "table_write",
    "table_sync",
    "snapshot_commit",
    "inbox_trim",
    "entity_commit",
    "artefact_write",
    "quarantine_release",
    "step_commit",
    "release_commit",
    "decision_commit",
    "online_commit",
    "forward_commit",
    "delivery_commit",
    "erase_collection",
    "tombstone_commit",
    "retention_intent",
    "key_commit",
    "experiment_commit",
    "effect_commit",
)
"""Every fault site there is; a test holds this list and the code together."""

_visits: dict[str, int] = {}


@contextmanager
def fault(site: str) -> Iterator[None]:
    """Mark one site; does nothing unless ``LIFTWERK_FAULT`` names it.

    Parameters
    ----------
    site : str
        One of `SITES`.

    Raises
    ------
    ValueError
        If the site is not listed.

    Examples
    --------
    >>> with fault("inbox_append"):
    ...     pass
    """
    if site not in SITES:
        raise ValueError(f"{site!r} is not a fault site")
    _die_if_asked(site, "before")
    yield
    _die_if_asked(site, "after")


def _die_if_asked(site: str, moment: str) -> None:
    wanted = os.environ.get("LIFTWERK_FAULT")
    if wanted is None:
        return
    name, _, rest = wanted.partition(":")
    when, _, count = rest.partition(":")
    if name != site or when != moment:
        return
    key = f"{site}:{moment}"
    _visits[key] = _visits.get(key, 0) + 1
    if _visits[key] >= int(count or "1"):
        os.kill(os.getpid(), signal.SIGKILL)

"""The ways in which consent is said, one file each.

Each file has ``reader(project)``: it prepares a function from a consent as it came to the one that
is kept, or to None where it cannot be read.
"""

from __future__ import annotations

from collections.abc import Callable

from liftwerk.definitions.project import Project
from liftwerk.events.consent.kinds import api, gcm, tcf
from liftwerk.events.consent.wire import Consent

Reader = Callable[[Consent], Consent | None]

KINDS: dict[str, Callable[[Project], Reader]] = {
    "api": api.reader,
    "tcf": tcf.reader,
    "gcm": gcm.reader,
}
"""Way -> what prepares its reader."""

"""liftwerk: a closed-loop learning engine for marketing that optimises incremental profit.

The rooms, in the order in which data pass them:

- `definitions`: liftwerk.toml or Python values become checked, versioned definitions.
- `stats`: arrays and sums in, `Estimate` or `Unknown` out.
- `privacy`: who may be read for what, as pure rules.
- `store`: all state the project keeps, a folder for each promise, and the catalogue of it.
- `events`: the log: admitted, deduplicated, compacted, and read for a purpose only.
- `identity`: which identifiers are one customer, since when and known since when.
- `connectors`: ways in and out: files, Segment's calls, the browser tracker; vendors are told.
- `features`: what was known of a customer as of a time.
- `metrics`: every number that counts, from its one definition.
- `models`: what an action is likely to change, learnt and explained.
- `experiments`: who is kept out of an action, so that what it adds can be measured.
- `decisions`: what to do for one customer, now, and what another policy would have earned.
- `releases`: what may go live, and the one pointer to what is live.
- `operations`: the runner that skips what is unchanged and lets one process at a time work.
- `governance`: proofs and rights: the audit trail, write keys, consent and erasure.
- `loop`: the whole loop on one page, and the only place that wires the rooms.
- `project`: the Python door to all of it.
- `server`: the pages, what they read, and the door that events come in by, over HTTP.
- `cli`: the commands, one file for each room.

Beside them stand `errors`, `clock`, `money`, `faults` and `lazy`, which every room may use,
`sections`, the list of all that a project may declare, and `simulation`, worlds with known truth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from liftwerk.lazy import attach

if TYPE_CHECKING:
    from liftwerk.clock import Clock
    from liftwerk.errors import LiftwerkError
    from liftwerk.money import Money
    from liftwerk.project.door import Project, open  # noqa: A004
    from liftwerk.sections import define
    from liftwerk.stats.estimate import Estimate, Unknown

__version__ = "0.1.0"

__all__ = [
    "Clock",
    "Estimate",
    "LiftwerkError",
    "Money",
    "Project",
    "Unknown",
    "__version__",
    "define",
    "open",
]

_WHERE = {
    "Clock": "liftwerk.clock",
    "Estimate": "liftwerk.stats.estimate",
    "LiftwerkError": "liftwerk.errors",
    "Money": "liftwerk.money",
    "Project": "liftwerk.project.door",
    "Unknown": "liftwerk.stats.estimate",
    "define": "liftwerk.sections",
    "open": "liftwerk.project.door",
}

__getattr__ = attach(__name__, _WHERE)

"""Accept what holds a view: an operator says that it is right as it is."""

from __future__ import annotations

from liftwerk.clock import Clock
from liftwerk.definitions.project import Project
from liftwerk.errors import Refused
from liftwerk.features.checks.finding import Finding
from liftwerk.features.checks.flags import read_held
from liftwerk.features.checks.keep import keep_accepted
from liftwerk.features.kept import kept_view
from liftwerk.features.update import Updater
from liftwerk.store.stores import Stores


def accept(
    project: Project, stores: Stores, clock: Clock, actor: str, view: str
) -> tuple[Finding, ...]:
    """Let pass what was found, in the ledger under a name, and let the view go on.

    It holds for values no worse than those that were found, for this version of the view, and until
    the check is declared otherwise.

    Parameters
    ----------
    project : Project
    stores : Stores
    clock : Clock
    actor : str
        Who says so.
    view : str

    Returns
    -------
    tuple of Finding
        What was accepted.

    Raises
    ------
    UnknownName
        If no such view is declared.
    Refused
        If nothing holds it, or if it is what no limit would let pass.
    """
    kept, now = kept_view(project, view), clock.now()
    where = f"feature_views.{view}"
    held = read_held(stores.online, kept.space)
    if held is None:
        hint = f"liftwerk features check {view} tells how it stands"
        raise Refused(f"nothing holds {view!r} back", where, hint)
    for one in held.findings:
        if one.observed is None:
            raise Refused(f"{one.found}: no limit lets that pass", one.where, "mend the data")
    # The entry first: what passes without one could not be explained.
    detail = {"checks": [one.where for one in held.findings], "version": kept.space}
    with stores.ledger.change(actor, "features.accept", where, detail, now):
        pass
    keep_accepted(stores.online, kept.space, held.findings, now)
    Updater(project, stores, clock, [view]).catch_up()
    return held.findings

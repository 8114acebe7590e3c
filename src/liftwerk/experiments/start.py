"""Start an experiment that was registered: from now on units get their arms."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from liftwerk.clock import Clock
from liftwerk.definitions.project import Project
from liftwerk.definitions.typed import Share
from liftwerk.errors import Refused
from liftwerk.experiments.definition import ExperimentDefinition
from liftwerk.experiments.layers import EVERYTHING, Range, find_range
from liftwerk.experiments.log import settle, write
from liftwerk.experiments.state import State, running
from liftwerk.experiments.version import body_of, differences, hash_of
from liftwerk.store.stores import Stores


def start(
    project: Project,
    stores: Stores,
    clock: Clock,
    actor: str,
    name: str,
    share: Share | None = None,
) -> State:
    """Start an experiment; one that runs already with this share is left alone.

    Parameters
    ----------
    project : Project
    stores : Stores
    clock : Clock
    actor : str
    name : str
        An experiment that is registered as it is declared.
    share : Share, optional
        The part of all units that may enter at first; by default all that is declared.

    Returns
    -------
    State

    Raises
    ------
    UnknownName
        If it is not declared.
    Refused
        If it is not registered as it is declared, was stopped, or there is no room for it.
    """
    body = body_of(project, name)
    where = f"experiment {name}"

    def attempt(state: State) -> State:
        if state.stage == "stopped":
            raise Refused("it was stopped", where, "declare a new experiment under a new name")
        if state.stage == "declared":
            raise Refused("it is not registered", where, f"liftwerk experiment plan {name}")
        if state.version != hash_of(body):
            refuse_changed(state, differences(state.body, body))
        asked = share or state.definition.share
        demand_share(where, asked, state.definition)
        if state.stage == "running":
            if asked.exact != state.share:
                hint = f"liftwerk experiment ramp {name} {asked}"
                raise Refused(
                    f"it runs already, with {percent(state.share)} of the units", where, hint
                )
            return state
        said = {"share": asked.canonical}
        ledger, experiment = stores.ledger, state.definition

        def place() -> dict[str, Any]:
            # Not itself: where another process has just started it, that is told by its number.
            others = [one for one in running(stores).values() if one.name != name]
            return {"begins": str(_place(others, experiment))}

        told = (ledger, clock, actor, state, "start", state.version, said)
        return write(*told, within=place)

    return settle(stores.ledger, name, attempt)


def refuse_changed(state: State, keys: tuple[str, ...]) -> None:
    """Refuse to go on with a definition that is not the registered one.

    Raises
    ------
    Refused
        Always.
    """
    told = ", ".join(keys[:3])
    if len(keys) > 3:
        told += f" and {len(keys) - 3} more"
    where = f"experiment {state.name}"
    if state.started is None:
        hint = f"register it anew: liftwerk experiment plan {state.name} --register"
        raise Refused(f"it was changed since it was registered ({told})", where, hint)
    hint = "put it back, or stop it and start a new one under another name"
    raise Refused(f"it was changed after its start ({told})", where, hint)


def demand_share(where: str, asked: Share, experiment: ExperimentDefinition) -> None:
    """Refuse a share of nobody, or of more than is declared.

    Raises
    ------
    Refused
        If it is so.
    """
    if asked.exact == 0:
        raise Refused("nobody may enter", where, "let somebody in, or stop it")
    if asked.exact > experiment.share.exact:
        hint = f"at most share = {str(experiment.share.exact)!r} may enter"
        raise Refused(f"{asked} is more than was registered", where, hint)


def percent(share: Fraction) -> str:
    """Write a share as people do.

    Examples
    --------
    >>> percent(Fraction(1, 5)), percent(Fraction(1, 3))
    ('20%', '33.33%')
    """
    return f"{float(100 * share):.4g}%"


def _place(others: Iterable[State], experiment: ExperimentDefinition) -> Fraction:
    """Find where in its layer an experiment has room."""
    if experiment.layer is None:
        return EVERYTHING.low
    beside = [one for one in others if one.definition.layer == experiment.layer]
    reserved = [Range(one.begins, one.begins + one.definition.share.exact) for one in beside]
    return find_range(experiment.layer, experiment.share.exact, reserved).low

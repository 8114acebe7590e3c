"""What may be said of a pack in the project file, and what a kind of pack is."""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeAlias

from msgspec import Struct, field

from liftwerk.definitions.lines import Path
from liftwerk.definitions.problem import Problem
from liftwerk.definitions.project import Project
from liftwerk.definitions.typed import Duration
from liftwerk.features.definition import FeatureDefinition, PriorDefinition

PackName = Literal["rfm", "engagement", "affinity", "channel", "session", "lifecycle", "cohort"]
"""Every kind of pack; ``kinds`` holds one file each."""


class Signal(Struct, frozen=True):
    """What a customer did about a message. Short form: the event's name.

    Attributes
    ----------
    event : str
        The event.
    where : str or None
        Which of them count.
    prior : PriorDefinition or None
        What is believed of the share of messages before any is seen.
    """

    event: str
    where: str | None = None
    prior: PriorDefinition | None = None

    @classmethod
    def shorthand(cls, text: str) -> Signal:
        """Read an event's name."""
        return cls(text)


class FeaturePack(Struct, frozen=True):
    """``[feature_packs.NAME]``: several features of one kind; their names begin with ``NAME_``.

    Attributes
    ----------
    kind : str or None
        The kind of pack; the pack's own name unless it is said.
    from_ : str or None
        The event it is mainly about (``from`` in the file).
    value : str or None
        For ``rfm``: what an event is worth, a property that can be added up.
    property : str or None
        For ``affinity`` what is preferred, for ``session`` what is looked at, such as
        ``items.category`` or ``page``.
    values : tuple of str
        For ``affinity`` the values that get a share each, for ``cohort`` the properties that are
        told.
    events : tuple of str
        For ``engagement`` and ``session``: the events that are counted.
    opened, clicked, unsubscribed : Signal or None
        For ``channel``: what is done about a message.
    returned : Signal or None
        For ``lifecycle``: the event of goods that came back.
    where : str or None
        Which of the events of ``from`` count.
    window : Duration or None
        How far back it looks, where it does.
    half_life : Duration or None
        After which time an event counts half, where it decays.
    prior : PriorDefinition or None
        What is believed of a share before anything is seen, where there are shares.
    saturation : float or None
        For ``channel``: how many recent messages make a customer half saturated.
    active, lapsed : Duration or None
        For ``lifecycle``: up to which time since the last event a customer is active, and from
        which time lapsed.
    entity : str or None
        For ``cohort``: the declared entity that is a cohort; the features of the customer that are
        named like the parts of its key say which.
    size : str or None
        For ``cohort``: the property that says how many customers are in it.
    minimum : int or None
        For ``cohort``: how many there must be at least.
    owner : str
        Who answers for the features.
    """

    kind: PackName | None = None
    from_: str | None = field(name="from", default=None)
    value: str | None = None
    property: str | None = None
    values: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    opened: Signal | None = None
    clicked: Signal | None = None
    unsubscribed: Signal | None = None
    returned: Signal | None = None
    where: str | None = None
    window: Duration | None = None
    half_life: Duration | None = None
    prior: PriorDefinition | None = None
    saturation: float | None = None
    active: Duration | None = None
    lapsed: Duration | None = None
    entity: str | None = None
    size: str | None = None
    minimum: int | None = None
    owner: str = ""

    @builtins.property  # the field `property` hides the short name here
    def given(self) -> dict[str, Any]:
        """What was said, by its key in the file, but for the words that every kind knows."""
        said = {name: getattr(self, name) for name in self.__struct_fields__}
        said["from"] = said.pop("from_")
        for name in ("kind", "owner"):
            del said[name]
        return {name: value for name, value in said.items() if value not in (None, ())}

    @builtins.property
    def unnest(self) -> str | None:
        """The list that ``property`` is a field of."""
        items, dot, _ = (self.property or "").partition(".")
        if dot:
            return items
        return None


Made: TypeAlias = Iterable[tuple[str, FeatureDefinition]]
"""Features, each by the end of its name."""


class Pack(Struct, frozen=True):
    """A kind of pack.

    Attributes
    ----------
    name : str
        As it is written in the project file.
    says : str
        What it is for.
    needs, takes : tuple of str
        Keys that must be given, and that may be.
    gives : tuple of str
        Ends of the features' names; a word in capitals stands for a name or value of the project.
    make : callable
        (the pack, its name) -> features.
    types : mapping of str to tuple of str
        Keys that name a property of the event of ``from``, and the types it may have.
    entity : str
        Whom the features are about.
    check : callable or None
        Yields what else is wrong with a pack.
    """

    name: str
    says: str
    needs: tuple[str, ...]
    takes: tuple[str, ...]
    gives: tuple[str, ...]
    make: Callable[[FeaturePack, str], Made]
    types: Mapping[str, tuple[str, ...]] = {}
    entity: str = "customer"
    check: Callable[[Project, Path, FeaturePack], Iterable[Problem]] | None = None


def in_name(text: str) -> str:
    """Write a value so that it can be part of a feature's name.

    Examples
    --------
    >>> in_name("Men's Shoes")
    'men_s_shoes'
    """
    return re.sub("[^a-z0-9]+", "_", text.lower()).strip("_")


def shrunk(hits: str, of: str, prior: PriorDefinition) -> str:
    """Write a share that is drawn towards what was believed before, as an expression.

    Examples
    --------
    >>> from liftwerk.definitions.typed import Share
    >>> shrunk("opened", "sent", PriorDefinition(Share("20%"), 10))
    'least((opened + 2.0) / (sent + 10.0), 1)'
    """
    weight = float(prior.weight)
    return f"least(({hits} + {prior.share.value * weight!r}) / ({of} + {weight!r}), 1)"

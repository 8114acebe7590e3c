"""Everything that may be declared, in the order in which data pass the rooms.

The list is light: no engine, no array library is loaded to read a project file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from liftwerk.connectors.definition import IMPORT_LIMITS, IMPORTS
from liftwerk.connectors.destinations.definition import DESTINATIONS
from liftwerk.connectors.segment.definition import SEGMENT
from liftwerk.decisions.definition import ACTIONS, PLACEMENTS, POLICIES
from liftwerk.definitions.define import Definitions
from liftwerk.definitions.project import PROJECT
from liftwerk.definitions.section import Section
from liftwerk.events.consent.definition import CONSENT
from liftwerk.events.definition import EVENTS, SOURCES
from liftwerk.events.entities.definition import ENTITIES
from liftwerk.experiments.definition import EXPERIMENTS
from liftwerk.features.definition import FEATURES
from liftwerk.features.fixtures.definition import FEATURE_TESTS
from liftwerk.features.packs.definition import FEATURE_PACKS
from liftwerk.features.views import FEATURE_VIEWS
from liftwerk.identity.definition import IDENTIFIERS, IDENTITY
from liftwerk.metrics.definition import GOAL, METRICS
from liftwerk.models.definition import MODELS
from liftwerk.privacy.definition import PURPOSES
from liftwerk.store.definition import STORE

SECTIONS: tuple[Section[Any], ...] = (
    PROJECT,
    PURPOSES,
    CONSENT,
    STORE,
    SOURCES,
    EVENTS,
    IDENTIFIERS,
    IDENTITY,
    ENTITIES,
    IMPORT_LIMITS,
    IMPORTS,
    SEGMENT,
    DESTINATIONS,
    FEATURE_PACKS,
    FEATURES,
    FEATURE_VIEWS,
    FEATURE_TESTS,
    METRICS,
    GOAL,
    MODELS,
    EXPERIMENTS,
    ACTIONS,
    PLACEMENTS,
    POLICIES,
)
"""Every section of the project file."""


def define(name: str, currency: str, *, root: Path | str = ".", **settings: Any) -> Definitions:
    """Begin a project in Python.

    Parameters
    ----------
    name : str
        The project's name.
    currency : str
        ISO 4217 code of its money.
    root : path-like
        The folder that relative paths start from.
    **settings
        Further keys of ``[project]``.

    Returns
    -------
    Definitions
        To be filled by `add`, and made a project by `build`.

    Examples
    --------
    >>> draft = define("shop", "EUR")
    >>> draft = draft.add("events", "visit", version=1, description="A visit to the site")
    >>> draft = draft.add(
    ...     "features", "visits", entity="customer", from_="visit", aggregate="count", window="30d"
    ... )
    >>> draft.build().get(FEATURES)["visits"].from_
    'visit'
    """
    draft = Definitions(SECTIONS, root)
    return draft.add("project", name=name, currency=currency, **settings)

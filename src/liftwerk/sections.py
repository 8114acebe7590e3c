"""Everything that may be declared, in the order in which data pass the rooms."""

from __future__ import annotations

from typing import Any

from liftwerk.connectors.definition import IMPORT_LIMITS, IMPORTS
from liftwerk.decisions.definition import ACTIONS, PLACEMENTS, POLICIES
from liftwerk.definitions.project import PROJECT
from liftwerk.definitions.section import Section
from liftwerk.events.definition import EVENTS, SOURCES
from liftwerk.features.definition import FEATURES
from liftwerk.identity.definition import IDENTIFIERS
from liftwerk.metrics.definition import GOAL, METRICS
from liftwerk.models.definition import MODELS
from liftwerk.privacy.definition import PURPOSES
from liftwerk.store.definition import STORE

SECTIONS: tuple[Section[Any], ...] = (
    PROJECT,
    PURPOSES,
    STORE,
    SOURCES,
    EVENTS,
    IDENTIFIERS,
    IMPORT_LIMITS,
    IMPORTS,
    FEATURES,
    METRICS,
    GOAL,
    MODELS,
    ACTIONS,
    PLACEMENTS,
    POLICIES,
)
"""Every section of the project file."""

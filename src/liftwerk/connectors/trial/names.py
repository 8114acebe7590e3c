"""What the columns of a trial's file are called in its project."""

from __future__ import annotations

from liftwerk.connectors.trial import words
from liftwerk.connectors.trial.understand import Trial
from liftwerk.events.definition import RESERVED
from liftwerk.events.properties import ENVELOPE_COLUMNS

HISTORY, ORDER = "history_recorded", "order_completed"
SPEND, MARGIN, CONVERSION = "spend", "margin", "conversion"
PLACEMENT, MODEL, POLICY = "campaign", "campaign_uplift", "best_action"

_TAKEN = frozenset(
    (
        *ENVELOPE_COLUMNS,
        *(SPEND, MARGIN, CONVERSION, "order_id", "revenue"),
        *("action", "eligible", "mature", "placement", "probabilities", "probability", "unit"),
    )
)
"""Names that columns of the rows to learn from have already."""


class Names:
    """Names for a trial's features, events, metrics and actions.

    Attributes
    ----------
    features : dict of str to str
        Column -> feature, and property of the history event.
    events : dict of str to str
        Column of an outcome -> event, and metric.
    outcomes : list of str
        Metrics whose effects are estimated, money last.
    identifier : str
        The namespace of the key.
    """

    def __init__(self, trial: Trial) -> None:
        taken = set(_TAKEN)
        self.features = {
            one.column.name: _free(one.column.name, f"column_{place}", taken)
            for place, one in enumerate(trial.history.known, start=1)
        }
        taken |= {*RESERVED, HISTORY, ORDER}
        self.events = {
            one.column: _free(one.column, f"outcome_{place}", taken)
            for place, one in enumerate(trial.outcomes.binaries, start=1)
        }
        self.outcomes = [*self.events.values()]
        if not self.outcomes or trial.outcomes.money is None:
            self.outcomes.append(CONVERSION)
        self.outcomes.append(SPEND)
        self.identifier = "customer_id"
        if trial.key.emails == trial.key.filled:
            self.identifier = "email"

    @property
    def has_order_id(self) -> bool:
        """Whether the key may also name an order: an address belongs into no property."""
        return self.identifier != "email"


def _free(name: str, fallback: str, taken: set[str]) -> str:
    """Make a name that nothing else has."""
    found = words.slug(name, fallback)
    if found in taken or found.startswith("leaf_"):
        found = f"file_{found}"
    plain, place = found, 2
    while found in taken:
        found, place = f"{plain}_{place}", place + 1
    taken.add(found)
    return found

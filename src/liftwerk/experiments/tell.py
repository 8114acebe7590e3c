"""An answer becomes events: that a unit was given its arm, and that it was shown to it.

Their ids say experiment and unit, so that whatever tells them again, a retry, another process or
the unit's next visit, tells nothing new.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from liftwerk.events.consent.wire import Consent
from liftwerk.events.ids import made_id
from liftwerk.events.live import row_about
from liftwerk.events.schema import Schema
from liftwerk.experiments.evaluate import Answer, Unit
from liftwerk.experiments.spine import ASSIGNED, SHOWN
from liftwerk.store.inbox.protocol import InboxRow


def told(
    schema: Schema, answer: Answer, consent: Consent | None, now: datetime, exposed: bool
) -> list[InboxRow]:
    """Make the events of an answer.

    Parameters
    ----------
    schema : Schema
    answer : Answer
    consent : Consent or None
        What the unit agreed to, as it is kept.
    now : datetime
    exposed : bool
        Whether the answer is shown at once.

    Returns
    -------
    list of InboxRow
        None for an answer that is no experiment's.
    """
    unit = answer.unit
    if answer.experiment is None or unit is None:
        return []
    properties: dict[str, Any] = {
        "experiment": answer.experiment,
        "arm": answer.variant,
        "probability": answer.probability,
    }
    if not unit.leaves and unit.session is None:
        properties["unit"] = unit.text
    if answer.tester:
        properties["tester"] = True
    rows = [_row(schema, ASSIGNED, answer, unit, properties, consent, now)]
    if exposed:
        shown = {
            "variant": answer.value,
            "placement": answer.placement,
            "experiment": answer.experiment,
            "arm": answer.variant,
        }
        rows.append(_row(schema, SHOWN, answer, unit, shown, consent, now))
    return rows


def _row(
    schema: Schema,
    name: str,
    answer: Answer,
    unit: Unit,
    properties: dict[str, Any],
    consent: Consent | None,
    now: datetime,
) -> InboxRow:
    whose = (answer.experiment or "", unit.text, str(answer.period), str(answer.tester))
    envelope: dict[str, Any] = {
        "name": name,
        "version": schema.types[name].definition.version,
        "id": str(made_id(name, *whose)),
        "time": now,
        "properties": properties,
    }
    if unit.session is not None:
        envelope["session"] = unit.session
    if consent is not None:
        envelope["consent"] = consent
    row, reason = row_about(schema, name, msgspec.json.encode(envelope), unit.leaves, now)
    assert row is not None, reason
    return row

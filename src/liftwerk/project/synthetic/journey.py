"""What a customer who does not exist does: looks around, agrees, changes their mind, twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import msgspec
import numpy as np

from liftwerk.clock import Clock
from liftwerk.definitions.project import Project
from liftwerk.errors import ProjectError
from liftwerk.events.admit import admit
from liftwerk.events.definition import EVENTS, EventDefinition
from liftwerk.events.identifiers import leaf_key
from liftwerk.events.made_up import identifier, made_up
from liftwerk.events.schema import Schema, schema_of
from liftwerk.privacy.definition import PURPOSES, Purpose
from liftwerk.project.synthetic.door import Answer, Door

Step = Literal["before", "granted", "withdrawn", "granted again"]
STEPS: tuple[Step, ...] = ("before", "granted", "withdrawn", "granted again")
"""Where a customer is in the consent flow when something happens."""

BROKEN = "liftwerk_not_declared"
"""A property that no project declares."""

TRIES = 100_000
"""Names that are tried until one falls into a source's sample."""


@dataclass(frozen=True)
class Sent:
    """An event that was sent, and where in the flow."""

    source: str
    step: Step
    body: dict[str, Any]

    @property
    def id(self) -> str:
        """The event's id."""
        return str(self.body["id"])


@dataclass
class Record:
    """All that was sent, and all that was answered.

    Attributes
    ----------
    sent : list of Sent
        What should arrive.
    refused : list of Sent
        What must not.
    faults : dict of str to list of str
        What was wrong with answers, by the check that it breaks.
    leaves : list of bytes
        Leaf keys of the customers.
    changes : int
        Changes of consent that should arrive.
    between : tuple of datetime
        Our clock before the first request and after the last.
    """

    sent: list[Sent] = field(default_factory=list)
    refused: list[Sent] = field(default_factory=list)
    faults: dict[str, list[str]] = field(default_factory=dict)
    leaves: list[bytes] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    between: tuple[datetime, datetime] | None = None

    def fault(self, check: str, words: str) -> None:
        """Keep what breaks a check."""
        self.faults.setdefault(check, []).append(words)


ACCEPTED = "every valid event is accepted"
REFUSED = "a broken event is refused, with its reason"
CHANGED = "a change of consent is accepted"


def revocable(project: Project) -> dict[str, Purpose]:
    """Return the purposes that somebody can grant and withdraw."""
    bases = ("consent", "legitimate_interest")
    return {name: one for name, one in project.get(PURPOSES).items() if one.basis in bases}


class Journey:
    """One source's made-up customers on their way.

    Parameters
    ----------
    project : Project
    source : str
    door : Door
    clock : Clock
    generator : numpy.random.Generator
    run : str
        What this run is called in the identifiers.
    record : Record
        Where it is written down.
    """

    def __init__(
        self,
        project: Project,
        source: str,
        door: Door,
        clock: Clock,
        generator: np.random.Generator,
        run: str,
        record: Record,
    ) -> None:
        self.project = project
        self.schema: Schema = schema_of(project)
        self.source = source
        self.door = door
        self.clock = clock
        self.generator = generator
        self.run = run
        self.record = record
        self.events: Mapping[str, EventDefinition] = project.get(EVENTS)
        self.purposes = revocable(project)

    def walk(self, number: int) -> None:
        """Send one customer through the whole flow."""
        identifiers = self._customer(number)
        for name, value in identifiers.items():
            space = self.schema.namespaces[name]
            self.record.leaves.append(leaf_key(name, space.spell(value)))
        self._do("before", self._before(identifiers), None)
        if self.purposes:
            self._change(identifiers, granted=[*self.purposes])
        consent = self._consent()
        again = self._do("granted", identifiers, consent)
        if self.purposes:
            self._change(identifiers, withdrawn=[*self.purposes])
            self._do("withdrawn", identifiers, consent)
            self._change(identifiers, granted=[*self.purposes])
            self._do("granted again", identifiers, self._consent())
        # As a client does whose answer was lost.
        self._expect_taken(self.door.post("/v1/events", again), len(again))
        self._break(identifiers)

    def _customer(self, number: int) -> dict[str, str]:
        """Make up a customer whom the source's sample keeps."""
        for attempt in range(TRIES):
            name = f"{self.run}-{self.source}-{number}-{attempt}".replace("_", "-")
            identifiers = {
                key: identifier(space, name, self.generator)
                for key, space in self.schema.namespaces.items()
            }
            name, definition = next(iter(self.events.items()))
            body = self._event(name, definition, identifiers, None)
            now = self.clock.now()
            if not admit([msgspec.json.encode(body)], self.schema, self.source, now).sampled_out:
                return identifiers
        what = f"no made-up customer falls into the sample of {self.source}"
        raise ProjectError(what, f"sources.{self.source}.sample", "keep a larger part")

    def _before(self, identifiers: Mapping[str, str]) -> Mapping[str, str]:
        """Leave the customer a visitor, where they can be one and all visitors are kept."""
        spaces = self.schema.namespaces
        anonymous = {name: one for name, one in identifiers.items() if spaces[name].anonymous}
        if anonymous and self.schema.sources[self.source].sample.exact == 1:
            return anonymous
        return identifiers

    def _consent(self) -> dict[str, Any]:
        granted = [name for name, one in self.purposes.items() if one.basis == "consent"]
        return {"granted": granted, "source": "api", "at": self.clock.now().isoformat()}

    def _event(
        self,
        name: str,
        definition: EventDefinition,
        identifiers: Mapping[str, str],
        consent: Mapping[str, Any] | None,
    ) -> dict[str, Any]:
        body = made_up(
            name,
            definition,
            self.project.currency,
            self.clock.now(),
            identifiers,
            self.generator,
            whole=consent is not None,
        )
        body["session"] = f"{self.run}-{self.source}"
        if consent is not None:
            body["consent"] = dict(consent)
        return body

    def _do(
        self, step: Step, identifiers: Mapping[str, str], consent: Mapping[str, Any] | None
    ) -> list[dict[str, Any]]:
        """Send one event of every kind."""
        bodies = [
            self._event(name, definition, identifiers, consent)
            for name, definition in self.events.items()
        ]
        self.record.sent += [Sent(self.source, step, body) for body in bodies]
        self._expect_taken(self.door.post("/v1/events", bodies), len(bodies))
        return bodies

    def _change(
        self,
        identifiers: Mapping[str, str],
        granted: Sequence[str] = (),
        withdrawn: Sequence[str] = (),
    ) -> None:
        change = {
            "identifiers": dict(identifiers),
            "granted": list(granted),
            "withdrawn": list(withdrawn),
            "synthetic": True,
        }
        answer = self.door.post("/v1/consent", change)
        event = answer.said.get("event")
        if answer.status == 200 and isinstance(event, str):
            self.record.changes.append(event)
        else:
            self.record.fault(CHANGED, f"{self.source}: {_why(answer)}")

    def _expect_taken(self, answer: Answer, many: int) -> None:
        if answer.status != 200 or answer.said.get("accepted") != many:
            self.record.fault(ACCEPTED, f"{self.source}: {_why(answer)}")

    def _break(self, identifiers: Mapping[str, str]) -> None:
        """Send broken events before a valid one: they are named, and it is taken."""
        name, definition = next(iter(self.events.items()))
        broken = [*self._broken(identifiers)]
        valid = self._event(name, definition, identifiers, None)
        self.record.refused += [Sent(self.source, "before", body) for body, _ in broken]
        step: Step = "before"
        if self.purposes:
            step = "granted again"
            valid["consent"] = self._consent()
        self.record.sent.append(Sent(self.source, step, valid))
        answer = self.door.post("/v1/events", [*(body for body, _ in broken), valid])
        told = {one["index"]: one["reason"] for one in answer.said.get("refused", [])}
        wanted = {place: reason for place, (_, reason) in enumerate(broken)}
        if (answer.status, told, answer.said.get("accepted")) != (422, wanted, 1):
            self.record.fault(REFUSED, f"{self.source}: {_why(answer)}")

    def _broken(self, identifiers: Mapping[str, str]) -> Iterator[tuple[dict[str, Any], str]]:
        """Make broken events, each with the reason for which it must be refused."""
        for name, definition in self.events.items():
            body = self._event(name, definition, identifiers, None)
            body["properties"][BROKEN] = 1
            yield body, f"{name}: no field {BROKEN!r} is declared"
            for key, one in definition.properties.items():
                if one.required:
                    body = self._event(name, definition, identifiers, None)
                    del body["properties"][key]
                    yield body, f"{name}.{key} is missing"
                    break


def _why(answer: Answer) -> str:
    refused = answer.said.get("refused")
    if refused:
        return f"{answer.status}, {refused[0].get('reason')}"
    if answer.said.get("filtered"):
        return f"{answer.status}, {answer.said['filtered']} filtered"
    return f"{answer.status}, {answer.said.get('detail', 'no word why')}"

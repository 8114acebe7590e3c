"""Answers for whoever shows something: the arm is told, durable, before it is given.

An answer costs a few hashes of what is in memory. Only a unit's first one waits for the disk: what
is told already is not told again by this process, and by another one it is the same event.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from liftwerk.definitions.project import Project
from liftwerk.errors import ProjectError
from liftwerk.events.collect import Collector
from liftwerk.events.refreshed import Refreshed
from liftwerk.events.schema import schema_of
from liftwerk.experiments.board import board_of
from liftwerk.experiments.evaluate import Answer, Unit, control_answer, evaluate
from liftwerk.experiments.state import states
from liftwerk.experiments.subject import Subject
from liftwerk.experiments.tell import told
from liftwerk.store.inbox.protocol import InboxRow

BOARD_SECONDS = 4.0
"""How old a process's knowledge of what runs may be: a start, ramp or stop reaches it in time."""

TOLD_MOST = 200_000
"""Events of which a process remembers that they are told."""


class Answers:
    """One process's answers.

    Parameters
    ----------
    project : Project
    collector : Collector
        Takes what is told.
    controls : mapping of str to str
        Placement -> its control action.
    """

    def __init__(self, project: Project, collector: Collector, controls: Mapping[str, str]) -> None:
        self._project = project
        self._collector = collector
        self._schema = schema_of(project)
        ledger = collector.stores.ledger
        self._board = Refreshed(lambda: board_of(project, states(ledger), controls), BOARD_SECONDS)
        self._told: set[bytes] = set()

    @property
    def placements(self) -> list[str]:
        """Every placement there is."""
        return list(self._board.value().controls)

    async def answer(
        self, placements: Sequence[str], context: Mapping[str, Any], exposed: bool = False
    ) -> list[Answer | ProjectError]:
        """Answer for one unit at some placements, once all that there is to tell is durable.

        Parameters
        ----------
        placements : sequence of str
        context : mapping
            Whom it is for, as `Subject` reads it.
        exposed : bool
            Whether what is answered is shown at once.

        Returns
        -------
        list of Answer or ProjectError
            What was asked, in order: of one that can't be answered what is wrong.

        Raises
        ------
        Overloaded, StoreFault
            If it cannot be told; then nobody may be given anything.
        """
        now = self._collector.clock.now()
        answers: list[Answer | ProjectError] = []
        rows: list[InboxRow] = []
        subject = Subject(self._project, context, now)
        for placement in placements:
            try:
                answer = self._one(placement, subject, now)
                rows += told(self._schema, answer, subject.consent(), now, exposed)
            except ProjectError as error:
                answers.append(error)
            else:
                answers.append(answer)
        news = [row for row in rows if row.event_id not in self._told]
        if news:
            await self._collector.tell(news)
            if len(self._told) > TOLD_MOST:
                self._told.clear()
            self._told.update(row.event_id for row in news)
        return answers

    def _one(self, placement: str, subject: Subject, now: datetime) -> Answer:
        board = self._board.value()
        answer = evaluate(board, placement, subject, now)
        if answer.unit is not None and self._is_gone(answer.unit):
            return control_answer(board, placement)
        return answer

    def _is_gone(self, unit: Unit) -> bool:
        """Say whether a unit was erased: nothing may be told of it."""
        gone = self._collector.buried
        return bool(gone) and any(bytes.fromhex(leaf) in gone for leaf in unit.leaves.values())

    def close(self) -> None:
        """Stop looking what runs."""
        self._board.close()

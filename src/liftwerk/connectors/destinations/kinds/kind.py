"""What a kind of destination answers."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from liftwerk.connectors.destinations.exchange import Answer, Message, Request, Response
from liftwerk.definitions.lines import Path
from liftwerk.definitions.problem import Problem
from liftwerk.definitions.project import Project

if TYPE_CHECKING:
    from liftwerk.connectors.destinations.definition import Destination


class Kind(Protocol):
    """One vendor's protocol: what it wants, in its own words, and what its answers mean."""

    @property
    def url(self) -> str:
        """The vendor's own address; empty when there is none."""
        ...

    @property
    def most(self) -> int:
        """Most events in a request."""
        ...

    @property
    def most_bytes(self) -> int:
        """Most bytes of a request."""
        ...

    @property
    def takes_lists(self) -> bool:
        """Whether lists are sent without being named."""
        ...

    @property
    def delivery(self) -> tuple[str, ...]:
        """The fields that events may carry for their delivery alone."""
        ...

    def problems(self, project: Project, path: Path, destination: Destination) -> Iterable[Problem]:
        """Yield what the vendor would not take of a definition."""
        ...

    def unfit(self, destination: Destination, message: Message, now: datetime) -> str:
        """Say why the vendor would not take an event, such as its age; empty when it would."""
        ...

    def together(self, message: Message) -> Hashable:
        """Return what messages of one request share."""
        ...

    def request(
        self, destination: Destination, secret: str, messages: Sequence[Message], now: datetime
    ) -> Request:
        """Make the request that tells some events."""
        ...

    def judge(self, response: Response, now: datetime) -> Answer:
        """Say what an answer means."""
        ...

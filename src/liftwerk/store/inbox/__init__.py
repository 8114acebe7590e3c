"""The inbox: the durable log in which an event rests once it is acknowledged.

Rows are appended and read by offset; what could not be admitted is kept beside them in quarantine.
What a body means, and which ids were seen before, is left to the events room.
"""

from liftwerk.store.inbox.protocol import Inbox, InboxRow, Quarantined, QuarantineGroup, Rejected

INBOXES = {
    "postgresql": "liftwerk.store.inbox.kinds.postgresql:PostgresqlInbox",
    "sqlite": "liftwerk.store.inbox.kinds.sqlite:SqliteInbox",
}
"""URL scheme -> where the kind is; one line a kind."""

__all__ = ["INBOXES", "Inbox", "InboxRow", "QuarantineGroup", "Quarantined", "Rejected"]

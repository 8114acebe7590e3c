"""Online values: one row a key and space, and how far into the log each space has come.

A space is one version of a view for one purpose, or what belongs to it. Rows and progress are
written in one transaction, so that the tail of the log is applied exactly once. What a key and a
body mean is left to the features room.
"""

from liftwerk.store.online.protocol import Changes, Online, Progress, Reading, Row, Space

ONLINES = {
    "postgresql": "liftwerk.store.online.kinds.postgresql:PostgresqlOnline",
    "sqlite": "liftwerk.store.online.kinds.sqlite:SqliteOnline",
}
"""URL scheme -> where the kind is; one line a kind."""

__all__ = ["ONLINES", "Changes", "Online", "Progress", "Reading", "Row", "Space"]

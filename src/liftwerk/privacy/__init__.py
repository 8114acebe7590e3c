"""Who may be read for what: purposes, bases and the one rule, as pure functions.

Nothing here reads or writes: the rooms that scan apply the rule, in Python or compiled to SQL.
"""

from liftwerk.privacy.definition import Purpose
from liftwerk.privacy.permitted import AsOf, Withdrawal, permitted, permitted_sql
from liftwerk.privacy.purposes import find_purpose, known_purposes
from liftwerk.privacy.tags import TAGS, Tag

__all__ = [
    "TAGS",
    "AsOf",
    "Purpose",
    "Tag",
    "Withdrawal",
    "find_purpose",
    "known_purposes",
    "permitted",
    "permitted_sql",
]

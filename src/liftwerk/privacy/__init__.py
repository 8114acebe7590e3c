"""Who may be read for what: purposes, bases and the one rule, as pure functions.

Nothing here reads or writes: the rooms that scan apply the rule, in Python or compiled to SQL.
"""

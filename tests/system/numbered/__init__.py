"""Numbered events, sent to a real collector while it is killed, and an account of each of them.

`events` says what each number sends, `client` sends it from a process of its own, `kill` runs the
collector and kills it, and `truth` holds the tables against what was acknowledged.
"""

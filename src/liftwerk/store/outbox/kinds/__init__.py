"""Kinds of outboxes."""

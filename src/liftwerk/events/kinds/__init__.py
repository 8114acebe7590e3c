"""The languages that types of events are written in."""

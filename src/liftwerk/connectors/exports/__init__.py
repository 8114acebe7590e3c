"""Exports of other platforms: what one of their rows is in the project's own words.

A kind knows the form that a platform writes and where it keeps what a shop's events usually ask
for; an import's ``names`` and ``fields`` say what is different. Which rows there are is left to
`liftwerk.connectors.import_history`, what an event must look like to `liftwerk.events`.
"""

from __future__ import annotations

KINDS = {
    "ga4": "liftwerk.connectors.exports.kinds.ga4",
    "segment": "liftwerk.connectors.exports.kinds.segment",
}
"""Kind of export -> its file; one line a kind."""

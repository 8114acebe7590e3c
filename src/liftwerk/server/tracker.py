"""`/t.js`: the browser tracker, for pages of any origin."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get

from liftwerk.connectors.tracker.script import tracker_etag, tracker_script

CACHE_SECONDS = 3600


@get("/t.js", summary="The browser tracker", media_type="text/javascript", sync_to_thread=False)
def tracker(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Give the script that a shop's pages load; a browser that has it is told so."""
    headers = {
        "etag": tracker_etag(),
        "cache-control": f"public, max-age={CACHE_SECONDS}",
        "access-control-allow-origin": "*",
        "cross-origin-resource-policy": "cross-origin",
    }
    if request.headers.get("if-none-match") == tracker_etag():
        return Response(b"", status_code=304, headers=headers, media_type="text/javascript")
    return Response(tracker_script(), headers=headers, media_type="text/javascript")

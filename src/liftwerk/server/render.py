"""Templates to HTML: Jinja macros, everything escaped, missing names are errors."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Response
from litestar.enums import MediaType

from liftwerk import __version__
from liftwerk.server import format as fmt
from liftwerk.server import words

HERE = Path(__file__).parent
STATIC = HERE / "static"


@lru_cache(maxsize=64)
def asset(name: str) -> str:
    """Give a static file's address, which changes with its content and may be kept for ever."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()
    return f"/static/{name}?v={digest[:12]}"


def readable(value: Any) -> str:
    """Write a value of an event or feature for people.

    Examples
    --------
    >>> readable(True), readable(None), readable(1234.5), readable("Phone")
    ('yes', 'none', '1,234.5', 'Phone')
    >>> readable({"b": 1, "a": [2, 3]})
    'b 1, a 2, 3'
    """
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return fmt.number(value)
    if isinstance(value, float):
        return fmt.number(value, 6).rstrip("0").rstrip(".")
    if isinstance(value, dict):
        return ", ".join(f"{name} {readable(part)}" for name, part in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(readable(part) for part in value)
    return str(value)


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        asset=asset,
        fmt=fmt,
        word=words.word,
        verdict=words.verdict,
        readable=readable,
        version=__version__,
    )
    return environment


ENVIRONMENT = _environment()


def page(template: str, *, status_code: int = 200, **context: Any) -> Response[str]:
    """Render a template as an answer.

    Parameters
    ----------
    template : str
        File in ``templates/``.
    status_code : int
        HTTP status.
    **context
        What the template shows.
    """
    text = ENVIRONMENT.get_template(template).render(**context)
    return Response(content=text, status_code=status_code, media_type=MediaType.HTML)

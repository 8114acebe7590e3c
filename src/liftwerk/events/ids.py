"""Ids that are made and not given: the same fact told twice has the same id."""

from __future__ import annotations

import hashlib
import json
from uuid import UUID


def made_id(*parts: str) -> UUID:
    """Make an id from what names a fact.

    Parameters
    ----------
    parts : str
        In a fixed order, the first saying who makes it.

    Returns
    -------
    uuid.UUID
        Version 8 of RFC 9562: the first 16 bytes of SHA-256 over the parts as a JSON array, with
        the version's and the variant's bits set.

    Examples
    --------
    >>> made_id("import", "trial", "visit", "3")
    UUID('699a3d68-2501-8ebb-8a0a-e8fbb6ff8d33')
    """
    text = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
    raw = bytearray(hashlib.sha256(text.encode()).digest()[:16])
    raw[6] = (raw[6] & 0x0F) | 0x80
    raw[8] = (raw[8] & 0x3F) | 0x80
    return UUID(bytes=bytes(raw))


def made_id_sql(*parts: str) -> str:
    """Write `made_id` in DuckDB's SQL, as hexadecimal text without hyphens.

    Parameters
    ----------
    parts : str
        SQL expressions of text; the id is null when one of them is.

    Examples
    --------
    >>> import duckdb
    >>> sql = made_id_sql("'import'", "'trial'", "'visit'", "'3'")
    >>> [(made,)] = duckdb.sql(f"SELECT {sql}").fetchall()
    >>> UUID(made) == made_id("import", "trial", "visit", "3")
    True
    """
    digits = f"left(sha256(json_array({', '.join(parts)})::VARCHAR), 32)"
    known = " AND ".join(f"{part} IS NOT NULL" for part in parts)
    variant = "substr('89ab', (strpos('0123456789abcdef', h[17]) - 1) % 4 + 1, 1)"
    bits = f"h[1:12] || '8' || h[14:16] || {variant} || h[18:32]"
    return f"CASE WHEN {known} THEN list_transform([{digits}], lambda h: {bits})[1] END"

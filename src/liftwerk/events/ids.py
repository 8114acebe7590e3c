"""Ids that are made and not given: the same fact told twice has the same id."""

from __future__ import annotations

import hashlib
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
        Version 8 of RFC 9562: the first 16 bytes of SHA-256 over the parts as netstrings (length
        in bytes, colon, text in UTF-8), with the version's and the variant's bits set.

    Examples
    --------
    >>> made_id("import", "trial", "visit", "3")
    UUID('9b077270-3272-8fdb-974b-4ff45bdd09b2')
    """
    text = "".join(f"{len(part.encode())}:{part}" for part in parts)
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
    text = " || ".join(f"strlen({part}) || ':' || {part}" for part in parts)
    digits = f"left(sha256({text}), 32)"
    known = " AND ".join(f"{part} IS NOT NULL" for part in parts)
    variant = "substr('89ab', (strpos('0123456789abcdef', h[17]) - 1) % 4 + 1, 1)"
    bits = f"h[1:12] || '8' || h[14:16] || {variant} || h[18:32]"
    return f"CASE WHEN {known} THEN list_transform([{digits}], lambda h: {bits})[1] END"

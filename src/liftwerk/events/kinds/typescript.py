"""Types of events in TypeScript: an interface a record, and one union told apart by ``name``."""

from __future__ import annotations

import json
from collections.abc import Iterator

from liftwerk.events.json_schema import Document
from liftwerk.events.plan import EVENT, Field, Plan, Record

_WORDS = {
    "string": "string",
    "integer": "number",
    "number": "number",
    "boolean": "boolean",
    "null": "null",
    "object": "Record<string, unknown>",
}


def written(plan: Plan) -> str:
    """Write a plan as a TypeScript module.

    Examples
    --------
    >>> stars = Field("stars", {"type": "integer"}, True, "How many")
    >>> print(written(Plan("shop", (Record("Rated", "A rating", (stars,)),), ("Rated",))))
    // Events of the project "shop"; written by `liftwerk schema types`, do not edit.
    <BLANKLINE>
    /** A rating */
    export interface Rated {
      /** How many */
      stars: number;
    }
    <BLANKLINE>
    export type Event =
      | Rated;
    <BLANKLINE>
    """
    project = json.dumps(plan.project, ensure_ascii=False)
    head = f"// Events of the project {project}; written by `liftwerk schema types`, do not edit."
    lines = [head, ""]
    for record in plan.records:
        lines += [*_record(record), ""]
    lines.append(f"export type {EVENT} =")
    lines += [f"  | {name}" for name in plan.events]
    lines[-1] += ";"
    return "\n".join(lines) + "\n"


def _record(record: Record) -> Iterator[str]:
    yield from _comment(record.description, "")
    if not record.fields and record.extends is None:
        yield f"export type {record.name} = Record<string, never>;"
        return
    extends = ""
    if record.extends is not None:
        extends = f" extends {record.extends}"
    yield f"export interface {record.name}{extends} {{"
    for field in record.fields:
        yield from _comment(field.description, "  ")
        yield f"  {_field(field)};"
    yield "}"


def _field(field: Field) -> str:
    mark = "?"
    if field.required:
        mark = ""
    return f"{field.name}{mark}: {_type(field.type)}"


def _type(part: Document) -> str:
    if "$ref" in part:
        return str(part["$ref"])
    if "const" in part:
        return json.dumps(part["const"], ensure_ascii=False)
    if "enum" in part:
        return " | ".join(json.dumps(one, ensure_ascii=False) for one in part["enum"])
    if "anyOf" in part:
        return " | ".join(_type(one) for one in part["anyOf"])
    if "type" not in part:
        return "unknown"
    if part["type"] == "array":
        return f"Array<{_type(part['items'])}>"
    return _WORDS[part["type"]]


def _comment(text: str, indent: str) -> Iterator[str]:
    if text:
        yield f"{indent}/** {text.replace('*/', '* /')} */"

"""Types of events in Python: a typed dictionary a record, and one union told apart by ``name``."""

from __future__ import annotations

import json
import keyword
from collections.abc import Iterator

from liftwerk.events.json_schema import Document
from liftwerk.events.plan import EVENT, Field, Plan, Record

_WORDS = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "null": "None",
    "object": "dict[str, Any]",
}

_HEAD = """\
from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict
"""


def written(plan: Plan) -> str:
    """Write a plan as a Python module.

    Examples
    --------
    >>> stars = Field("stars", {"type": "integer"}, True, "How many")
    >>> module = written(Plan("shop", (Record("Rated", "", (stars,)),), ("Rated",)))
    >>> print(module[module.index("class") :])
    class Rated(TypedDict):
        stars: int  # How many
    <BLANKLINE>
    <BLANKLINE>
    Event: TypeAlias = Rated
    <BLANKLINE>
    """
    by = "written by `liftwerk schema types`, do not edit"
    lines = [f"# Events of the project {plan.project!r}; {by}.", _HEAD, ""]
    for record in plan.records:
        lines += [*_record(record), "", ""]
    if len(plan.events) == 1:
        lines.append(f"{EVENT}: TypeAlias = {plan.events[0]}")
    else:
        lines.append(f"{EVENT}: TypeAlias = (")
        lines.append(f"    {plan.events[0]}")
        lines += [f"    | {name}" for name in plan.events[1:]]
        lines.append(")")
    return "\n".join(lines) + "\n"


def _record(record: Record) -> Iterator[str]:
    parent = record.extends or "TypedDict"
    if record.extends is None and any(keyword.iskeyword(field.name) for field in record.fields):
        # Such a key can be no attribute of a class.
        yield f"{record.name} = TypedDict("
        yield f'    "{record.name}",'
        yield "    {"
        for field in record.fields:
            yield f'        "{field.name}": {_optional(field)},{_comment(field.description)}'
        yield "    },"
        yield ")"
        return
    yield f"class {record.name}({parent}):"
    if record.description:
        words = record.description.replace("\\", "\\\\").replace('"', '\\"')
        yield f'    """{words}"""'
        yield ""
    for field in record.fields:
        yield f"    {field.name}: {_optional(field)}{_comment(field.description)}"
    if not record.fields and not record.description:
        yield "    pass"


def _optional(field: Field) -> str:
    if field.required:
        return _type(field.type)
    return f"NotRequired[{_type(field.type)}]"


def _type(part: Document) -> str:
    if "$ref" in part:
        return str(part["$ref"])
    if "const" in part:
        return f"Literal[{_quoted(part['const'])}]"
    if "enum" in part:
        return f"Literal[{', '.join(map(_quoted, part['enum']))}]"
    if "anyOf" in part:
        return " | ".join(_type(one) for one in part["anyOf"])
    if "type" not in part:
        return "Any"
    if part["type"] == "array":
        return f"list[{_type(part['items'])}]"
    return _WORDS[part["type"]]


def _quoted(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _comment(text: str) -> str:
    if not text:
        return ""
    return f"  # {text}"

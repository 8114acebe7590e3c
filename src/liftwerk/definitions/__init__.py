"""What is meant: ``liftwerk.toml`` or Python values become checked, versioned definitions.

Only the machinery is here: files, lines, types, errors, hashes. What may be declared is each
room's own business: its ``definition.py`` brings structs and a `Section`, and
`liftwerk.sections` lists them all.
"""

from liftwerk.definitions.define import Definitions
from liftwerk.definitions.load import build, load, problems
from liftwerk.definitions.problem import Problem
from liftwerk.definitions.project import PROJECT, Project
from liftwerk.definitions.schema import json_schema
from liftwerk.definitions.section import Section

__all__ = [
    "PROJECT",
    "Definitions",
    "Problem",
    "Project",
    "Section",
    "build",
    "json_schema",
    "load",
    "problems",
]

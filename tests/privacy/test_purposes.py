from __future__ import annotations

import subprocess
import sys

import pytest

from liftwerk.definitions import build
from liftwerk.errors import UnknownName
from liftwerk.privacy.definition import HOUSEKEEPING, PURPOSES
from liftwerk.privacy.purposes import find_purpose, known_purposes
from liftwerk.privacy.tags import TAGS, strictest

VALUES = {
    "project": {"name": "shop", "currency": "EUR"},
    "purposes": {"ads": {"basis": "consent"}},
}


def test_declared_and_built_in() -> None:
    project = build(VALUES, [PURPOSES])
    assert list(known_purposes(project)) == ["ads", *HOUSEKEEPING]
    assert find_purpose(project, "ads").withdrawal == "future"
    assert find_purpose(project, "erasure").basis == "legal_obligation"


def test_unknown() -> None:
    with pytest.raises(UnknownName) as caught:
        find_purpose(build(VALUES, [PURPOSES]), "add")
    assert str(caught.value) == "unknown purpose 'add': liftwerk.toml: did you mean 'ads'?"


def test_tags_are_ordered() -> None:
    assert strictest(*TAGS) == "sensitive"


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys, liftwerk.sections, liftwerk.privacy.permitted, liftwerk.privacy.purposes\n"
        "heavy = {'numpy', 'pyarrow', 'duckdb', 'scipy', 'lightgbm', 'litestar', 'deltalake'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")

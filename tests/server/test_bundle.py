"""The committed chart library: there, named, small, and built from what frontend/ pins."""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUNDLE = ROOT / "src" / "liftwerk" / "server" / "static" / "echarts.min.js"
FRONTEND = ROOT / "frontend"


def test_bundle_names_the_pinned_version_and_its_licences() -> None:
    text = BUNDLE.read_text()
    pinned = json.loads((FRONTEND / "package.json").read_text())["devDependencies"]["echarts"]
    assert text.startswith(f"/*!\n * Apache ECharts {pinned} with ZRender ")
    head = text[: text.index("*/")]
    for words in ("Apache License, Version 2.0", "BSD 3-Clause License", "Mike Bostock"):
        assert words in head
    assert f'"{pinned}"' in text[len(head) :]
    assert len(text.encode()) < 700_000


def test_bundle_asks_nobody_for_anything() -> None:
    code = BUNDLE.read_text()
    code = code[code.index("*/") :]
    addresses = set(re.findall(r"https?://[\w./-]+", code))
    assert all(address.startswith("http://www.w3.org/") for address in addresses), addresses
    for word in ("XMLHttpRequest", "fetch(", "eval(", "new Function", "importScripts"):
        assert word not in code, word


def test_lock_file_records_no_download_address() -> None:
    text = (FRONTEND / "package-lock.json").read_text()
    assert '"resolved"' not in text
    assert "http" not in text
    packages = json.loads(text)["packages"]
    assert all("integrity" in entry for name, entry in packages.items() if name)

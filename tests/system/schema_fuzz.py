"""Schemathesis, its own command, over the OpenAPI of a server that runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.system.collector import KEYS, Server

COMMAND = Path(sys.executable).with_name("schemathesis")
SETTINGS = Path(__file__).with_name("schemathesis.toml")


def fuzz(server: Server, *options: str, seed: int) -> subprocess.CompletedProcess[str]:
    """Send what the schema allows and what it forbids; fails on an answer it does not declare."""
    key = f"Authorization: Bearer {KEYS['SHOP_KEY']}"
    command = [COMMAND, "--config-file", SETTINGS, "run", f"{server.address}schema", "-H", key]
    command += ["--seed", str(seed), "--generation-database", "none", "--warnings", "off"]
    return subprocess.run(
        [*command, "--no-color", "--continue-on-failure", *options],
        capture_output=True,
        text=True,
        cwd=server.folder,
    )

"""Collect millions of numbered events while the collector is killed, and check every one of them.

    .venv/bin/python -m soak.collector [--kills 200] [--events 10_000_000] [--seed N] [--minutes 40]

Two workers collect, a compactor sorts; each of them, the whole server and `identity unmerge` are
killed at random moments. Prints one JSON document; exits 1 when something that was acknowledged is
lost, doubled, changed, or readable for a purpose that it was not agreed to.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import tempfile
import time
from pathlib import Path

from tests.system.numbered.kill import kill_and_check, what_is_wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    parser.add_argument("--minutes", type=float, default=40.0, help="then nothing more is begun")
    parser.add_argument("--folder", type=Path, help="an empty one; by default a temporary one")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", file=sys.stderr)
    began = time.monotonic()
    asked = (arguments.seed, arguments.events, arguments.kills, arguments.minutes * 60)
    if arguments.folder is not None:
        told = kill_and_check(arguments.folder, *asked)
    else:
        with tempfile.TemporaryDirectory() as folder:
            told = kill_and_check(Path(folder), *asked)
    wrong = what_is_wrong(told)
    told |= {"seconds": round(time.monotonic() - began), "wrong": wrong, "holds": not wrong}
    print(json.dumps(told, indent=2))
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())

"""Kill who fills views and who keeps them up to date, and compare with one that nobody disturbs.

    .venv/bin/python -m soak.features [--kills 200] [--seed 1] [--store sqlite|postgresql|both]

Each round is a history of late and repeated events, links, withdrawals and erasures. In two homes
the same comes in; in one the processes are killed with ``kill -9``, at named places and at random
moments, while views are filled and while they follow. Only kills that came before a process had
ended are counted. After each stage the keys, the values and the offsets in both have to be the
same. Prints one JSON document; exits 1 when they are not.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from tests.identity.histories import history
from tests.postgresql import PostgresqlServer, private_server
from tests.system.kept_kills import Pair, at_random, stages

KINDS = ("sqlite", "postgresql")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--store", choices=[*KINDS, "both"], default="both")
    arguments = parser.parse_args()
    kinds = [kind for kind in KINDS if arguments.store in (kind, "both")]
    began = time.monotonic()
    counts: Counter[str] = Counter()
    failed: dict[str, str] = {}
    with ExitStack() as opened:
        server = None
        if "postgresql" in kinds:
            server = opened.enter_context(private_server())
        seed = arguments.seed
        while sum(counts[f"killed on {kind}"] for kind in kinds) < arguments.kills:
            kind = kinds[seed % len(kinds)]
            try:
                with tempfile.TemporaryDirectory() as folder:
                    found = round_of(Path(folder), seed, server if kind == "postgresql" else None)
            except AssertionError as error:
                failed[f"{kind} {seed}"] = str(error).partition("\n")[0]
                found = Counter()
            counts += Counter({f"{name} on {kind}": many for name, many in found.items()})
            counts[f"rounds on {kind}"] += 1
            print(f"seed {seed} on {kind}: {dict(found)}", file=sys.stderr, flush=True)
            if len(failed) > len(kinds):
                break
            seed += 1
    result = {
        "seeds": [arguments.seed, seed],
        "holds": not failed,
        "failed": failed,
        "seconds": round(time.monotonic() - began),
        "counts": counts,
    }
    print(json.dumps(result))
    return int(bool(failed))


def round_of(folder: Path, seed: int, server: PostgresqlServer | None) -> Counter[str]:
    """Live one history; returns how many processes there were, and how many were killed."""
    draw = random.Random(seed)
    servers = {}
    if server is not None:
        with server.connect() as connection:
            connection.execute("drop schema if exists liftwerk cascade")
        servers = {"online": server.url}
    first, *later = stages(history(draw, events=64), 4)
    pair = Pair(folder, servers)
    lasts = 1.0
    for place, steps in enumerate([first, *later]):
        hour = pair.live(steps, sort=place == 0 or draw.random() < 0.5)
        for _ in range(draw.randrange(4, 9)):
            pair.kill(hour, **at_random(draw, lasts))
        began = time.monotonic()
        assert not pair.kill(hour), "it was not let be"
        lasts = time.monotonic() - began
        pair.follow(hour)
        pair.compare()
    return pair.counts


if __name__ == "__main__":
    raise SystemExit(main())

"""Hold five ways of making a feature's value against each other, over random worlds.

    .venv/bin/python -m soak.parity [--cases 100000] [--seed 0] [--world 1000]
    .venv/bin/python -m soak.parity --seed 17 --case 4

A case is one person's history under one world's definitions, asked twice: late, repeated and
corrected reports, merges and unmerges, consent taken back and given again, erasures, events of one
microsecond, clocks ahead, days on which clocks change. See `tests.features.worlds`. Batch on DuckDB
and over Spark Connect, streams to SQLite and to PostgreSQL, and plain Python must give the same.
With ``--case`` one case of the world of that seed is lived alone. Prints one JSON document; exits 1
when a case is answered apart, and tells it with all that it takes.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

from tests.features.five_ways import Spark, check
from tests.features.spark import spark_connect
from tests.features.worlds import world
from tests.postgresql import private_server

from liftwerk.store.online import ONLINES
from liftwerk.store.urls import open_url

TOLD = 3
"""Cases that are told in full."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--world", type=int, default=1000, help="cases in one world")
    parser.add_argument("--case", type=int, help="only this case of the seed's world")
    arguments = parser.parse_args()
    many = min(arguments.world, arguments.cases)
    seeds = list(range(arguments.seed, arguments.seed + -(-arguments.cases // many)))
    cases = range(many)
    if arguments.case is not None:
        seeds, cases = [arguments.seed], range(arguments.case, arguments.case + 1)
    began = time.monotonic()
    counts: Counter[str] = Counter()
    failed: dict[int, int] = {}
    with private_server() as server, spark_connect() as session:
        online = open_url("online store", ONLINES, server.url)
        with closing(online):
            for seed in seeds:
                with tempfile.TemporaryDirectory() as folder:
                    spark = Spark(session, Path(folder) / "spark")
                    found, apart = check(Path(folder), [world(seed, cases)], online, spark)
                counts += found
                if apart:
                    failed[seed] = len(apart)
                for one in apart[:TOLD]:
                    print(one.text(), file=sys.stderr)
                seconds = time.monotonic() - began
                said = f"seed {seed}: {len(apart)} answered apart, {seconds:.0f} s"
                print(said, file=sys.stderr, flush=True)
    result = {
        "seeds": [seeds[0], seeds[-1]],
        "holds": not failed,
        "failed": failed,
        "seconds": round(time.monotonic() - began),
        "counts": counts,
    }
    print(json.dumps(result))
    return int(bool(failed))


if __name__ == "__main__":
    raise SystemExit(main())

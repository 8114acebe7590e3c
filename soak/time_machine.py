"""Take training sets during a year that never was, and make all of them again at its end.

    .venv/bin/python -m soak.time_machine [--sets 1000] [--events 4000] [--erasures 12] [--seed 1]

Events come late and repeatedly, customers are linked and told apart, consents are taken back,
several sources report one order, and some customers are erased: see `tests.system.year`. Every set
has rows, features and a purpose of its own, and has to be the same to the last byte; rows that an
erasure may touch are left out and counted. Prints one JSON document; exits 1 when one is not.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from pathlib import Path

from tests.system.year import Year

from liftwerk.store.home import Home
from liftwerk.store.stores import open_stores


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sets", type=int, default=1000)
    parser.add_argument("--events", type=int, default=4000)
    parser.add_argument("--erasures", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    began = time.monotonic()
    failed = ""
    with tempfile.TemporaryDirectory() as folder:
        sets = Path(folder) / "sets"
        sets.mkdir()
        with open_stores(Home.open(Path(folder) / "home", create=True)) as stores:
            draw = random.Random(arguments.seed)
            how = (arguments.events, arguments.sets, arguments.erasures)
            year = Year(stores, sets, draw, *how)
            with stores.home.hold("soak"):
                year.live()
            try:
                year.check()
            except AssertionError as error:
                failed = str(error).partition("\n")[0]
    result = {
        "seed": arguments.seed,
        "holds": not failed,
        "failed": failed,
        "seconds": round(time.monotonic() - began),
        "counts": year.counts,
    }
    print(json.dumps(result))
    return int(bool(failed))


if __name__ == "__main__":
    raise SystemExit(main())

"""Ask thousands of simulated trials whether effects differ, and count the answers.

    .venv/bin/python -m soak.heterogeneity [--seeds 1000] [--first 0]

Prints one JSON document; exits 1 when a constant effect is called different in more than 6.5% of
the seeds for some question, or a planted difference is found in fewer than 90%.
"""

from __future__ import annotations

import argparse
import json
import sys
import time

from tests.stats.effects import QUESTIONS, ask_many, share

PLANTED = "womens_email/visit"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    results = {}
    for name in ("constant_effect", "planted", "nothing_works", "resampled", "lognormal"):
        began = time.monotonic()
        answers = ask_many(name, seeds, arguments.processes)
        results[name] = {
            asked: {word: share(answers, asked, word) for word in ("yes", "no")}
            for asked in QUESTIONS
        }
        print(name, round(time.monotonic() - began), results[name], file=sys.stderr)
    false_yes = max(
        results[name][asked]["yes"]
        for name in ("constant_effect", "nothing_works")
        for asked in QUESTIONS
    )
    found = results["planted"][PLANTED]["yes"]
    holds = false_yes <= 0.065 and found >= 0.90
    document = {
        "seeds": arguments.seeds,
        "holds": holds,
        "most_false_yes": false_yes,
        "planted_found": found,
        "worlds": results,
    }
    print(json.dumps(document))
    return int(not holds)


if __name__ == "__main__":
    sys.exit(main())

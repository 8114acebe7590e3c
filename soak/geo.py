"""Map where the interval of a geo lift covers, over worlds, markets and lengths.

    .venv/bin/python -m soak.geo [--experiments 400] [--cells plain]

Each cell draws tests with known truth (`liftwerk.simulation.geo_trial`, frozen), measures each as
`geo read` does, and counts how often the 95% interval held the true effect among those answered,
how often one was claimed (p <= 0.05), and how often the answer was `Unknown`. The interval is
conservative by design, so only the lower bound is held: that of a binomial at 95%, with all cells
sharing a 5% chance of one false alarm. Prints one JSON document; exits 1 when a cell falls short.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass

import numpy as np
from scipy.stats import binom

from liftwerk.simulation.geo_trial import WORLDS
from liftwerk.stats.estimate import Estimate
from liftwerk.stats.synthetic_control import Measured, Panel, measure

LEVEL = 0.95


@dataclass(frozen=True)
class Cell:
    """A world and a design."""

    world: str
    markets: int
    treated: int
    before: int
    during: int

    def experiment(self, rng: np.random.Generator) -> tuple[float, Measured]:
        """Draw one test and measure it; give the true effect with it."""
        design = {key: value for key, value in asdict(self).items() if key != "world"}
        trial = WORLDS[self.world].draw(rng, **design)
        panel = Panel(
            trial.outcome[:, trial.treated], trial.outcome[:, ~trial.treated], trial.before
        )
        return trial.effect, measure(panel, LEVEL)


CELLS = (
    *(Cell(world, 20, 2, 60, 14) for world in WORLDS),
    *(Cell(world, 30, 3, 90, 14) for world in WORLDS),
    *(Cell(world, 30, 2, 90, 28) for world in ("plain", "autocorrelated", "trends")),
    *(Cell(world, 15, 1, 28, 7) for world in ("plain", "autocorrelated", "trends")),
    *(Cell(world, 20, 1, 60, 1) for world in ("plain", "autocorrelated", "trends")),
)
"""The mapped region: from 15 markets, 28 days before and twice the test's length on."""


def figures(cell: Cell, experiments: int, seed: int) -> dict[str, float]:
    """Run a cell."""
    rng = np.random.default_rng(seed)
    held = claimed = answered = 0
    widths = []
    for _ in range(experiments):
        truth, found = cell.experiment(rng)
        if not isinstance(found.answer, Estimate):
            continue
        answered += 1
        held += found.answer.low <= truth <= found.answer.high
        claimed += found.p_value is not None and found.p_value <= 1.0 - LEVEL
        widths.append(found.answer.high - found.answer.low)
    return {
        "answered": answered / experiments,
        "coverage": held / max(answered, 1),
        "claimed": claimed / max(answered, 1),
        "median_width": float(np.median(widths)),
        "least": float(binom.ppf(0.05 / len(CELLS), answered, LEVEL)) / max(answered, 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--experiments", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cells", default="", help="only cells of this world")
    arguments = parser.parse_args()
    rows = []
    for place, cell in enumerate(CELLS):
        if arguments.cells not in ("", cell.world):
            continue
        found = figures(cell, arguments.experiments, arguments.seed + place)
        rows.append(asdict(cell) | found | {"holds": found["coverage"] >= found["least"]})
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    print(json.dumps({"experiments": arguments.experiments, "map": rows}))
    return int(not all(row["holds"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())

"""Small trials with planted effects, for the tests of the uplift models."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from liftwerk.models.design import Design, Floats, Ints


@dataclass(frozen=True)
class Drawn:
    """A trial and what it was drawn from."""

    table: pa.Table
    action: Ints
    outcome: Floats
    logged: Floats
    effects: Floats

    @property
    def design(self) -> Design:
        """The features as the models read them."""
        return Design.from_table(self.table)

    def with_outcome(self, outcome: Floats) -> Drawn:
        """Replace the outcomes."""
        return replace(self, outcome=outcome)


def draw(n: int, seed: int, slope: float = 1.0, noise: float = 2.0, steps: float = 0.0) -> Drawn:
    """Draw three arms with unequal, customer-dependent probabilities.

    Action 1 adds ``1 + slope * age``, action 2 adds ``-0.5 + slope * [area is Rural]``, and with
    `steps` action 2 adds that much to the middle of the ages.
    """
    rng = np.random.default_rng(seed)
    age = rng.normal(size=n)
    spend = rng.lognormal(4.0, 1.0, n)
    loyal = rng.random(n) < 0.4
    area = rng.choice(["Rural", "Urban", "Suburban"], n)
    tilt = np.where(loyal, 0.1, -0.1)
    logged = np.column_stack([0.4 - tilt, 0.3 + tilt, np.full(n, 0.3)])
    action = (rng.random(n)[:, None] > np.cumsum(logged, axis=1)[:, :2]).sum(axis=1)
    middle = np.abs(age) < 0.67
    effects = np.column_stack(
        [1.0 + slope * age, -0.5 + slope * (area == "Rural") + steps * middle]
    )
    base = 0.5 * age + 0.3 * loyal + 0.002 * spend
    lift = np.concatenate([np.zeros((n, 1)), effects], axis=1)[np.arange(n), action]
    outcome = base + lift + noise * rng.normal(size=n)
    table = pa.table(
        {
            "age": pa.array(age, mask=rng.random(n) < 0.05),
            "spend": spend,
            "loyal": loyal,
            "area": area,
        }
    )
    return Drawn(table, action.astype(np.int64), outcome, logged, effects)

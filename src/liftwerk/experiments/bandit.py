"""Read what arms are worth from a bandit's log of decisions and their rewards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct
from numpy.typing import NDArray

from liftwerk.errors import Refused
from liftwerk.stats.adaptive import (
    Difference,
    Log,
    anytime_difference,
    anytime_value,
    difference,
    value,
)
from liftwerk.stats.adaptive.estimate import one_arm
from liftwerk.stats.estimate import Estimate, Unknown

Floats = NDArray[np.float64]


class ArmReading(Struct, frozen=True):
    """What a log says of one arm.

    Attributes
    ----------
    arm : str
    drawn : int
        In how many rows.
    value : Estimate or Unknown
        What it earns for each row.
    difference : Difference or None
        To control; None for control itself.
    """

    arm: str
    drawn: int
    value: Estimate | Unknown
    difference: Difference | None


def bandit_log(table: pa.Table, arms: Sequence[str]) -> Log:
    """Lay out a table of decisions and rewards.

    Parameters
    ----------
    table : pyarrow.Table
        A row a decision, in the order of the draws: ``action`` (string), ``probability`` (double),
        ``reward`` (double). It may hold ``state`` (what the bandit had learned: neighbours with the
        same one are a batch; without it all rows are one), and ``eligible`` with ``probabilities``
        (lists, of one length a row), as `decision_made` has them.
    arms : sequence of str
        What may be drawn, control first.

    Returns
    -------
    Log

    Raises
    ------
    Refused
        If rows are missing, an action is no arm, a reward is missing, or a probability is none.

    Examples
    --------
    >>> table = pa.table({"action": ["a", "b"], "probability": [0.5, 0.5], "reward": [0.0, 1.0]})
    >>> bandit_log(table, ["a", "b"]).action.tolist()
    [0, 1]
    """
    if table.num_rows == 0:
        raise Refused("no decision to read", "the bandit's log", "wait for decisions with rewards")
    for name in ("action", "probability", "reward"):
        missing = table.column(name).null_count
        if missing:
            hint = "leave out decisions that are not known or not mature yet"
            raise Refused(f"{missing} rows have no {name}", "the bandit's log", hint)
    numbers = pc.index_in(table.column("action"), value_set=pa.array(arms, pa.string()))
    if numbers.null_count:
        stranger = table.column("action").filter(numbers.is_null())[0].as_py()
        hint = f"name it among the arms: {', '.join(arms)}"
        raise Refused(f"{stranger!r} was drawn and is no arm", "the bandit's log", hint)
    try:
        return Log(
            table.column("reward").to_numpy().astype(np.float64),
            numbers.to_numpy().astype(np.int64),
            table.column("probability").to_numpy().astype(np.float64),
            _batches(table),
            tuple(arms),
            _probabilities(table, arms),
        )
    except ValueError as error:
        hint = "read the log as it was written: all probabilities come from there"
        raise Refused(str(error), "the bandit's log", hint) from error


def read_arms(
    log: Log, *, planned: int | None = None, level: float = 0.95
) -> tuple[ArmReading, ...]:
    """Read each arm's value and its difference to control, the first arm.

    Parameters
    ----------
    log : Log
        From `bandit_log`.
    planned : int, optional
        Rows for which intervals that hold at every look are narrowest. Without it intervals are for
        a log that is read once.
    level : float

    Returns
    -------
    tuple of ArmReading
        In the arms' order.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> action = rng.integers(0, 2, 2000)
    >>> table = pa.table({
    ...     "action": np.array(["nothing", "voucher"])[action],
    ...     "probability": np.full(2000, 0.5),
    ...     "reward": rng.normal(action * 0.5),
    ... })
    >>> nothing, voucher = read_arms(bandit_log(table, ["nothing", "voucher"]))
    >>> voucher.difference.estimate.low > 0.3
    True
    """
    control = one_arm(log, log.arms[0])
    readings = []
    for position, arm in enumerate(log.arms):
        policy = one_arm(log, arm)
        between = None
        if planned is None:
            alone = value(log, policy, level=level)
        else:
            alone = anytime_value(log, policy, planned=planned, level=level)
        if position > 0 and planned is None:
            between = difference(log, policy, control, level=level)
        elif position > 0 and planned is not None:
            between = anytime_difference(log, policy, control, planned=planned, level=level)
        drawn = int((log.action == position).sum())
        readings.append(ArmReading(arm, drawn, alone, between))
    return tuple(readings)


def policy_value(
    log: Log, policy: Mapping[str, float], *, level: float = 0.95
) -> Estimate | Unknown:
    """Estimate what a policy that knows no context would earn for each row.

    Parameters
    ----------
    log : Log
    policy : mapping of str to float
        Arm -> probability; they add up to 1.
    level : float

    Returns
    -------
    Estimate or Unknown

    Raises
    ------
    ValueError
        If the probabilities do not add up to 1.
    """
    chances = np.zeros(len(log.arms))
    for arm, chance in policy.items():
        chances += chance * one_arm(log, arm)
    if abs(chances.sum() - 1.0) > 1e-9 or chances.min() < 0.0:
        raise ValueError(f"a policy's probabilities add up to 1, not {chances.sum():g}")
    return value(log, chances, level=level)


def _batches(table: pa.Table) -> NDArray[np.int64]:
    """Count the changes of the bandit's state: neighbours with one state are one batch."""
    if "state" not in table.column_names:
        # One batch is always right, if not the sharpest: probabilities that differ within a batch
        # are taken to come from contexts, which no weight may know before the row is drawn.
        return np.zeros(table.num_rows, dtype=np.int64)
    states = table.column("state").combine_chunks().dictionary_encode(null_encoding="encode")
    codes = states.indices.to_numpy()
    return np.concatenate([[0], np.cumsum(codes[1:] != codes[:-1])]).astype(np.int64)


def _probabilities(table: pa.Table, arms: Sequence[str]) -> Floats | None:
    """Lay out all arms' probabilities; None where some row holds only the drawn one's."""
    if not {"eligible", "probabilities"} <= set(table.column_names):
        return None
    listed = table.column("eligible").combine_chunks()
    chances = table.column("probabilities").combine_chunks()
    whole = pc.equal(pc.list_value_length(listed), pc.list_value_length(chances))
    if not pc.all(pc.fill_null(whole, False)).as_py():
        return None
    owner = pc.list_parent_indices(listed).to_numpy()
    position = pc.index_in(pc.list_flatten(listed), value_set=pa.array(arms, pa.string()))
    known = position.is_valid().to_numpy(zero_copy_only=False)
    laid = np.zeros((table.num_rows, len(arms)))
    columns = position.filter(position.is_valid()).to_numpy().astype(np.int64)
    laid[owner[known], columns] = pc.list_flatten(chances).to_numpy()[known]
    return laid

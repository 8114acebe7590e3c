"""Past decisions to learn from: one row a customer, with the probabilities they were drawn with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from liftwerk.definitions import Project
from liftwerk.errors import Refused
from liftwerk.identity.resolve import relations
from liftwerk.store.stores import Stores

DECISION = "decision_made"

UNSENT_STAGES = ("draft", "shadow")
"""What such a release decided was never sent, so it is no exposure."""


def learning_spine(
    project: Project, stores: Stores, placement: str, actions: Sequence[str], purpose: str
) -> pa.Table:
    """List the decisions of a placement that may be learned from.

    Parameters
    ----------
    project : Project
    stores : Stores
    placement : str
    actions : sequence of str
        What the policy may choose. Decisions in which one of them was not possible (the holdout,
        a closed guardrail) are left out: no data can answer for it there.
    purpose : str
        What the rows are read for.

    Returns
    -------
    pyarrow.Table
        ``decision``, ``customer`` (binary), ``time``, ``action``, ``probability``,
        ``probabilities`` and ``eligible``: each customer's first decision, in the order of the
        customers' keys, so that rows don't depend on one another.

    Raises
    ------
    Refused
        If there is none.
    """
    table = _first_decisions(project, stores, placement, actions, purpose, "customer")
    # Features are put beside it, and one of them may be named so.
    return table.drop_columns(["state"])


def drawing_spine(
    project: Project, stores: Stores, placement: str, actions: Sequence[str], purpose: str
) -> pa.Table:
    """List the same decisions in the order of their draws, with what the policy had learned.

    Parameters
    ----------
    project, stores, placement, actions, purpose : as for `learning_spine`

    Returns
    -------
    pyarrow.Table
        As `learning_spine`, with ``state``, the policy's.

    Raises
    ------
    Refused
        If there is none.
    """
    return _first_decisions(project, stores, placement, actions, purpose, 'time, "offset"')


def _first_decisions(
    project: Project,
    stores: Stores,
    placement: str,
    actions: Sequence[str],
    purpose: str,
    order: str,
) -> pa.Table:
    with relations(project, stores, purpose, names=[DECISION]) as connection:
        connection.register("_actions", pa.table({"action": list(actions)}))
        table = connection.sql(
            f"""
            SELECT id AS decision, customer, time, action, probability, probabilities, eligible,
              policy_state AS state
            FROM {DECISION}
            WHERE placement = ? AND customer IS NOT NULL
              AND action IN (SELECT action FROM _actions)
              AND (stage IS NULL OR stage NOT IN {UNSENT_STAGES})
              AND probability < 1
              AND list_has_all(eligible, (SELECT list(action) FROM _actions))
            QUALIFY row_number() OVER (PARTITION BY customer ORDER BY time, "offset") = 1
            ORDER BY {order}
            """,
            params=[placement],
        ).to_arrow_table()
    if table.num_rows == 0:
        raise Refused(
            "no decision to learn from",
            f"placement {placement}",
            f"import decisions that customers may be read for {purpose!r}",
        )
    return table


def action_numbers(spine: pa.Table, actions: Sequence[str]) -> NDArray[np.int64]:
    """Give each decision the number of its action among `actions`, (n,)."""
    numbers = pc.index_in(spine.column("action"), value_set=pa.array(actions))
    return np.asarray(numbers.to_numpy(), dtype=np.int64)


def logged_probabilities(spine: pa.Table, actions: Sequence[str]) -> NDArray[np.float64]:
    """Lay out the probabilities that actions were drawn with.

    Parameters
    ----------
    spine : pyarrow.Table
        From `learning_spine`.
    actions : sequence of str
        k of them.

    Returns
    -------
    (n, k) float array
        Where a log holds only the drawn action's probability, the other eligible actions share
        the rest evenly: no estimator reads them but to know that they were possible.
    """
    rows = np.arange(spine.num_rows)
    drawn = action_numbers(spine, actions)
    own = spine.column("probability").to_numpy()
    chances = np.zeros((spine.num_rows, len(actions)))
    listed = spine.column("eligible").combine_chunks()
    flat = pc.index_in(listed.flatten(), value_set=pa.array(actions)).to_numpy(zero_copy_only=False)
    owner = pc.list_parent_indices(listed).to_numpy()
    inside = ~np.isnan(flat.astype(np.float64))
    eligible = np.zeros(chances.shape, dtype=np.bool_)
    eligible[owner[inside], flat[inside].astype(np.int64)] = True
    eligible[rows, drawn] = True
    others = np.maximum(eligible.sum(axis=1) - 1, 1)
    chances[eligible] = np.repeat((1.0 - own) / others, eligible.sum(axis=1))
    chances[rows, drawn] = own
    full = spine.column("probabilities").combine_chunks()
    if full.null_count < len(full):
        _take_listed(chances, listed, full, actions)
    return chances


def _take_listed(
    chances: NDArray[np.float64], eligible: pa.ListArray, full: pa.ListArray, actions: Sequence[str]
) -> None:
    """Overwrite rows whose log holds every eligible action's probability."""
    same = pc.equal(pc.list_value_length(eligible), pc.list_value_length(full))
    whole = np.flatnonzero(pc.fill_null(same, False).to_numpy(zero_copy_only=False))
    names = eligible.take(pa.array(whole))
    values = full.take(pa.array(whole)).flatten().to_numpy()
    owner = whole[pc.list_parent_indices(names).to_numpy()]
    position = pc.index_in(names.flatten(), value_set=pa.array(actions))
    position = pc.fill_null(position, -1).to_numpy(zero_copy_only=False)
    known = position >= 0
    chances[owner[known], position[known]] = values[known]

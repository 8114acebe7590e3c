"""The published trial as plain columns: what the simulated worlds are drawn from."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np

from liftwerk.simulation.email_trial import Columns, Reference

ARMS = ("No E-Mail", "Mens E-Mail", "Womens E-Mail")
"""Arms as the file spells them; the position is the action's number, control first."""

NUMBERS = ("recency", "history", "mens", "womens", "newbie")
WORDS = ("zip_code", "channel")


def read(path: Path) -> tuple[Columns, Reference]:
    """Read the trial's file.

    Parameters
    ----------
    path : Path
        A gzipped CSV with the columns of Kevin Hillstrom's MineThatData challenge (2008).

    Returns
    -------
    covariates : dict of str to array of shape (n,)
    reference : Reference
        Arms and outcomes of the same rows.
    """
    with gzip.open(path, "rt", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    covariates: Columns = {
        name: np.array([float(row[name]) for row in rows], dtype=np.float64) for name in NUMBERS
    }
    for name in WORDS:
        covariates[name] = np.array([row[name] for row in rows], dtype=np.str_)
    number_of = {arm: number for number, arm in enumerate(ARMS)}
    reference = Reference(
        action=np.array([number_of[row["segment"]] for row in rows], dtype=np.int64),
        visit=np.array([float(row["visit"]) for row in rows], dtype=np.float64),
        spend=np.array([float(row["spend"]) for row in rows], dtype=np.float64),
    )
    return covariates, reference

"""The peer of the `ope` benchmark: Open Bandit Pipeline, in a throw-away environment.

Commands, one JSON document a line on stdin, one answer a line on stdout:

``{"cases": PATH}``  value every case of an ``.npz``; answers ``{case: {estimator: value}}``.
``{"time": PATH}``   time estimates and bootstrap intervals on one case; answers seconds.
``{"slice": true}``  give rows of the Open Bandit Dataset sample that the package ships.

The package imports torch, which the estimators name in annotations only: an empty stand-in does.
"""

from __future__ import annotations

import csv
import importlib.metadata
import importlib.util
import json
import sys
import time
import types
from pathlib import Path

import numpy as np


def _estimators() -> dict[str, object]:
    """Import the estimators' file without the rest of the package."""
    torch = types.ModuleType("torch")
    torch.Tensor = type("Tensor", (), {})
    sys.modules["torch"] = torch
    home = Path(importlib.util.find_spec("obp").origin).parent
    for name, folder in (("obp", home), ("obp.ope", home / "ope")):
        package = types.ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package
    from obp.ope import estimators

    return {
        "ips": estimators.InverseProbabilityWeighting(),
        "snips": estimators.SelfNormalizedInverseProbabilityWeighting(),
        "dm": estimators.DirectMethod(),
        "dr": estimators.DoublyRobust(),
    }


def _arguments(case: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    rows = np.arange(case["reward"].shape[0])
    return {
        "reward": case["reward"],
        "action": case["action"],
        "pscore": case["logged"][rows, case["action"]],
        "action_dist": case["policy"][:, :, None],
        "estimated_rewards_by_reg_model": case["predicted"][:, :, None],
    }


def _cases(path: str) -> dict[str, dict[str, np.ndarray]]:
    cases: dict[str, dict[str, np.ndarray]] = {}
    with np.load(path) as arrays:
        for key in arrays.files:
            case, name = key.split("/")
            cases.setdefault(case, {})[name] = arrays[key]
    return cases


def _slice() -> list[dict[str, object]]:
    """All clicks of the random policy's sample and its first rows: item, position, click."""
    home = Path(importlib.util.find_spec("obp").origin).parent
    with (home / "dataset" / "obd" / "random" / "all" / "all.csv").open(newline="") as file:
        rows = [
            {
                "item": int(row["item_id"]),
                "position": int(row["position"]),
                "click": int(row["click"]),
            }
            for row in csv.DictReader(file)
        ]
    clicks = [place for place, row in enumerate(rows) if row["click"]]
    others = [place for place, row in enumerate(rows) if not row["click"]]
    kept = sorted(clicks + others[: 200 - len(clicks)])
    return [rows[place] for place in kept]


def _time(case: dict[str, np.ndarray], estimators: dict[str, object]) -> dict[str, object]:
    given = _arguments(case)
    began = time.perf_counter()
    values = {key: float(each.estimate_policy_value(**given)) for key, each in estimators.items()}
    middle = time.perf_counter()
    for each in estimators.values():
        each.estimate_interval(**given, n_bootstrap_samples=100, random_state=0)
    ended = time.perf_counter()
    return {"values": values, "estimate": middle - began, "interval": ended - middle}


def main() -> None:
    """Answer commands until stdin ends."""
    slice_of_data = _slice
    estimators = None
    for line in sys.stdin:
        command = json.loads(line)
        if "slice" in command:
            answer: object = slice_of_data()
        else:
            if estimators is None:
                estimators = _estimators()
            if "cases" in command:
                answer = {
                    name: {
                        key: float(each.estimate_policy_value(**_arguments(case)))
                        for key, each in estimators.items()
                    }
                    for name, case in _cases(command["cases"]).items()
                }
            else:
                answer = _time(_cases(command["time"])["case"], estimators)
        print(
            json.dumps({"version": importlib.metadata.version("obp"), "answer": answer}), flush=True
        )


if __name__ == "__main__":
    main()

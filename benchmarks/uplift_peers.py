"""The peers of the `uplift` benchmark; runs in a throw-away environment that holds them.

First says who is here; then answers each line ``{"given": PATH, "found": PATH}`` of stdin with one
of stdout. The given ``.npz`` holds a train and a test set in arms 0 (control), 1, 2, ...; the found
one gets for every peer, outcome and arm the predicted effects on the test rows; the answer holds
wall and CPU seconds of each fit. Every peer gets the same small LightGBM learners and, where it
takes them, the known probabilities; it is fitted on the rows of control and one arm, as its own
tutorial does it.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version

import joblib
import lightgbm
import numpy as np
from causalml.inference.meta import (
    BaseRRegressor,
    BaseSRegressor,
    BaseTRegressor,
    BaseXRegressor,
)
from causalml.inference.tree import UpliftRandomForestClassifier
from econml.dml import CausalForestDML
from econml.dr import DRLearner
from sklearn.dummy import DummyClassifier
from sklift.models import ClassTransformation, TwoModels

SMALL = {
    "n_estimators": 60,
    "num_leaves": 7,
    "learning_rate": 0.05,
    "min_child_samples": 200,
    "n_jobs": 1,
    "verbosity": -1,
    "random_state": 1,
}

PACKAGES = ("econml", "causalml", "scikit-uplift", "lightgbm", "scikit-learn", "numpy", "pandas")

Fit = Callable[[np.ndarray, np.ndarray, np.ndarray], Callable[[np.ndarray], np.ndarray]]


def regressor() -> lightgbm.LGBMRegressor:
    """Return the small learner that every peer gets."""
    return lightgbm.LGBMRegressor(**SMALL)


def econml_dr_linear(x: np.ndarray, t: np.ndarray, y: np.ndarray) -> Callable:
    """EconML's DRLearner with its default, linear final model."""
    model = DRLearner(
        model_propensity=DummyClassifier(strategy="prior"),
        model_regression=regressor(),
        random_state=1,
    )
    model.fit(y, t, X=x)
    return lambda new: model.effect(new)


def econml_causal_forest(x: np.ndarray, t: np.ndarray, y: np.ndarray) -> Callable:
    """EconML's CausalForestDML, 100 trees."""
    model = CausalForestDML(
        model_y=regressor(),
        model_t=DummyClassifier(strategy="prior"),
        discrete_treatment=True,
        n_estimators=100,
        n_jobs=1,
        random_state=1,
    )
    model.fit(y, t, X=x)
    return lambda new: model.effect(new)


def causalml_meta(kind: type, **settings: object) -> Fit:
    """Return a fit of one of CausalML's meta-learners."""

    def fit(x: np.ndarray, t: np.ndarray, y: np.ndarray) -> Callable:
        model = kind(learner=regressor(), control_name=0, **settings)
        chance = np.full(len(t), t.mean())
        if kind in (BaseXRegressor, BaseRRegressor):
            model.fit(X=x, treatment=t, y=y, p=chance)
        else:
            model.fit(X=x, treatment=t, y=y)
        if kind is BaseXRegressor:
            return lambda new: model.predict(X=new, p=np.full(len(new), t.mean())).ravel()
        return lambda new: model.predict(X=new).ravel()

    return fit


def causalml_forest(x: np.ndarray, t: np.ndarray, y: np.ndarray) -> Callable:
    """CausalML's uplift forest, 100 trees of depth 5."""
    model = UpliftRandomForestClassifier(
        control_name="0",
        n_estimators=100,
        max_depth=5,
        min_samples_leaf=200,
        n_jobs=1,
        random_state=1,
    )
    model.fit(X=x, treatment=t.astype(str), y=y.astype(int))
    return lambda new: np.asarray(model.predict(new)).ravel()


def sklift_two_models(x: np.ndarray, t: np.ndarray, y: np.ndarray) -> Callable:
    """scikit-uplift's TwoModels, which wants classifiers for outcomes of 0 and 1."""
    kind = lightgbm.LGBMRegressor
    if np.isin(y, (0.0, 1.0)).all():
        kind = lightgbm.LGBMClassifier
    model = TwoModels(kind(**SMALL), kind(**SMALL), method="vanilla")
    model.fit(x, y, t)
    return lambda new: model.predict(new)


def sklift_class_transformation(x: np.ndarray, t: np.ndarray, y: np.ndarray) -> Callable:
    """scikit-uplift's ClassTransformation; for outcomes of 0 and 1 only."""
    model = ClassTransformation(lightgbm.LGBMClassifier(**SMALL))
    model.fit(x, y.astype(int), t)
    return lambda new: model.predict(new)


PEERS: dict[str, Fit] = {
    "econml DRLearner, linear final": econml_dr_linear,
    "econml CausalForestDML": econml_causal_forest,
    "causalml S": causalml_meta(BaseSRegressor),
    "causalml T": causalml_meta(BaseTRegressor),
    "causalml X": causalml_meta(BaseXRegressor),
    "causalml R": causalml_meta(BaseRRegressor),
    "causalml uplift forest": causalml_forest,
    "sklift TwoModels": sklift_two_models,
    "sklift ClassTransformation": sklift_class_transformation,
}
BINARY_ONLY = ("causalml uplift forest", "sklift ClassTransformation")


def answer(given: str, found: str) -> dict[str, tuple[float, float]]:
    """Fit all peers on one train set, and write what they say about one test set."""
    data = np.load(given)
    x, action, test = data["x"], data["action"], data["test"]
    said: dict[str, np.ndarray] = {}
    seconds: dict[str, tuple[float, float]] = {}
    for key in [key for key in data if key.startswith("y_")]:
        y = data[key]
        binary = bool(np.isin(y, (0.0, 1.0)).all())
        for arm in range(1, int(action.max()) + 1):
            pair = (action == 0) | (action == arm)
            treated = (action[pair] == arm).astype(int)
            for name, fit in PEERS.items():
                if name in BINARY_ONLY and not binary:
                    continue
                wall, cpu = time.perf_counter(), time.process_time()
                predict = fit(x[pair], treated, y[pair])
                label = f"{name}|{key[2:]}|{arm}"
                seconds[label] = (time.perf_counter() - wall, time.process_time() - cpu)
                said[label] = np.asarray(predict(test), dtype=np.float64).ravel()
    np.savez(found, **said)
    return seconds


def main() -> None:
    """Say who is here, then answer until stdin ends."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    versions = {name: version(name) for name in PACKAGES}
    print(json.dumps({"peers": list(PEERS), "versions": versions}), flush=True)
    for line in sys.stdin:
        print(json.dumps({"seconds": answer(**json.loads(line))}), flush=True)


if __name__ == "__main__":
    # CausalML's R-learner asks for all cores whatever it is told; a process pool would be timed.
    with joblib.parallel_config(backend="sequential"):
        main()

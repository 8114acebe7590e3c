"""Training a declared model: what comes out, what its card says, and that it can be stored."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from liftwerk.models.show import card, markdown
from liftwerk.models.train import Trained, TrainedModel, train
from tests.models.trials import Drawn, draw

ACTIONS = ("nothing", "first", "second")


def _train(trial: Drawn) -> Trained:
    return train(
        "demo",
        trial.table,
        trial.action,
        trial.logged,
        {"value": trial.outcome, "any": (trial.outcome > 0.0).astype(float)},
        ACTIONS,
        {name: f"v-{name}" for name in reversed(trial.table.column_names)},
        lambda text: None,
    )


@pytest.fixture(scope="module")
def trial() -> Drawn:
    return draw(3000, seed=20)


@pytest.fixture(scope="module")
def trained(trial: Drawn) -> Trained:
    return _train(trial)


def test_twins_speak_about_rows_they_did_not_see(trial: Drawn, trained: Trained) -> None:
    assert set(trained.fits) == {"value", "any"}
    assert sorted(np.unique(trained.folds)) == [0, 1, 2, 3, 4]
    assert trained.fits["value"].effects.shape == (3000, 2)
    known = np.corrcoef(trained.fits["value"].effects[:, 0], trial.effects[:, 0])[0, 1]
    assert known > 0.9


def test_a_round_trip_through_json_changes_no_bit(trial: Drawn, trained: Trained) -> None:
    again = TrainedModel.from_dict(json.loads(json.dumps(trained.model.to_dict())))
    for outcome in ("value", "any"):
        before = trained.model.effects(trial.table, outcome)
        assert (again.effects(trial.table, outcome) == before).all()
        parts = again.explain(trial.table, outcome)
        np.testing.assert_allclose(parts.sum(axis=2), before, atol=1e-9)
    assert card(again) == card(trained.model)


def test_the_card_says_what_it_learned_from_and_found(trial: Drawn, trained: Trained) -> None:
    assert list(trained.model.feature_versions) == trial.table.column_names
    facts = card(trained.model)
    assert facts["customers"] == 3000
    assert facts["rows_by_action"] == {
        name: int((trial.action == place).sum()) for place, name in enumerate(ACTIONS)
    }
    for place, action in enumerate(ACTIONS[1:]):
        average = facts["average_effects"]["value"][action]
        assert average["low"] < trial.effects[:, place].mean() < average["high"]
        assert set(facts["weights"]["value"][action]) == {"linear", "boosted"}
    assert next(iter(facts["leading_features"]["value"]["first"])) == "age"
    assert next(iter(facts["leading_features"]["value"]["second"])) == "area"
    text = markdown(facts)
    assert text.startswith("# demo (uplift)")
    assert "Learned from 3,000 customers" in text
    assert facts["data"] in text


def test_the_same_data_in_another_form_has_the_same_fingerprint(
    trial: Drawn, trained: Trained
) -> None:
    chunked = pa.concat_tables([trial.table.slice(0, 1000), trial.table.slice(1000)])
    again = train(
        "demo",
        chunked,
        trial.action,
        trial.logged,
        {"value": trial.outcome},
        ACTIONS,
        dict.fromkeys(chunked.column_names, "v"),
        lambda text: None,
    )
    one = again.model.outcomes["value"].to_dict()
    assert json.dumps(one) == json.dumps(trained.model.outcomes["value"].to_dict())
    changed = trial.with_outcome(trial.outcome + np.eye(1, 3000)[0])
    assert _train(changed).model.facts["data"] != trained.model.facts["data"]
    assert _train(trial).model.facts["data"] == trained.model.facts["data"]


def test_nulls_without_a_type_are_unknown(trial: Drawn, trained: Trained) -> None:
    nobody = pa.table({name: pa.nulls(2) for name in trial.table.column_names})
    effects = trained.model.effects(nobody, "value")
    assert np.isfinite(effects).all()
    direct = trained.model.outcomes["value"].effects(nobody)
    np.testing.assert_allclose(direct, effects, atol=1e-12)

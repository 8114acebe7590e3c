"""The encoder learns from its part only, and copes with what tables bring."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from liftwerk.errors import InputError
from liftwerk.models.design import Design, as_design
from liftwerk.models.encode import Basis, Encoder


def _table(n: int = 400, seed: int = 3) -> pa.Table:
    rng = np.random.default_rng(seed)
    amount = rng.lognormal(5.0, 1.0, n)
    area = rng.choice(["Rural", "Urban", "Suburban"], n).tolist()
    return pa.table(
        {
            "amount": pa.array(amount, mask=rng.random(n) < 0.2),
            "loyal": rng.random(n) < 0.3,
            "area": pa.array([None if rng.random() < 0.1 else a for a in area]),
            "constant": np.full(n, 7.0),
            "empty": pa.nulls(n),
            "count": pa.array(rng.integers(0, 9, n), pa.int32()).dictionary_encode(),
        }
    )


def test_numbers_are_standardised_with_the_mean_put_in_for_unknown_values() -> None:
    table = _table()
    encoder = Encoder.fit(table)
    amount = encoder.transform(table)[:, encoder.labels.index("amount")]
    raw = table["amount"].to_numpy()
    filled = np.where(np.isnan(raw), np.nanmean(raw), raw)
    expected = (filled - filled.mean()) / filled.std()
    np.testing.assert_allclose(amount, expected, atol=1e-12)


def test_flags_levels_and_constants() -> None:
    labels = Encoder.fit(_table()).labels
    assert labels == (
        "amount",
        "amount is unknown",
        "loyal",
        "area=Rural",
        "area=Suburban",
        "area=Urban",
        "area is unknown",
        "count",
    )


def test_a_level_unseen_in_fit_is_all_zeros_and_the_unknown_have_their_flag() -> None:
    encoder = Encoder.fit(pa.table({"area": ["Rural"] * 20 + ["Urban"] * 20}))
    mean = encoder.terms[0].mean
    zeros = encoder.transform(pa.table({"area": ["Moon", None]}))
    np.testing.assert_allclose(zeros, -mean / 0.5)


def test_a_rare_level_is_left_out() -> None:
    table = pa.table({"area": ["Rural"] * 60 + ["Urban"] * 60 + ["Moon"] * 3})
    assert Encoder.fit(table).labels == ("area=Rural", "area=Urban")


def test_no_flag_where_nothing_was_unknown_in_fit() -> None:
    encoder = Encoder.fit(pa.table({"x": np.arange(100.0)}))
    assert encoder.labels == ("x",)
    assert encoder.transform(
        pa.table({"x": [None, 49.5]}, pa.schema([("x", pa.float64())]))
    ).tolist() == [
        [0.0],
        [0.0],
    ]


def test_the_basis_and_the_encoder_agree_for_any_part() -> None:
    design = Design.from_table(_table())
    parts = np.random.default_rng(0).permutation(len(design)) % 4
    basis = Basis.of(design, parts)
    inside = parts != 2
    encoder, encoding = basis.encoder(
        basis.matrix[inside].sum(axis=0), np.square(basis.matrix[inside]).sum(axis=0)
    )
    alone = Encoder.fit(design.take(inside))
    assert encoder.labels == alone.labels
    np.testing.assert_allclose(basis.matrix @ encoding, alone.transform(design), atol=1e-9)


def test_large_offsets_lose_no_precision() -> None:
    seconds = 1.7e9 + np.arange(1000.0)
    encoded = Encoder.fit(pa.table({"seconds": seconds})).transform(pa.table({"seconds": seconds}))
    np.testing.assert_allclose(encoded.std(), 1.0, rtol=1e-9)


def test_a_round_trip_through_json_changes_no_bit() -> None:
    table = _table()
    encoder = Encoder.fit(table)
    again = Encoder.from_dict(json.loads(json.dumps(encoder.to_dict())))
    assert again == encoder
    assert (again.transform(table) == encoder.transform(table)).all()


def test_order_and_extra_columns_do_not_matter() -> None:
    table = _table()
    encoder = Encoder.fit(table)
    turned = table.select(table.column_names[::-1]).append_column("more", pa.nulls(len(table)))
    assert (encoder.transform(turned) == encoder.transform(table)).all()


def test_only_empty_and_constant_features_leave_nothing() -> None:
    encoder = Encoder.fit(_table().select(["constant", "empty"]))
    assert encoder.transform(_table()).shape == (400, 0)


def test_bad_columns_are_named() -> None:
    with pytest.raises(InputError, match="feature is infinite: x"):
        as_design(pa.table({"x": [1.0, np.inf]}))
    with pytest.raises(InputError, match="feature of type timestamp"):
        as_design(pa.table({"x": pa.array([0], pa.timestamp("us"))}))
    with pytest.raises(InputError, match="feature column is missing: y"):
        Design.from_table(pa.table({"x": [1.0]}), ["y"])
    with pytest.raises(InputError, match="not a matrix"):
        as_design(np.zeros(3))
    encoder = Encoder.fit(pa.table({"x": np.arange(100.0)}))
    with pytest.raises(InputError, match="learned as a number: x"):
        encoder.transform(pa.table({"x": ["a"]}))
    with pytest.raises(InputError, match="feature column is missing: x"):
        encoder.transform(pa.table({"y": ["a"]}))

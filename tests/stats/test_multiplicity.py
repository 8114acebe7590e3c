from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from liftwerk.stats.multiplicity import benjamini_hochberg, holm, holm_levels

p_values = st.lists(st.floats(0.0, 0.1) | st.floats(0.0, 1.0), min_size=1, max_size=8)


def test_holms_published_example():
    """Wright (1992), Biometrics 48(4): p-values of three comparisons and their adjusted ones."""
    np.testing.assert_allclose(holm([0.01, 0.015, 0.005]), [0.02, 0.02, 0.015])


def test_benjamini_and_hochbergs_published_example():
    """Their table of fifteen p-values (1995, section 3.2): four are rejected at 5%."""
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240]
    p += [0.4262, 0.5719, 0.6528, 0.7590, 1.0]
    assert (benjamini_hochberg(p) <= 0.05).sum() == 4
    assert (holm(p) <= 0.05).sum() == 3


@given(p_values)
def test_levels_say_what_holm_says(p):
    clear = [each for each in p if abs(each * len(p) - 0.05) > 1e-9]
    if not clear:
        return
    rejected = holm(clear) <= 0.05
    levels = holm_levels(clear)
    assert (levels >= 0.95 - 1e-12).all()
    margin = np.abs(np.array(clear) - (1.0 - levels)) > 1e-12
    np.testing.assert_array_equal(
        (np.array(clear) <= 1.0 - levels)[margin], np.array(rejected)[margin]
    )


@given(p_values)
def test_adjusting_keeps_the_order(p):
    for adjusted in (holm(p), benjamini_hochberg(p)):
        order = np.argsort(p, kind="stable")
        assert (np.diff(adjusted[order]) >= 0.0).all()
        assert (adjusted >= np.array(p) - 1e-15).all()
        assert (adjusted <= 1.0).all()

"""What docs/theory says of the practical scheduler, in numbers."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autowarmup.lab.theory.bounds.momentum import momentum_share
from autowarmup.lab.theory.law import Law
from autowarmup.rules.gap_law.law import SmoothnessLaw, k1_threshold, peak_factor
from autowarmup.rules.gap_law.peak import flat

PAGE = (Path(__file__).parents[3] / "docs" / "theory" / "index.md").read_text()
divs, shares = st.floats(1.1, 1000.0), st.floats(0.001, 0.95)


@given(divs, st.floats(0.01, 0.99))
def test_up_to_the_threshold_the_law_is_one_of_the_theorem(div, part):
    r = part * k1_threshold(div)
    fitted = SmoothnessLaw.from_peak(1.0, div, 5.0, 5.0 * r)
    law = Law(fitted.K0, fitted.K1, fitted.K_rho)  # refuses a negative constant
    assert law.peak_gap == pytest.approx(5.0 * r)
    assert 1 / law.peak_inverse_rate == pytest.approx(1.0)
    above = SmoothnessLaw.from_peak(1.0, div, 5.0, 5.0 * min(0.99, 1.01 * k1_threshold(div)))
    assert above.K1 < 0


@given(divs, shares)
def test_the_certified_part_of_a_warm_up(div, r):
    fitted = SmoothnessLaw.from_peak(1.0, div, 1.0, r)
    edge = 2 * r - (1 - r) ** 2 / (div - 1)
    assert edge == pytest.approx(2 * r - 1 / fitted.K_rho, abs=1e-9)
    gaps = np.linspace(1e-6, 1.0, 4001)
    K = fitted.curvature(gaps)
    # The least non-decreasing majorant, counting the value K0 at gap 0.
    running = np.maximum.accumulate(np.maximum(K, fitted.K0))
    same = running <= K * (1 + 1e-9)
    assert np.all(same[gaps > edge + 1e-3])
    assert not np.any(same[(gaps > 1e-3) & (gaps < edge - 1e-3)])
    reaches = r * (div - 1) <= (1 - r) ** 2
    assert reaches == (edge <= r + 1e-12) or edge == pytest.approx(r, abs=1e-9)


def test_the_numbers_on_the_page():
    assert [round(k1_threshold(d), 3) for d in (2.0, 5.0, 10.0)] == [0.268, 0.101, 0.05]
    assert "0.268, 0.101, 0.050, 0.0050" in PAGE
    r = flat(10.0)
    assert r == pytest.approx(0.314, abs=5e-4)
    edge = 2 * r - (1 - r) ** 2 / 9
    assert f"{edge:.3f} gap0" in PAGE
    assert f"has reached {peak_factor(edge, 1.0, r, 10.0):.2f} of" in PAGE
    for beta, inverse in ((0.9, 56), (0.95, 116), (0.99, 596)):
        assert round(1 / momentum_share(beta)) == inverse
        assert re.search(rf"1/{inverse} at {beta}", PAGE)

"""From traces to fits: which points count, what comes back, and what is said about it."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autowarmup.history import Point, Trace
from autowarmup.measure.fit import CurvatureFit, fit_curvature
from autowarmup.measure.law_fit import r_squared
from autowarmup.rules.gap_law.law import SmoothnessLaw


def falling(n: int, noise: float = 0.05, seed: int = 0) -> np.ndarray:
    """Gaps from 8 to 2.1 along n measured points."""
    rng = np.random.default_rng(seed)
    return (2 + 6 * np.exp(-4 * np.arange(n) / n)) * np.exp(noise * rng.standard_normal(n))


def traced(gaps: np.ndarray, values: np.ndarray, **fields: Any) -> Trace:
    pairs = zip(gaps.tolist(), values.tolist(), strict=True)
    return Trace(Point(5 * t, gap, K=K, **fields) for t, (gap, K) in enumerate(pairs))


def noise(n: int, seed: int = 1, size: float = 0.3) -> np.ndarray:
    return np.exp(size * np.random.default_rng(seed).standard_normal(n))


@settings(max_examples=20)
@given(st.tuples(*[st.one_of(st.just(0.0), st.floats(0.01, 100.0))] * 3))
def test_exact_laws_come_back_by_every_fit(law: tuple[float, float, float]) -> None:
    gaps = falling(12)
    values = law[0] + law[1] * gaps + law[2] * gaps**2
    found = fit_curvature(traced(gaps, values), window="all", bootstrap=40)
    assert [(fit.constraint, fit.rho_searched) for fit in found.fits] == [
        ("non_negative", False), ("free", False), ("non_negative", True), ("free", True),
    ]  # fmt: skip
    assert found.best is found.fits[0]
    size = 1e-9 * (1 + values.max())
    for fit in found.fits:
        assert fit.curvature(gaps) == pytest.approx(values, rel=1e-9, abs=1e-12)
        assert fit.r_squared == pytest.approx(1.0, abs=1e-9)
        assert fit.share_above <= 0.25 if fit.rho_searched else fit.share_above == 0.0
        assert fit.points == 12
        if not fit.rho_searched:
            for name, coefficient in zip(("K0", "K1", "K_rho"), law, strict=True):
                assert getattr(fit, name) == pytest.approx(coefficient, rel=1e-9, abs=size)
                low, high = fit.interval[name]
                assert low == pytest.approx(coefficient, rel=1e-6, abs=1e3 * size)
                assert high == pytest.approx(coefficient, rel=1e-6, abs=1e3 * size)


@pytest.mark.parametrize("unit", [1e-3, 1e3])
def test_units(unit: float) -> None:
    gaps = falling(30)
    values = (3 + 2 * gaps + gaps**2) * noise(30)
    here = fit_curvature(traced(gaps, values), bootstrap=100)
    of_k = fit_curvature(traced(gaps, unit * values), bootstrap=100)
    of_gap = fit_curvature(traced(unit * gaps, values), bootstrap=100)
    assert here.slope.p == pytest.approx(of_k.slope.p) == pytest.approx(of_gap.slope.p)
    assert here.verdict == of_k.verdict == of_gap.verdict
    for a, b, c in zip(here.fits, of_k.fits, of_gap.fits, strict=True):
        assert b.rho == pytest.approx(a.rho, rel=1e-5) == pytest.approx(c.rho, rel=1e-5)
        assert (b.r_squared, b.share_above) == pytest.approx((a.r_squared, a.share_above))
        powers = {"K0": 0.0, "K1": 1.0, "K_rho": 2.0}
        if a.rho_searched:
            assert c.curvature(unit * gaps) == pytest.approx(a.curvature(gaps), rel=1e-6)
            continue
        for name, power in powers.items():
            for x, y, z in [
                (getattr(a, name), getattr(b, name), getattr(c, name)),
                *zip(a.interval[name], b.interval[name], c.interval[name], strict=True),
            ]:
                assert y == pytest.approx(unit * x, rel=1e-6, abs=1e-9 * unit)
                assert z == pytest.approx(x / unit**power, rel=1e-6, abs=1e-9 / unit**power)


def test_the_fit_is_a_law_where_it_is_one() -> None:
    gaps = falling(20)
    found = fit_curvature(traced(gaps, 10 - gaps), bootstrap=0, window="all")
    free = next(fit for fit in found.fits if fit.constraint == "free")
    expected = {"K0": 10.0, "K1": -1.0}
    assert {name: getattr(free, name) for name in expected} == pytest.approx(expected)
    assert free.law is None
    best = found.best
    assert best.law == SmoothnessLaw(best.K0, best.K1, best.K_rho, 2.0)
    assert best.K1 == best.K_rho == 0.0
    assert best.r_squared == pytest.approx(0.0, abs=1e-12)
    # By hand: the best constant is the mean, and K is above it where the gap is below its mean.
    assert best.share_above == np.mean(10 - gaps > np.mean(10 - gaps))


def test_constant_curvature() -> None:
    found = fit_curvature(traced(falling(20), np.full(20, 7.0)), bootstrap=100)
    assert (found.best.K0, found.best.K1, found.best.K_rho) == pytest.approx((7.0, 0, 0), abs=1e-9)
    assert found.best.r_squared == 1.0
    assert found.best.share_above == 0.0
    assert found.verdict == "level"
    assert "stays level" in found.sentence
    assert r_squared(np.ones(3), np.full(3, 1.1)) == 0.0
    assert fit_curvature(traced(falling(20), np.zeros(20))).verdict == "not determined"


def test_an_absurd_value_does_no_harm_beyond_its_own() -> None:
    gaps, values = falling(30), falling(30)
    for absurd in (1e300, 1e-300):
        values[4] = absurd
        found = fit_curvature(traced(gaps, values), bootstrap=60)
        assert all(math.isfinite(fit.r_squared) for fit in found.fits)
        assert found.verdict in ("rises", "falls", "level", "not determined")


def test_terms_and_exponents() -> None:
    gaps = falling(15)
    trace = traced(gaps, (3 + gaps) * noise(15))
    two = fit_curvature(trace, terms=("K1", "K0"))
    assert [(fit.constraint, fit.terms, fit.K_rho) for fit in two.fits] == [
        ("non_negative", ("K0", "K1"), 0.0), ("free", ("K0", "K1"), 0.0),
    ]  # fmt: skip
    assert set(two.best.interval) == {"K0", "K1"}
    searched = fit_curvature(trace, rho=None)
    assert [fit.rho_searched for fit in searched.fits] == [True, True]
    assert set(searched.best.interval) == {"K0", "K1", "K_rho", "rho"}
    assert fit_curvature(trace, rho=3.0).best.rho == 3.0


def test_same_seed_same_answer() -> None:
    trace = traced(falling(40), noise(40))
    assert fit_curvature(trace).to_dict() == fit_curvature(trace).to_dict()
    assert fit_curvature(trace).to_dict() != fit_curvature(trace, seed=1).to_dict()


@pytest.mark.parametrize(("power", "verdict"), [(1.5, "falls"), (-1.5, "rises")])
@pytest.mark.parametrize("n", [40, 200])
def test_verdicts(n: int, power: float, verdict: str) -> None:
    gaps = falling(n)
    found = fit_curvature(traced(gaps, 5 * gaps**power * noise(n)), window="all")
    assert found.verdict == verdict
    assert f"As the gap falls during training, K {verdict}" in found.sentence
    assert found.slope.interval[0] < power < found.slope.interval[1]
    assert found.slope.points == n


def test_level_needs_a_narrow_interval() -> None:
    gaps = falling(300)
    assert fit_curvature(traced(gaps, 5 * noise(300, size=0.1)), window="all").verdict == "level"
    wide = fit_curvature(traced(gaps, 5 * noise(300, size=1.0)), window="all")
    assert wide.verdict == "not determined"
    assert "the interval holds 0" in wide.sentence


@pytest.mark.parametrize(
    ("gaps", "values", "why"),
    [
        (falling(7), falling(7), "7 points with K > 0, at least 8 are needed"),
        (4 * noise(30, size=0.02), noise(30), r"the gap only went from .* 1\.15 at least"),
        (falling(30)[::-1].copy(), falling(30), "the gap did not fall in the window but rose"),
        (falling(30), falling(30) - 2.7, "values are not positive"),
    ],
)
def test_what_decides_nothing_says_why(gaps: np.ndarray, values: np.ndarray, why: str) -> None:
    found = fit_curvature(traced(gaps, values), window="all", bootstrap=50)
    assert found.verdict == "not determined"
    with pytest.raises(AssertionError, match=why):
        raise AssertionError(found.sentence)


def test_twelve_points_give_fits_and_intervals() -> None:
    gaps = falling(12)
    found = fit_curvature(traced(gaps, (3 + gaps**2) * noise(12, size=0.1)))
    for fit in found.fits:
        assert np.all(np.isfinite([*fit.interval.values()]))
        assert all(low <= high for low, high in fit.interval.values())
    assert found.window.points >= 8
    assert np.all(np.isfinite(found.slope.interval))


def test_few_points() -> None:
    gaps = falling(12)
    trace = traced(gaps, 3 + gaps**2)
    assert fit_curvature(Trace(trace.points[:4])).best.points == 4
    with pytest.raises(ValueError, match=r"at least 4 usable points with K, got 3 \(none left out"):
        fit_curvature(Trace(trace.points[:3]))
    with pytest.raises(ValueError, match=r"got 2 \(1 with gap not positive\)"):
        fit_curvature(Trace([*trace.points[:2], replace(trace[2], loss=-1.0)]))
    with pytest.raises(ValueError, match=r"with H, got 0 \(none left out\)"):
        fit_curvature(trace, quantity="H")


def test_the_window_is_what_is_fitted() -> None:
    gaps = falling(60, noise=0.0)
    # After the descent K does something else altogether.
    values = np.where(np.arange(60) < 40, 3 + gaps**2, 1000.0)
    found = fit_curvature(traced(gaps, values), bootstrap=0)
    assert found.window.name == "descent"
    assert found.window.points == len(found.gaps) == len(found.values) < 40
    assert found.best.r_squared == pytest.approx(1.0)
    assert fit_curvature(traced(gaps, values), bootstrap=0, window="all").best.r_squared < 0.9


def check_json(found: CurvatureFit) -> dict[str, Any]:
    text = json.dumps(found.to_dict(), allow_nan=False)
    return json.loads(text)


def test_to_dict_is_plain_json() -> None:
    trace = traced(falling(30), noise(30))
    values = check_json(fit_curvature(trace))
    best = values["fits"][0]
    assert {"K0", "K1", "K_rho", "rho", "r_squared", "interval", "constraint"} <= set(best)
    assert set(best["interval"]) == {"K0", "K1", "K_rho"}
    assert values["window"]["name"] == "descent"
    assert set(values["slope"]) == {"p", "interval", "points"}
    # No bootstrap, no bounds.
    assert check_json(fit_curvature(trace, bootstrap=0))["slope"]["interval"] == [None, None]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"quantity": "loss"}, "expected a quantity out of K, K_dir, .*got 'loss'"),
        ({"pairing": "mean"}, "expected a pairing out of before, after, max, got 'mean'"),
        ({"window": "early"}, "expected a window out of descent, all, got 'early'"),
        ({"lower_bound": math.nan}, "expected a finite lower_bound, got nan"),
        ({"rho": 1.0}, "expected rho > 1, or None to search it, got 1.0"),
        ({"terms": ("K0", "K2")}, "expected terms out of K0, K1, K_rho, got"),
        ({"terms": ()}, "expected terms out of"),
        ({"bootstrap": -1}, "expected a number of bootstrap samples >= 0, got -1"),
    ],
)
def test_mistakes_are_sentences(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        fit_curvature(traced(falling(12), falling(12)), **wrong)


def test_a_perfect_order_is_no_open_question():
    """A smooth bend in the logarithms widens the slope's interval; the order is still plain."""
    losses = np.linspace(8.0, 1.0, 60)
    bent = 150.0 - 140.0 * (losses / 8.0) ** 6
    trace = Trace(
        Point(step, loss, loss_after=loss, H=value)
        for step, (loss, value) in enumerate(zip(losses, bent, strict=True))
    )
    found = fit_curvature(trace, quantity="H", window="all")
    assert found.verdict == "rises"
    assert "H rises" in found.sentence
    noise = np.random.default_rng(0).permutation(bent)
    shuffled = Trace(
        Point(step, loss, loss_after=loss, H=value)
        for step, (loss, value) in enumerate(zip(losses, noise, strict=True))
    )
    assert fit_curvature(shuffled, quantity="H", window="all").verdict == "not determined"

"""Decays after the peak, and the hand-tuned lengths that lead to them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autowarmup.rules import Linear, Run, begin, step
from autowarmup.rules.decay import DECAYS, decay_factor

fractions = st.floats(0, 1)


def test_the_kinds() -> None:
    assert DECAYS == ("cosine", "linear", "wsd", "sqrt", "constant")


@given(st.sampled_from(DECAYS), fractions, fractions, fractions)
def test_decays_fall_from_1_to_the_final_fraction(
    kind: str, p: float, q: float, final: float
) -> None:
    assert decay_factor(kind, 0.0, final) == 1.0
    end = decay_factor(kind, 1.0, final)
    assert end == (1.0 if kind == "constant" else final)
    early, late = decay_factor(kind, min(p, q), final), decay_factor(kind, max(p, q), final)
    assert 1.0 >= early >= late - 1e-15 >= end - 2e-15


@pytest.mark.parametrize(
    ("kind", "progress", "expected"),
    [
        ("cosine", 0.5, 0.5),
        ("cosine", 1 / 3, 0.75),
        ("linear", 0.3, 0.7),
        ("wsd", 0.79, 1.0),
        ("wsd", 0.9, 0.5),
        ("sqrt", 0.25, 0.5),
        ("constant", 0.9, 1.0),
    ],
)
def test_closed_forms(kind: str, progress: float, expected: float) -> None:
    assert decay_factor(kind, progress) == pytest.approx(expected)
    assert decay_factor(kind, progress, 0.2) == pytest.approx(0.2 + 0.8 * expected)


@pytest.mark.parametrize("kind", DECAYS)
def test_the_last_of_a_billion_updates_still_moves(kind: str) -> None:
    assert decay_factor(kind, (10**9 - 1) / 10**9) > 0


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match=r"expected a decay out of cosine.*'exponential'"):
        decay_factor("exponential", 0.5)
    for progress in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match=r"expected progress in \[0, 1\], got"):
            decay_factor("linear", progress)


@given(st.integers(1, 300), st.data(), st.sampled_from(DECAYS), fractions)
def test_a_linear_length_rises_to_its_peak_and_then_decays(
    total: int, data: st.DataObject, kind: str, final: float
) -> None:
    warmup = data.draw(st.integers(0, total))
    state = begin(Linear(steps=warmup), Run(total, decay=kind, final_fraction=final))
    factors = []
    for _ in range(total):
        factors.append(state.factor)
        state = step(state, None)
    length = max(1, warmup)
    assert factors[:length] == [(k + 1) / length for k in range(length)]
    rest = total - (length - 1)
    assert factors[length - 1 :] == [decay_factor(kind, j / rest, final) for j in range(rest)]
    assert state.factor == factors[-1]

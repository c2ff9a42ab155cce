"""Spellings: what people write becomes a rule, and a rule's name is such a spelling."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autowarmup.rules import (
    DEFAULT_RULE,
    H0H1,
    HAND_TUNED,
    KINDS,
    RULES,
    AutoWU,
    Doubling,
    GapLaw,
    Linear,
    Untuned,
    Watched,
    rule_of,
)

SHARES = st.floats(0.0, 1.0)
LAWS = st.builds(
    GapLaw,
    end=st.one_of(st.sampled_from(["flat", "accurate", "published"]), st.floats(0.01, 0.99)),
    div=st.floats(1.0, 1e6),
    max_fraction=st.floats(0.01, 1.0),
    smoothing=st.floats(0.0, 0.99),
    kappa=st.one_of(st.none(), st.floats(0.1, 1e9)),
)
ANY_RULE = st.one_of(
    SHARES.map(Linear),
    st.integers(0, 10**7).map(lambda steps: Linear(steps=steps)),
    LAWS,
    st.builds(
        Watched,
        share=st.floats(0.01, 1.0),
        power=st.floats(0.1, 3.0),
        looks=st.integers(1, 99),
        apart=st.integers(1, 9),
        gain=st.floats(0.0, 1e20),
        floor=SHARES,
    ),
    st.builds(H0H1, div=st.floats(1.0, 1e20), smoothing=st.floats(0.0, 0.99)),
    st.builds(Doubling, share=SHARES, div=st.floats(1.0, 1e4)),
    st.sampled_from([Untuned(), AutoWU()]),
)


@given(ANY_RULE)
def test_a_rule_is_found_by_its_name(rule) -> None:
    assert rule_of(rule.name) == rule_of(f" {rule.name.upper()} ") == rule
    assert rule_of(rule) is rule


@pytest.mark.parametrize("name", RULES)
def test_every_listed_name_is_a_rule(name: str) -> None:
    rule = rule_of(name)
    assert rule.name == name
    assert rule.kind in KINDS
    assert len(rule.about) > 10
    assert "\n" not in rule.about


def test_the_lists() -> None:
    assert DEFAULT_RULE in RULES
    assert {rule.kind for rule in HAND_TUNED} == {"fixed"}
    assert [rule.name for rule in HAND_TUNED][:4] == ["none", "linear 1%", "linear 2%", "linear 5%"]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("linear 5%", Linear(0.05)),
        ("linear 5 %", Linear(0.05)),
        ("  Linear   3 percent ", Linear(0.03)),
        ("linear5%", Linear(0.05)),
        ("linear(5%)", Linear(0.05)),
        ("5%", Linear(0.05)),
        ("2.5%", Linear(0.025)),
        ("500 steps", Linear(steps=500)),
        ("linear 500 steps", Linear(steps=500)),
        ("linear 2,000 updates", Linear(steps=2000)),
        ("linear 1e3 iterations", Linear(steps=1000)),
        ("linear(share=0.1)", Linear(0.1)),
        ("none", Linear(0.0)),
        ("Watched", Watched()),
        ("watched(share=0.3, looks=5)", Watched(share=0.3, looks=5)),
        ("flat(div=50)", GapLaw(div=50)),
        ("accurate( kappa=7 )", GapLaw(end="accurate", kappa=7)),
        ("gap law(end=0.33)", GapLaw(end=0.33)),
        ("gap_law(end='flat')", GapLaw()),
    ],
)
def test_what_people_type_is_read(text: str, rule) -> None:
    assert rule_of(text) == rule


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ("best", "rule: expected 'none', 'linear 5%', 'linear 500 steps', paced, .* got 'best'"),
        ("", "got ''"),
        (None, "got None"),
        (0.05, "a bare number reads like a rate: write 'linear 5%' .* GapLaw\\(end=0.05\\)"),
        ("0.05", "a bare number reads like a rate: write 'linear 5%'"),
        (500, "a bare number reads like a rate: write 'linear 500 steps'"),
        ("500", "a bare number reads like a rate: write 'linear 500 steps'"),
        ("linear", "expected the length of a linear warm-up, 'linear 5%' or"),
        ("linear 0.05", "got 'linear 0.05'; a bare number reads like a rate: write 'linear 5%'"),
        ("Linear 1234567", "write 'linear 1234567 steps' for a length of warm-up$"),
        (-3, "write 'linear 5%' or 'linear 500 steps' for a length of warm-up$"),
        (1.5, "write 'linear 5%' or 'linear 500 steps' for a length of warm-up$"),
        (math.nan, "got nan; a bare number reads like a rate"),
        ("linear 120%", "expected a share of the run in"),
        ("linear 2.5 steps", "expected steps to be a whole number, got 2.5"),
        (Watched, "write Watched\\(\\) for the rule"),
        ("watched(length=3)", "expected settings out of share, power, .*, got 'length'"),
        ("flat(end=0.3)", "expected settings out of div, max_fraction, .*, got 'end'"),
        ("untuned(beta=1)", "expected settings out of none, it has no settings, got 'beta'"),
        ("watched(0.3)", "expected settings such as 'watched\\(name=0.5\\)', got \\(0.3\\)"),
        ("watched(share=)", "expected settings such as"),
        ("watched(share=a)", "expected settings such as"),
        ("flat(div=0.1)", "expected div >= 1"),
    ],
)
def test_anything_else_is_refused_in_one_sentence(wrong: object, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as caught:
        rule_of(wrong)
    assert "\n" not in str(caught.value)

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autowarmup.lab.bench.aggregate import aggregate
from autowarmup.lab.bench.regret import ONE_SEED, seed_noise
from autowarmup.lab.bench.setups import Setup
from autowarmup.lab.bench.summary import summarise

Record = dict[str, Any]
Make = Callable[..., Record]

MUON, LION = Setup("muon", 1.2e-2), Setup("lion", 2e-3, steps=600)


@pytest.fixture
def make(make_record: Make) -> Callable[..., list[Record]]:
    """Records of one rule in one set-up, a loss per seed; `None` diverged."""

    def runs(rule: str, *losses: float | None, setup: Setup = MUON, **changes: Any) -> list[Record]:
        return [make_record(rule, x, seed, setup=setup, **changes) for seed, x in enumerate(losses)]

    return runs


@pytest.fixture
def summary_of() -> Callable[[list[Record]], dict[str, Any]]:
    return lambda records: summarise(records, default_rule="flat")


def test_one_setup_by_hand(make: Any, summary_of: Any) -> None:
    summary = summary_of(
        [
            *make("none", 2.0, 3.0),
            *make("linear 5%", 1.0, 1.8),
            *make("flat", 1.0, 1.4, start=0.25, overhead=0.002),
            *make("untuned", 1.0, 1.9),
            *make("h0h1", 2.0, 2.0),
        ]
    )
    (setup,) = summary["setups"]
    assert (setup["label"], setup["seeds"]) == ("Muon, 1 x best rate", [0, 1])
    assert setup["best_hand_tuned"] == "linear 5%"
    assert setup["best_val"] == pytest.approx(1.4)
    # Two rules and two seeds: the residuals are all |2.0 - 3.0 - 1.0 + 1.8| / 4 = 0.05, so
    # sigma = sqrt(4 x 0.0025 / 1) = 0.1, and with two seeds that is the standard error too.
    assert setup["seed_noise"] == pytest.approx(0.1 / 1.4)
    regrets = {"none": 1.1, "linear 5%": 0.0, "flat": -0.2, "untuned": 0.05, "h0h1": 0.6}
    assert setup["regrets"] == {r: pytest.approx(x / 1.4) for r, x in regrets.items()}
    assert setup["outcomes"] == {
        "none": "lost", "linear 5%": "tied", "flat": "won", "untuned": "tied", "h0h1": "lost",
    }  # fmt: skip
    assert setup["vals"]["flat"] == [1.0, 1.4]
    assert setup["starts"]["flat"] == [0.25, 0.25]
    assert setup["ends"]["flat"] == [125, 125]
    flat = summary["rules"]["flat"]
    assert list(summary["rules"]) == ["flat", "linear 5%", "untuned", "h0h1", "none"]
    assert flat["mean_regret_by_seed"] == {
        "0": pytest.approx(0.0), "1": pytest.approx((1.4 - 1.8) / 1.8),
    }  # fmt: skip
    assert (flat["kind"], flat["median_start"]) == ("own", 0.25)
    assert flat["overhead"] == pytest.approx(0.002)
    assert (flat["wins"], flat["ties"], flat["losses"]) == (1, 0, 0)
    assert summary["runs"] == {"stored": 10, "finished": 10, "diverged": 0}


def test_hand_tuning_on_one_seed_is_judged_on_the_others(make: Any, summary_of: Any) -> None:
    records = [*make("none", 1.0, 4.0, 4.0), *make("linear 5%", 2.0, 2.0, 3.0)]
    summary = summary_of(records)
    (setup,) = summary["setups"]
    # Seed 0 chooses none: (4 + 4) / 2; seed 1 5 %: (2 + 3) / 2; seed 2 5 %: (2 + 2) / 2.
    assert setup["tuned_once"]["chosen"] == {"0": "none", "1": "linear 5%", "2": "linear 5%"}
    best, tuned = 7 / 3, (4.0 + 2.5 + 2.0) / 3
    line = summary["hand_tuned_cross_validated"]
    assert line["mean_regret"] == line["worst_regret"] == pytest.approx(tuned / best - 1)
    assert (line["n_setups"], line["kind"]) == (1, "fixed")


def test_a_rule_is_set_against_that_length_too(make: Any, summary_of: Any) -> None:
    """Chosen on one seed and judged on the other: 5 % and 5 %, 1.4; and none and none, 2.5."""
    records = []
    for setup, flat in ((MUON, (1.0, 1.2)), (LION, (2.2, 3.2))):
        lengths = ((2.0, 3.0), (1.0, 1.8)) if setup == MUON else ((2.0, 3.0), (2.5, 3.4))
        for rule, losses in zip(("none", "linear 5%", "flat"), (*lengths, flat), strict=True):
            records += make(rule, *losses, setup=setup)
    summary = summary_of(records)
    noises = [setup["seed_noise"] for setup in summary["setups"]]
    gaps = [(1.1 - 1.4) / 1.4, (2.7 - 2.5) / 2.5]
    flat = summary["rules"]["flat"]
    assert flat["above_tuned"] == pytest.approx(sum(gaps) / 2)
    assert flat["above_tuned_error"] == pytest.approx(abs(gaps[0] - gaps[1]) / 2)
    assert flat["worst_above_tuned"] == pytest.approx(gaps[1])
    assert flat["worst_beyond_noise"] == pytest.approx(gaps[1] - 2 * noises[1])
    assert flat["worst_beyond_noise_setup"] == summary["setups"][1]["label"]
    assert flat["n_above_tuned"] == 2
    one = summary_of([r for r in records if r["seed"] == 0])
    assert one["rules"]["flat"]["above_tuned"] is None


def test_a_length_that_was_chosen_and_then_diverges(make: Any, summary_of: Any) -> None:
    summary = summary_of([*make("none", 1.0, None), *make("linear 5%", 2.0, 2.0)])
    line = summary["hand_tuned_cross_validated"]
    assert (line["mean_regret"], line["diverged"], line["losses"]) == (None, 1, 1)
    assert line["diverged_where_hand_tuned_survives"] == 1


def test_a_diverged_seed_leaves_no_number_and_is_counted(make: Any, summary_of: Any) -> None:
    summary = summary_of(
        [
            *make("none", 0.5, None),
            *make("linear 5%", 2.0, 2.0),
            *make("flat", None, None),
            *make("none", None, None, setup=LION),
            *make("linear 5%", None, 1.0, setup=LION),
            *make("flat", 1.0, 1.0, setup=LION),
            *make("untuned", None, 1.0, setup=LION),
        ]
    )
    muon, lion = summary["setups"]
    # Its one good seed is the lowest loss of all, and still does not make it the best.
    assert (muon["best_hand_tuned"], muon["best_val"]) == ("linear 5%", 2.0)
    assert muon["regrets"] == {"none": None, "linear 5%": 0.0, "flat": None}
    assert muon["outcomes"] == {"none": "lost", "linear 5%": "tied", "flat": "lost"}
    assert muon["vals"]["none"] == [0.5, None]
    assert (lion["best_hand_tuned"], lion["best_val"], lion["seed_noise"]) == (None, None, None)
    # Nothing to divide by, but to survive alone is a win; to diverge with all others is no loss.
    assert lion["regrets"]["flat"] is None
    assert (lion["outcomes"]["flat"], lion["outcomes"]["untuned"]) == ("won", None)
    flat = summary["rules"]["flat"]
    assert (flat["diverged"], flat["diverged_where_hand_tuned_survives"]) == (2, 1)
    assert (flat["n_setups"], flat["tried_setups"], flat["mean_regret"]) == (0, 2, None)
    assert (flat["wins"], flat["losses"], flat["win_or_tie_share"]) == (1, 1, 0.5)
    untuned = summary["rules"]["untuned"]
    assert (untuned["diverged"], untuned["diverged_where_hand_tuned_survives"]) == (1, 0)
    assert untuned["win_or_tie_share"] is None
    assert next(iter(summary["rules"])) == "linear 5%"
    assert summary["runs"] == {"stored": 14, "finished": 7, "diverged": 7}


def test_rules_are_compared_on_the_seeds_that_all_have(make: Any, summary_of: Any) -> None:
    summary = summary_of(
        [*make("none", 2.0, 9.0), *make("linear 5%", 4.0, 1.0), *make("flat", 3.0)]
    )
    (setup,) = summary["setups"]
    assert (setup["seeds"], setup["best_hand_tuned"]) == ([0], "none")
    assert setup["regrets"]["flat"] == pytest.approx(0.5)
    apart = summary_of(
        [*make("none", 2.0, 9.0)[1:], *make("linear 5%", 4.0, 1.0)[1:], *make("flat", 3.0)]
    )
    (setup,) = apart["setups"]
    # No seed in common: the one that most rules have, and no number for the rule without it.
    assert (setup["seeds"], setup["best_hand_tuned"]) == ([1], "linear 5%")
    assert (setup["regrets"]["flat"], setup["outcomes"]["flat"]) == (None, None)
    assert apart["rules"]["flat"]["diverged"] == 0


def test_with_one_seed_a_small_difference_is_a_tie(make: Any, summary_of: Any) -> None:
    rules = {"flat": 0.9, "h0h1": 1.0 - 0.9 * ONE_SEED, "untuned": 1.001, "autowu": 1.1}
    records = [*make("none", 2.0), *make("linear 5%", 1.0)]
    for rule, loss in rules.items():
        records += make(rule, loss)
    summary = summary_of(records)
    (setup,) = summary["setups"]
    assert setup["seed_noise"] is None
    assert [setup["outcomes"][rule] for rule in rules] == ["won", "tied", "tied", "lost"]
    assert setup["outcomes"]["linear 5%"] == "tied"
    assert summary["hand_tuned_cross_validated"]["mean_regret"] is None
    assert summary["hand_tuned_cross_validated"]["n_setups"] == 0


losses = st.lists(st.floats(0.1, 10.0), min_size=2, max_size=6)


@given(losses, losses, st.integers(0, 100))
def test_regret_is_zero_at_the_best_and_positive_above(
    make_record: Make, hand_tuned: list[float], others: list[float], shuffle: int
) -> None:
    records = [make_record(f"linear {k + 1}%", loss) for k, loss in enumerate(hand_tuned)]
    records += [make_record(f"own {k}", loss) for k, loss in enumerate(others)]
    (setup,) = summarise(records)["setups"]
    best = min(hand_tuned)
    assert min(r for name, r in setup["regrets"].items() if name.startswith("linear")) == 0.0
    for record in records:
        expected = (record["val_loss"] - best) / best
        assert setup["regrets"][record["rule"]] == pytest.approx(expected)
    # Nothing depends on the order in which runs ended.
    random.Random(shuffle).shuffle(records)
    assert summarise(records)["setups"][0]["regrets"] == setup["regrets"]


def test_set_ups_are_named_by_what_differs(make: Any, summary_of: Any) -> None:
    plain = Setup("muon", 0.1, model="tiny-cpu", batch=16, steps=400)
    others = [replace(plain, steps=200), replace(plain, optimizer="normsgd")]
    records = [r for setup in (plain, *others) for r in make("none", 1.0, setup=setup)]
    assert [setup["label"] for setup in summary_of(records)["setups"]] == [
        "Muon, lr 0.1, 200 updates", "Muon, lr 0.1, 400 updates",
        "Normalized SGD, lr 0.1, 400 updates",
    ]  # fmt: skip


def test_across_setups_and_in_columns(make: Any, summary_of: Any) -> None:
    mini = Setup("lion", 1e-3, model="mini", steps=1500)
    records = []
    for setup, flat, none, five in ((MUON, 0.9, 1.0, 2.0), (LION, 1.1, 1.5, 1.0)):
        records += make("flat", flat, setup=setup)
        records += make("none", none, setup=setup) + make("linear 5%", five, setup=setup)
    records += make("none", 1.0, setup=mini) + make("linear 5%", 1.2, setup=mini)
    summary = summary_of(records)
    flat, none = summary["rules"]["flat"], summary["rules"]["none"]
    assert flat["mean_regret"] == pytest.approx(0.0)
    assert flat["worst_regret"] == pytest.approx(0.1)
    assert flat["worst_setup"] == "Lion, 2 x best rate, 600 updates"
    assert (flat["n_setups"], none["n_setups"]) == (2, 3)
    columns = summary["by_column"]
    assert {name: part["n_setups"] for name, part in columns.items()} == {
        "2,500 updates": 1, "600 updates": 1, "larger model": 1, "Muon": 1, "Lion": 2,
        "1 x best rate": 2, "2 x best rate": 1,
    }  # fmt: skip
    assert columns["600 updates"]["rules"]["none"]["mean_regret"] == pytest.approx(0.5)
    assert columns["Lion"]["rules"]["none"]["mean_regret"] == pytest.approx(0.25)
    assert "flat" not in columns["larger model"]["rules"]
    lion = [setup for setup in summary["setups"] if setup["setup"]["optimizer"] == "lion"]
    assert aggregate(lion, "none")["mean_regret"] == pytest.approx(0.25)


def test_a_missing_length_is_said(make: Any, summary_of: Any) -> None:
    other = [*make("none", 2.0, setup=LION), *make("flat", 2.0, setup=LION)]
    summary = summary_of([*make("none", 2.0), *make("linear 5%", 1.0), *other])
    assert [s["missing_hand_tuned"] for s in summary["setups"]] == [[], ["linear 5%"]]


def test_a_sweep_with_one_rule_is_no_comparison(make: Any, summary_of: Any) -> None:
    sweep = make("linear 5%", 1.0, setup=LION)
    summary = summary_of([*make("none", 1.0), *make("linear 5%", 2.0), *sweep])
    assert [setup["label"] for setup in summary["setups"]] == ["Muon, 1 x best rate"]
    assert summary["rules"]["linear 5%"]["mean_regret"] == 1.0
    assert summary["runs"]["stored"] == 2
    assert len(summary_of(sweep)["setups"]) == 1


def test_runs_with_options_are_other_rules(make: Any, summary_of: Any) -> None:
    tuned = make("flat", 0.1, options={"smoothing": 0.5})
    summary = summary_of([*make("none", 1.0), *make("flat", 2.0), *tuned])
    assert summary["rules"]["flat"]["mean_regret"] == pytest.approx(1.0)
    assert summary["runs"]["stored"] == 2
    with pytest.raises(ValueError, match="at least one record without options"):
        summary_of(tuned)


def test_what_cannot_be_summarised(make: Any, summary_of: Any) -> None:
    with pytest.raises(ValueError, match=r"got two of Muon, 1 x best rate, none, seed 0"):
        summary_of(make("none", 1.0) * 2)


@given(
    st.lists(st.floats(-1, 1), min_size=3, max_size=3),
    st.lists(st.floats(-1, 1), min_size=4, max_size=4),
)
def test_what_a_seed_does_to_all_lengths_is_no_noise(
    seeds: list[float], rules: list[float]
) -> None:
    fixed = {str(k): [2.0 + rule + seed for seed in seeds] for k, rule in enumerate(rules)}
    assert seed_noise(fixed) == pytest.approx(0.0, abs=1e-12)


def test_seed_noise_finds_the_noise_that_was_put_in() -> None:
    # Orthogonal residuals of size 0.03 over 2 rules and 4 seeds: SS = 8 x 0.0009, 3 free.
    signs = (1, -1, 1, -1)
    fixed = {
        "none": [2.0 + 0.03 * sign for sign in signs],
        "linear 5%": [3.0 - 0.03 * sign for sign in signs],
    }
    assert seed_noise(fixed) == pytest.approx(math.sqrt(8 * 0.0009 / 3) * math.sqrt(2 / 4))


def test_the_core_set_is_plain_json(core_records: list[Record], summary_of: Any) -> None:
    summary = summary_of(core_records)
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert len(summary["setups"]) == len({s["label"] for s in summary["setups"]}) == 78
    parts = ("2,500 updates", "batch of 4,096 tokens", "fine-tuning")
    # Four times the best rate is far too high, and stands apart.
    assert [summary["by_column"][name]["n_setups"] for name in parts] == [18, 6, 6]
    assert {name: part["n_setups"] for name, part in summary["by_rate"].items()} == {
        "0.5 x best rate": 12, "1 x best rate": 30, "2 x best rate": 24, "4 x best rate": 12,
    }  # fmt: skip
    horizons = ["600 updates", "2,500 updates", "10,000 updates"]
    assert list(summary["by_horizon"]) == horizons
    assert {part["n_setups"] for part in summary["by_horizon"].values()} == {6}
    assert list(summary["by_batch"]) == ["256 tokens", "1,024 tokens", "4,096 tokens"]
    assert [part["n_setups"] for part in summary["by_choice"].values()] == [36, 30]
    assert set(summary["best_lengths"]) == {"muon", "lion", "signum", "normsgd", "adamw", "sgd"}
    assert all(list(lengths) == horizons for lengths in summary["best_lengths"].values())
    means = [line["mean_regret"] for line in summary["rules"].values()]
    assert means == sorted(means)
    none = summary["rules"]["none"]
    assert (none["diverged"], none["diverged_where_hand_tuned_survives"]) == (8, 4)
    assert (none["n_setups"], none["tried_setups"]) == (62, 66)

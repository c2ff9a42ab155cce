"""Rules compared: paired statistics with the right values, verdicts only where there can be one."""

from __future__ import annotations

import json
import math
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.pages import assert_fits, assert_stands_alone, findings, needs_browser, words

from autowarmup.lab.bench.records import read_records
from autowarmup.lab.cli import main
from autowarmup.lab.compare import compare_rules
from autowarmup.lab.compare.statistics import paired
from autowarmup.lab.compare.words import headline, sentences

HERE = str(Path(__file__).parent)
RULES = ["default", "none", "linear 5%", "linear 20%"]


@pytest.fixture
def own(monkeypatch):
    """The module of trainings, importable in other processes too."""
    monkeypatch.syspath_prepend(HERE)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([HERE, os.environ.get("PYTHONPATH", "")]))
    import own_training

    yield own_training
    sys.modules.pop("own_training", None)


def test_differences_are_taken_seed_by_seed(own, tmp_path):
    summary = compare_rules(own.train, RULES, 5, out=tmp_path / "out", updates=1000)
    losses = {rule: [own.loss_of(rule, seed) for seed in range(5)] for rule in own.GAIN}
    rows = {row["rule"]: row for row in summary["rules"]}
    assert [row["rule"] for row in summary["rules"]] == ["paced", "none", "linear 5%", "linear 20%"]
    for rule, row in rows.items():
        assert row["mean"] == pytest.approx(np.mean(losses[rule]), abs=1e-5)
        assert row["error"] == pytest.approx(np.std(losses[rule], ddof=1) / 5**0.5, abs=1e-4)
        d = np.array(losses[rule]) - np.array(losses["paced"])
        found = row["difference"]
        error = d.std(ddof=1) / math.sqrt(5)
        assert found["mean"] == pytest.approx(d.mean(), abs=2e-5)
        assert found["error"] == pytest.approx(error, abs=2e-5)
        assert found["interval"] == pytest.approx(
            [d.mean() - 2.776 * error, d.mean() + 2.776 * error], abs=1e-4
        )
    # Seeds differ by 1, rules by 0.1: only the pairs can show it.
    verdicts = {rule: row["verdict"] for rule, row in rows.items()}
    assert verdicts == {"paced": None, "none": "higher", "linear 5%": "lower", "linear 20%": "open"}
    assert headline(summary) == (
        "Over 5 seeds of 1,000 updates, linear 5 % ends lower than paced and no warm-up ends "
        "higher than paced; linear 20 % cannot be told from it."
    )
    assert any(text.startswith("no warm-up ends 0.09") for text in sentences(summary))


def test_it_goes_on_where_it_stopped(own, tmp_path, monkeypatch):
    seen = tmp_path / "seen"
    seen.mkdir()
    monkeypatch.setenv("SEEN_BY", str(seen))
    out = tmp_path / "out"
    first = compare_rules(own.train, ["paced", "none"], [0, 1], out=out)
    assert len(list(seen.iterdir())) == 4
    again = compare_rules(own.train, ["paced", "none"], [0, 1, 2], out=out)
    assert len(list(seen.iterdir())) == 6
    assert first["seeds"] == [0, 1]
    assert again["seeds"] == [0, 1, 2]
    assert all(path.name.endswith(str(os.getpid())) for path in seen.iterdir())
    stored = json.loads((out / "summary.json").read_text())
    assert stored["rules"] == again["rules"]
    page = words(out / "report.html")
    assert_stands_alone(page, figures=1)
    assert findings(page) == {"differences": headline(again)}
    assert findings(page) != {"differences": headline(first)}
    assert "your training: 6 runs" in page


@needs_browser
def test_the_page_fits_every_screen(own, tmp_path):
    compare_rules(own.train, RULES, 5, out=tmp_path / "out", updates=1000)
    assert_fits(tmp_path / "out" / "report.html", tmp_path)


def test_processes_give_the_same_as_this_one(own, tmp_path, monkeypatch):
    seen = tmp_path / "seen"
    seen.mkdir()
    monkeypatch.setenv("SEEN_BY", str(seen))
    here = compare_rules(own.train, ["paced", "none"], 2, out=tmp_path / "here")
    there = compare_rules(own.train, ["paced", "none"], 2, out=tmp_path / "there", workers=1)
    assert here == there
    assert len({path.name.split()[-1] for path in seen.iterdir()}) == 2  # processes


def test_ray_gives_the_same_as_this_process(own, tmp_path):
    pytest.importorskip("ray")
    from autowarmup.lab.bench.ray_pool import RayOptions

    here = compare_rules(own.train, ["paced", "none"], 1, out=tmp_path / "here")
    there = compare_rules(
        own.train, ["paced", "none"], 1, out=tmp_path / "ray", workers=1, ray=RayOptions()
    )
    assert here == there


def test_a_closure_and_a_tensor_do_in_this_process(tmp_path):
    losses = {"paced": 1.0, "none": 2.0}
    summary = compare_rules(
        lambda rule, seed: torch.tensor(losses[rule] + seed, requires_grad=True),  # type: ignore[arg-type]
        ["paced", "none"],
        3,
        out=tmp_path / "out",
        name="a/b: my model",
    )
    assert summary["rules"][1]["difference"]["by_seed"] == [1.0, 1.0, 1.0]
    assert summary["rules"][1]["verdict"] == "higher"
    assert len(read_records(tmp_path / "out")) == 6


def test_what_diverges_is_counted_and_said(own, tmp_path):
    summary = compare_rules(own.diverges_without_warmup, RULES, 3, out=tmp_path / "out")
    row = summary["rules"][1]
    assert (row["rule"], row["diverged"], row["mean"], row["difference"]) == ("none", 3, None, None)
    assert any("no warm-up diverged in 3 of 3 runs" in text for text in sentences(summary))


def test_failures_are_said_and_tried_again(own, tmp_path, capsys):
    rules = ["paced", "none"]
    summary = compare_rules(own.fails_on_seed_1, rules, 3, out=tmp_path / "out")
    assert (summary["stored"], summary["planned"]) == (4, 6)
    assert any("RuntimeError: out of memory" in text for text in sentences(summary))
    assert summary["no_verdict_because"]
    capsys.readouterr()  # the tracebacks
    assert compare_rules(own.train, rules, 3, out=tmp_path / "out")["stored"] == 6


@pytest.mark.parametrize(
    ("seeds", "updates", "said"),
    [
        (1, None, "No verdict: one seed says nothing"),
        (2, None, "No verdict: 2 seeds with a loss are too few"),
        (3, 199, "No verdict: runs of 199 updates are too short"),
    ],
)
def test_no_verdict_where_there_can_be_none(own, tmp_path, seeds, updates, said):
    summary = compare_rules(own.train, RULES, seeds, out=tmp_path / "out", updates=updates)
    assert headline(summary).startswith(said)
    assert [row["verdict"] for row in summary["rules"]] == [None] * 4
    for word in ("lower than", "higher than", "told from paced"):
        assert word not in headline(summary)


@given(st.lists(st.floats(-10, 10), min_size=3, max_size=8), st.floats(-5, 5))
def test_what_a_seed_does_to_all_rules_cancels(differences, shift):
    """Moving all differences moves mean and interval by as much, and no error."""
    one, other = paired(differences), paired([d + shift for d in differences])
    assert one is not None
    assert other is not None
    assert other["mean"] == pytest.approx(one["mean"] + shift, abs=1e-9)
    assert other["error"] == pytest.approx(one["error"], abs=1e-9)
    low, high = one["interval"]
    assert low <= one["mean"] <= high


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"rules": []}, "expected different rules"),
        ({"rules": ["paced", "default"]}, "'paced' twice"),
        ({"rules": ["soon"]}, "got 'soon'"),
        ({"seeds": 0}, "seeds: expected different whole numbers, or how many, got 0"),
        ({"seeds": [1, 1]}, r"got \[1, 1\]"),
        ({"seeds": [0.5]}, r"got \[0.5\]"),
        ({"train": lambda rule, seed: 1.0, "workers": 2}, "a function at the top of a module"),
        ({"train": lambda rule, seed: "low"}, "expected a loss, a number, got 'low'"),
        ({"train": 3}, "train: expected a function of a rule's name and a seed, got 3"),
        ({"updates": "200"}, "expected updates to be a whole number, got '200'"),
    ],
)
def test_mistakes_get_one_sentence(own, tmp_path, change, sentence):
    values = {"train": own.train, "rules": ["paced", "none"], "seeds": 1, **change}
    with pytest.raises(ValueError, match=sentence) as caught:
        compare_rules(**values, out=tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_a_directory_of_others_is_left_alone(own, tmp_path):
    (tmp_path / "thesis.tex").write_text("do not touch")
    with pytest.raises(ValueError, match="got other files in it"):
        compare_rules(own.train, ["paced"], 1, out=tmp_path)


def test_the_command_trains_on_a_directory_of_text_and_goes_on(tmp_path, capsys):
    (tmp_path / "texts").mkdir()
    for k in range(40):
        (tmp_path / "texts" / f"{k}.txt").write_text(f"{k} {'the quick brown fox ' * 20}")
    command = [
        "compare", "--out", str(tmp_path / "out"), "--optimizer", "lion", "--lr", "1e-3",
        "--rules", "default,linear 50%", "--steps", "4", "--batch-size", "2", "--seeds", "1",
        "--data", str(tmp_path / "texts"), "--workers", "1",
    ]  # fmt: skip
    assert main(command) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "No verdict: one seed says nothing" in text
    assert "Runs of 4 updates are too short" in text
    assert main([*command, "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["stored"], summary["planned"]) == (2, 2)
    assert summary["setup"]["optimizer"] == "lion"
    assert [row["rule"] for row in summary["rules"]] == ["paced", "linear 50%"]
    assert (tmp_path / "out" / "report.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("--recipe demo", "got 'demo'"),
        ("--optimizer adam", "got 'adam'"),
        ("--rules soon", "got 'soon'"),
        ("--steps 0", "steps: expected at least 1"),
        ("--rules 'default,linear 9000 steps'", "at most the 1000 updates"),
        ("--seeds 0", "seeds: expected"),
        ("--data nowhere", "nowhere"),
        ("--cpus-per-run 2", "expected --engine ray"),
    ],
)
def test_mistakes_on_the_command_line_get_exit_code_2(
    arguments, sentence, tmp_path, capsys, monkeypatch
):
    import shlex

    monkeypatch.chdir(tmp_path)
    assert main(["compare", "--out", "out", *shlex.split(arguments)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert sentence in error
    assert len(error.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []

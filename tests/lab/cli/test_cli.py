"""The command line as a user types it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from autowarmup.lab.cli import main
from autowarmup.rules import DEFAULT_RULE, RULES, rule_of
from autowarmup.rules.gap_law.law import SmoothnessLaw


def run(arguments: str, capsys) -> tuple[int, str, str]:
    code = main(arguments.split())
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def python(*arguments: str) -> str:
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_schedule_prints_one_json_object(capsys):
    code, out, _ = run(
        "schedule --lr 1e-3 --loss0 11 --lower-bound 3.2 --rule accurate(kappa=65280) --json",
        capsys,
    )
    values = json.loads(out)
    assert code == 0
    assert values["gap0"] == pytest.approx(7.8)
    # 0.3261 is the minimiser; the published scan of 500 values, accurately integrated, has 0.327.
    assert values["r"] == pytest.approx(0.3261, abs=1e-4)
    assert values["gap_peak"] == pytest.approx(values["r"] * 7.8)
    law = SmoothnessLaw(values["K0"], values["K1"], values["K2"])
    assert law.rate(values["gap_peak"]) == pytest.approx(1e-3)
    assert law.rate(7.8) == pytest.approx(1e-5)
    assert law.peak_gap == pytest.approx(values["gap_peak"])
    assert values["rates"][0] == pytest.approx(1e-5)
    assert max(values["rates"]) == pytest.approx(1e-3)


@pytest.mark.parametrize("rule", RULES)
def test_schedule_shows_every_rule(capsys, rule):
    command = ["schedule", "--rule", rule, "--steps", "300", "--loss0", "6"]
    assert main(command) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"{rule}: ")
    follows = rule_of(rule).reads_loss
    assert ("along a typical loss curve" in text) == follows
    assert ("does not follow the loss" in text) != follows
    assert main([*command, "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert (values["rule"], len(values["rates"])) == (rule, 300)
    assert values["losses"] == ("a typical loss curve" if follows else None)
    assert min(values["rates"]) > 0
    assert max(values["rates"]) <= values["lr"] == 6e-3


def test_schedule_without_options_shows_the_default(capsys):
    code, out, _ = run("schedule", capsys)
    assert code == 0
    assert out.startswith(f"{DEFAULT_RULE}: ")
    assert "Warm-up ends at update 299 (length)" in out


def test_schedule_says_where_the_loss_rises(capsys, tmp_path):
    losses = tmp_path / "losses.txt"
    falls, rises = [4.0 - 0.02 * k for k in range(50)], [3.0 + 0.02 * k for k in range(150)]
    losses.write_text("\n".join(map(str, falls + rises)))
    code, out, _ = run(f"schedule --losses {losses}", capsys)
    assert code == 0
    assert "200 updates" in out
    assert "the rate is lowered" in out


@pytest.mark.parametrize("rule", ["flat(div=100)", "untuned"])
def test_schedule_draws_the_rates_and_says_the_sign_of_k1(capsys, tmp_path, rule):
    figure = tmp_path / "rates.svg"
    code, out, _ = run(f"schedule --rule {rule} --figure {figure}", capsys)
    assert code == 0
    assert ("K1 = " in out) == ("is negative" in out) == (rule != "untuned")
    assert "<svg" in figure.read_text()


def test_schedule_asks_the_optimizer_what_a_rule_wants_to_know(capsys):
    _, out, _ = run("schedule --rule accurate --recipe llama-124m --json", capsys)
    assert json.loads(out)["kappa"] == 65280.0
    ends = []
    for optimizer in ("sgd", "lion"):  # 2 / (1 - beta) updates
        _, out, _ = run(f"schedule --rule untuned --optimizer {optimizer} --json", capsys)
        ends.append(json.loads(out)["warmup_end_step"])
    assert ends == [19, 199]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("schedule --lr 1e-3 --loss0 3 --lower-bound 3.2", "expected less than 3, got 3.2"),
        ("schedule --lr 1e-3 --loss0 3 --div 2", "--div 2 is now --rule 'flat(div=2.0)'"),
        ("schedule --losses nowhere.txt", "nowhere.txt"),
        ("schedule --figure rates.pdf", ".svg or .png"),
        ("schedule --lr -1 --loss0 3", "lr > 0"),
        ("schedule --lr 1e-3 --loss0 3 --rule best", "got 'best'"),
        ("schedule --lr 1e-3 --loss0 3 --rule accurate --optimizer adamw", "kappa"),
        ("train --calibrate --out x", "the rule 'paced' has no first rate to measure"),
        ("train --recipe huge --out x", "got 'huge'"),
        ("train --optimizer adam --out x", "got 'adam'"),
        ("train --rule soon --out x", "got 'soon'"),
        ("train --warmup 5% --out x", "--warmup 5% is now --rule 'linear 5%'"),
        ("measure --peak=flat --out x", "--peak flat is now --rule 'flat'"),
        ("train --lr 0 --out x", "got 0"),
        ("train --steps 0 --out x", "got 0"),
        ("bench --set huge --out x", "got 'huge'"),
        ("bench --draw --out nowhere", "nowhere"),
        ("compare --recipe demo --out x", "got 'demo'"),
        ("compare --rules default --out x", "expected two or more, the first as the reference"),
        ("report x", "autowarmup bench --draw --out DIR"),
    ],
)
def test_mistakes_get_one_sentence_and_exit_code_2(
    arguments, sentence, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    code, _, err = run(arguments, capsys)
    assert code == 2
    assert err.startswith("error: ")
    assert sentence in err
    assert len(err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_is_not_ours_is_left_alone(capsys, tmp_path):
    (tmp_path / "thesis.tex").write_text("do not touch")
    for verb in ("train --steps 2", "bench --set smoke", "bench --set robustness"):
        code, _, err = run(f"{verb} --out {tmp_path}", capsys)
        assert code == 2
        assert str(tmp_path) in err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_help_is_readable_and_importing_the_package_is_cheap():
    shown = python("-m", "autowarmup.lab.cli", "--help")
    for verb in ("train", "bench", "schedule"):
        assert verb in shown
    loaded = python(
        "-c",
        "import sys, autowarmup, autowarmup.scheduler, autowarmup.norms\n"
        "heavy = {'transformers', 'datasets', 'accelerate', 'matplotlib', 'tyro', 'scipy'}\n"
        "print(sorted(heavy & set(sys.modules)))",
    )
    assert loaded.strip() == "[]"


def test_the_command_line_is_light_until_a_verb_runs():
    heavy = {"torch", "transformers", "datasets", "accelerate", "matplotlib", "scipy", "jax"}
    loaded = python("-c", "import sys, autowarmup.lab.cli; print(*sys.modules)")
    assert not heavy & set(loaded.split())


def test_the_help_of_train_lists_the_rules_and_says_what_fills_an_option():
    shown = " ".join(python("-m", "autowarmup", "train", "--help").replace("│", " ").split())
    for rule in RULES:
        assert rule in shown or rule.startswith("linear")
    assert "None" not in shown
    assert "(default: the recipe's)" in shown


def test_train_writes_a_record_and_says_the_loss(capsys, tmp_path):
    run_dir = tmp_path / "run"
    code, out, _ = run(
        f"train --recipe tiny-cpu --optimizer muon --lr 6e-3 --rule paced --steps 8 "
        f"--batch-size 2 --seed 0 --out {run_dir}",
        capsys,
    )
    result = json.loads((run_dir / "result.json").read_text())
    lines = (run_dir / "trace.jsonl").read_text().splitlines()
    assert code == 0
    assert f"{result['val_loss']:.4f}" in out
    assert len(lines) == 8
    assert {"val_loss", "warmup_end_step", "config", "environment"} <= set(result)


def test_a_file_that_cannot_be_written_is_a_sentence_without_a_number(
    capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    code, _, err = run("schedule --figure file/x.svg", capsys)
    assert code == 2
    assert err.strip() in ("error: file: File exists", "error: file: Not a directory")

"""The command line as a user types it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from autowarmup.lab.cli import main
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
        "schedule --lr 1e-3 --div 100 --loss0 11 --lower-bound 3.2 --kappa 65280 "
        "--rule accurate --json",
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


def test_schedule_draws_the_curve_and_says_the_sign_of_k1(capsys, tmp_path):
    figure = tmp_path / "law.svg"
    code, out, _ = run(f"schedule --lr 1e-3 --loss0 5.5 --figure {figure}", capsys)
    assert code == 0
    assert "K1 = " in out
    assert "is negative" in out
    assert "peak" in out
    assert "<svg" in figure.read_text()


def test_schedule_takes_kappa_from_the_shapes_of_a_recipe(capsys):
    _, out, _ = run("schedule --lr 1e-3 --loss0 11 --kind spectral --json", capsys)
    assert json.loads(out)["kappa"] == 65280.0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("schedule --lr 1e-3 --loss0 3 --lower-bound 3.2", "expected less than 3, got 3.2"),
        ("schedule --lr 1e-3 --loss0 3 --div 1", "div > 1"),
        ("schedule --lr -1 --loss0 3", "lr > 0"),
        ("schedule --lr 1e-3 --loss0 3 --rule best", "got 'best'"),
        ("schedule --lr 1e-3 --loss0 3 --rule accurate", "kappa"),
        ("train --recipe huge --out x", "got 'huge'"),
        ("train --optimizer adam --out x", "got 'adam'"),
        ("train --rule soon --out x", "got 'soon'"),
        ("train --warmup 5% --out x", "expected --rule with a name"),
        ("measure --peak=flat --out x", "expected --rule with a name"),
        ("train --lr 0 --out x", "got 0"),
        ("train --steps 0 --out x", "got 0"),
        ("bench --set huge --out x", "got 'huge'"),
        ("bench --draw --out nowhere", "nowhere"),
        ("compare --recipe demo --out x", "autowarmup bench --set demo --out DIR"),
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


def test_train_writes_a_record_and_says_the_loss(capsys, tmp_path):
    run_dir = tmp_path / "run"
    code, out, _ = run(
        f"train --recipe tiny-cpu --optimizer muon --lr 6e-3 --rule watched --steps 8 "
        f"--batch-size 2 --seed 0 --out {run_dir}",
        capsys,
    )
    result = json.loads((run_dir / "result.json").read_text())
    lines = (run_dir / "trace.jsonl").read_text().splitlines()
    assert code == 0
    assert f"{result['val_loss']:.4f}" in out
    assert len(lines) == 8
    assert {"val_loss", "warmup_end_step", "config", "environment"} <= set(result)

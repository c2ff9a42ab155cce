"""What every verb prints fits a terminal of 80 columns."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import pytest
from rich.console import Console
from tests.lab.bench.conftest import bench_record

from autowarmup.lab.bench.sets import demo
from autowarmup.lab.cli import VERBS, main
from autowarmup.lab.curvature.page import print_record
from autowarmup.lab.curvature.record import read_record
from autowarmup.lab.train.progress import progress_bar

ROOT = Path(__file__).parents[3]
LONG = "flat(div=50.0, smoothing=0.85)"


@pytest.fixture(autouse=True)
def terminal(monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)


def lines(capsys) -> list[str]:
    """Return what was printed; a line that names a file is as long as its path."""
    captured = capsys.readouterr()
    found = [*captured.out.splitlines(), *captured.err.splitlines()]
    assert found
    return [line for line in found if not line.startswith("Open ")]


def assert_fits(found: list[str]) -> None:
    assert [line for line in found if len(line) > 80] == []
    # Only a bar may shorten its title.
    assert [line for line in found if "…" in line and "━" not in line] == []


@pytest.mark.parametrize("rule", ["paced", LONG, "watched", "none", "linear 5%"])
def test_schedule(rule, capsys):
    assert main(["schedule", "--rule", rule, "--steps", "10000", "--lr", "0.00123456"]) == 0
    assert_fits(lines(capsys))


def test_replay(capsys):
    rows = [
        {"step": k, "loss": 3 + math.exp(-k / 90) + 2 * (k > 700), "lr": 1e-3} for k in range(1000)
    ]
    Path("log.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    rules = f"default,{LONG},watched(share=0.31),linear 5%,untuned"
    assert main(["replay", "log.jsonl", "--rules", rules, "--out", "out"]) == 0
    found = lines(capsys)
    assert_fits(found)
    assert any("smoothing=0.85)" in line for line in found)


def test_train_measure_and_compare(capsys):
    Path("texts").mkdir()
    for k in range(40):
        (Path("texts") / f"{k}.txt").write_text(f"{k} {'the quick brown fox ' * 20}")
    data = ["--data", "texts", "--batch-size", "2", "--steps"]
    assert main(["train", "--rule", LONG, *data, "3", "--out", "run", "--optimizer", "lion"]) == 0
    assert_fits(lines(capsys))
    rules = f"default,{LONG}"
    arguments = ["compare", "--rules", rules, "--seeds", "1", "--workers", "1", *data, "3"]
    assert main([*arguments, "--out", "compared"]) == 0
    assert_fits(lines(capsys))
    assert main(["measure", "--object", "deep-linear", "--steps", "30", "--out", "curved"]) == 0
    assert_fits(lines(capsys))


@pytest.mark.parametrize("run", ["small-muon", "tiny-adamw", "object-deep-linear"])
def test_a_measured_run(run):
    out = io.StringIO()
    print_record(read_record(ROOT / "results" / "curvature" / run), console=Console(file=out))
    assert_fits(out.getvalue().splitlines())


def test_bench(capsys):
    runs = Path("bench/runs")
    runs.mkdir(parents=True)
    for at, plan in enumerate(demo()):
        record = bench_record(plan.rule, 1.5 + 0.01 * at, setup=plan.setup)
        with (runs / f"{plan.setup.family.id}.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")
    assert main(["bench", "--draw", "--out", "bench"]) == 0
    found = lines(capsys)
    assert_fits(found)
    assert any(line.startswith(" paced (default)") for line in found)


def test_theory(capsys):
    assert main(["theory", "--instances", "2", "--out", "theory"]) == 0
    assert_fits(lines(capsys))


@pytest.mark.parametrize("title", ["normsgd, linear 5%", f"signum, {LONG}"])
def test_a_bar_shows_its_numbers_whole(title, capsys):
    with progress_bar(title, 10_000, visible=True) as show:
        show(9_999, "loss 3.697  lr 5.7e-04  warmup")
    *_, last = capsys.readouterr().err.splitlines()
    assert len(last) <= 80
    assert "9999/10000 loss 3.697  lr 5.7e-04  warmup" in last
    assert last.startswith(title[:17])


@pytest.mark.parametrize("verb", VERBS)
def test_a_help(verb, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main([verb, "--help"])
    usage, *found = lines(capsys)
    assert usage.startswith("usage:")  # one line however narrow the terminal is
    assert_fits(found)
    assert len(found) > 10

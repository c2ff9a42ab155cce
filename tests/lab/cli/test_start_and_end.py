"""How the command begins and ends: versions, choices, missing packages, signals, plain words."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from autowarmup.lab.bench.sets import SETS
from autowarmup.lab.cli import main
from autowarmup.lab.extras import EXTRAS, need
from autowarmup.lab.problems.registry import OBJECTS
from autowarmup.lab.train import OPTIMIZERS, RECIPES
from autowarmup.lab.verbs.bench import SET_NAMES
from autowarmup.lab.verbs.measure import OBJECT_NAMES

ROOT = Path(__file__).parents[3]
TINY = "--batch-size 2 --sequence-length 8 --eval-batches 1 --threads 1 --optimizer lion"


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    monkeypatch.setenv("AUTOWARMUP_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "corpus.txt"
    path.write_text("".join(f"line {n} of a text to learn from\n" for n in range(400)))
    return path


def test_the_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"autowarmup {metadata.version('autowarmup')}\n"


@pytest.mark.parametrize("verb", ["train", "measure", "schedule"])
def test_the_help_lists_what_an_option_may_be(verb):
    command = [sys.executable, "-m", "autowarmup", verb, "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    shown = re.sub(r"[\s│]", "", shown)
    assert f"--recipe{{{','.join(RECIPES)}}}" in shown
    assert f"--optimizer{{{','.join(OPTIMIZERS)}}}" in shown


def test_the_lists_of_choices_are_those_that_are_known():
    assert set(SET_NAMES) == set(SETS)
    assert set(OBJECT_NAMES) == set(OBJECTS)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("schedule --loss0 nan", "loss0: expected a finite loss of at most 1e+30, got nan"),
        ("schedule --loss0 1e300", "loss0: expected a finite loss"),
        ("schedule --lower-bound=-inf", "lower_bound: expected a finite loss"),
        ("schedule --lr 1e300", "expected lr > 0 and at most 1e+30, got 1e+300"),
        ("schedule --lr nan", "expected lr > 0"),
        ("schedule --steps 0", "steps: expected 1 to 10,000,000, got 0"),
        ("schedule --steps 999999999999", "steps: expected 1 to 10,000,000"),
        ("bench --workers 0 --out x", "workers: expected at least 1, got 0"),
        ("bench --workers 0 --draw --out x", "workers: expected at least 1, got 0"),
        ("train --seed -1 --out x", "seed: expected 0 or more, got -1"),
    ],
)
def test_numbers_out_of_range(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments.split()) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert words in err
    assert len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "verb", ["train", "measure --object deep-linear", "measure --draw", "bench --set smoke",
             "bench --draw", "theory --instances 100000"]
)  # fmt: skip
def test_a_file_where_a_directory_must_be_is_told_at_once(verb, capsys, tmp_path):
    (tmp_path / "file").write_text("mine")
    began = time.monotonic()
    assert main([*verb.split(), "--out", str(tmp_path / "file")]) == 2
    assert time.monotonic() - began < 10
    err = capsys.readouterr().err
    assert "the file" in err or "measured curvature in" in err
    assert str(tmp_path / "file") in err
    assert (tmp_path / "file").read_text() == "mine"


def test_every_extra_is_known_by_what_it_brings():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    modules = {"scikit-learn": "sklearn"}
    for extra in set(extras) - {"all", "dev", "docs", "kernels", "release", "test"}:
        for requirement in extras[extra]:
            name = re.split(r"[>=<;\[ ]", requirement)[0]
            assert modules.get(name, name) in EXTRAS
    for module, extra in EXTRAS.items():
        name = {"sklearn": "scikit-learn", "markupsafe": "jinja2"}.get(module, module)
        assert any(requirement.startswith(name) for requirement in extras[extra])


WITHOUT = """
import sys
class Gone:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[1].split(","):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Gone())
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name in sys.argv[1].split(",") else found(name)
from autowarmup.lab.cli import main
raise SystemExit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize(
    ("gone", "arguments", "words"),
    [
        ("rich", "schedule", "the autowarmup command needs rich: expected `pip install"),
        ("tyro", "schedule", "the autowarmup command needs tyro: expected `pip install"),
        ("transformers", "train --steps 1 --out out", "autowarmup[pretrain]"),
        ("accelerate", "train --steps 1 --out out", "autowarmup[pretrain]"),
        ("datasets", "train --steps 1 --data a.parquet --out out", "autowarmup[pretrain]"),
        ("jinja2", "bench --set smoke --out out", "autowarmup[report]"),
        ("matplotlib", "bench --draw --out out", "autowarmup[report]"),
        ("matplotlib", "measure --object deep-linear --out out", "autowarmup[report]"),
        ("matplotlib", "schedule --figure rates.svg", "autowarmup[report]"),
        ("jinja2", "theory --instances 100000 --out out", "autowarmup[report]"),
        ("sklearn", "measure --object two-layer-ce --out out", "autowarmup[objects]"),
        ("ray", "bench --set smoke --engine ray --out out", "autowarmup[ray]"),
        ("scipy", "schedule --rule published", "autowarmup[scipy]"),
    ],
)
def test_a_missing_package_names_its_extra(gone, arguments, words, tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    command = [sys.executable, "-c", WITHOUT, gone, *arguments.split()]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert words in last
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_package_that_is_missing_is_told_before_the_work():
    with pytest.raises(ModuleNotFoundError):
        need("torch", "no_such_package_of_ours")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_checkpoint_that_goes_on(number, corpus, tmp_path):
    words = f"train --steps 100000 {TINY} --checkpoint-every 0 --eval-every 100000"
    command = [sys.executable, "-m", "autowarmup", *words.split(), "--data", str(corpus)]
    out = tmp_path / "run"
    run = subprocess.Popen([*command, "--out", str(out)], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 200
    while not (out / "trace.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    run.send_signal(number)
    _, err = run.communicate(timeout=200)
    assert run.returncode == 130, err
    assert "nothing is lost; go on with: autowarmup train" in err
    (kept,) = out.glob("checkpoint-*.pt")
    steps = int(kept.stem.partition("-")[2])
    lines = (out / "trace.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(steps))


def test_a_killed_run_leaves_its_directory_free(corpus, tmp_path, capsys):
    out = tmp_path / "run"
    words = f"train --steps 60 {TINY} --checkpoint-every 5 --data {corpus} --out {out}"
    run = subprocess.Popen([sys.executable, "-m", "autowarmup", *words.split()], stderr=-3)
    deadline = time.monotonic() + 200
    while not list(out.glob("checkpoint-*.pt")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    assert main([*words.split(), "--resume"]) == 0
    assert len((out / "trace.jsonl").read_text().splitlines()) == 60
    assert not list(out.glob(".*"))


def test_a_run_that_ends_above_its_first_loss_says_so(corpus, tmp_path, capsys):
    words = f"train --steps 30 {TINY} --lr 3 --rule none --data {corpus} --out {tmp_path / 'run'}"
    assert main(words.split()) == 0
    err = capsys.readouterr().err
    assert "warning: the loss ended above where it began" in err
    record = json.loads((tmp_path / "run" / "result.json").read_text())
    assert record["message"].startswith("the loss ended above where it began")
    assert record["train_loss"] > record["trace"]["loss"][0]


def test_smoke_runs_draw_no_verdict(tmp_path, capsys):
    assert main(["bench", "--set", "smoke", "--out", str(tmp_path / "smoke")]) == 0
    out = " ".join(capsys.readouterr().out.split())
    words = "These runs of at most 40 updates show that everything works; they are too short"
    assert words in out
    page = (tmp_path / "smoke" / "report.html").read_text()
    assert words in page
    for verdict in ("Used unchanged", "best single length", "won 0", "regret of"):
        assert verdict not in out


def test_a_reader_that_leaves_early_is_no_failure(tmp_path):
    command = [sys.executable, "-m", "autowarmup", "schedule", "--steps", "10"]
    rates = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert rates.stdout is not None
    rates.stdout.close()  # before anything is written
    _, told = rates.communicate()
    assert (rates.returncode, told) == (0, b"")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
def test_a_terminal_that_lacks_a_sign_gets_a_plainer_one(encoding, tmp_path):
    command = [sys.executable, "-m", "autowarmup", "schedule", "--steps", "10"]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run(command, capture_output=True, check=True, env=environment)
    assert done.stderr == b""
    last = done.stdout.decode(encoding).splitlines()[-1]
    assert last.endswith(" #") or last.endswith(" ##")


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes there")
def test_a_file_whose_name_is_no_text_is_replayed(tmp_path, capsys):
    log = tmp_path / os.fsdecode(b"caf\xe9.csv")
    log.write_text("step,loss\n0,3\n1,2\n")
    assert main(["replay", str(log), "--out", str(tmp_path / "out")]) == 0
    assert "caf?.csv" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")

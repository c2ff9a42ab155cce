"""Every file of benchmarks/ runs once, small and without a clock, so that none can rot.

And no stored figure outlives the default that it was measured with.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from autowarmup.rules import DEFAULT_RULE, rule_of

ROOT = Path(__file__).parent.parent
SCRIPTS = {
    "run": ["theory"],
    "observer_overhead": [],
    "hosts_overhead": [],
    "gpu_syncs": [],
    "gpu_steps": [],
    "gpu": ["--device", "cpu", "--tiny", "--only", "syncs"],
    "fleet_speed": [],
    "muon_step": ["--rounds", "2"],
    "llama_warmup": ["--recipe", "tiny-cpu", "--data", "{corpus}", "--out", "{out}/llama"],
}
TIMED = sorted(path.stem for path in (ROOT / "benchmarks").glob("bench_*.py"))


def _small() -> None:
    """Take over the tests of every timed file, read while sizes are said to be small."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOWARMUP_BENCH_DRY", "yes")
        for stem in TIMED:
            module = importlib.import_module(f"benchmarks.{stem}")
            found = {name: f for name, f in vars(module).items() if name.startswith("test_")}
            assert found, f"{stem} measures something"
            for name, function in found.items():
                globals()[f"test_{stem}_{name.removeprefix('test_')}"] = function


_small()


def test_every_file_is_run():
    assert {path.stem for path in (ROOT / "benchmarks").glob("*.py")} == {*TIMED, *SCRIPTS}


@pytest.mark.parametrize("script", SCRIPTS)
def test_script(script, tmp_path):
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("".join(f"line {n} of a text to learn from\n" for n in range(4000)))
    settled = tmp_path / "llama" / "runs" / "tiny-cpu-muon"
    settled.mkdir(parents=True)
    (settled / "steps.json").write_text('{"steps": 2}')  # llama_warmup measures no speed then
    words = [word.format(corpus=corpus, out=tmp_path) for word in SCRIPTS[script]]
    dry = {"AUTOWARMUP_BENCH_DRY": str(tmp_path), "AUTOWARMUP_CACHE": str(tmp_path / "cache")}
    before = {path: path.read_bytes() for path in (ROOT / "results" / "benchmarks").iterdir()}
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / f"{script}.py"), *words],
        capture_output=True,
        text=True,
        # pytest inside pytest must not take itself for one of several workers.
        env={k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
        | {**dry, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    written = [*tmp_path.glob("*.json"), *(tmp_path / "llama").glob("*.json")]
    assert len(written) == 1
    assert json.loads(written[0].read_text())["environment"]["autowarmup"]
    after = {path: path.read_bytes() for path in (ROOT / "results" / "benchmarks").iterdir()}
    assert after == before


def rules_in(values: object) -> list[str]:
    """Return every rule that a stored result says it was measured with."""
    if isinstance(values, list):
        return [rule for item in values for rule in rules_in(item)]
    if not isinstance(values, dict):
        return []
    own = [values["rule"]] if isinstance(values.get("rule"), str) else []
    return own + [rule for item in values.values() for rule in rules_in(item)]


def test_stored_speeds_of_the_scheduler_are_those_of_the_default():
    for path in (ROOT / "results" / "benchmarks").glob("*.json"):
        rules = [rule for rule in rules_in(json.loads(path.read_text())) if "linear" not in rule]
        assert path.stem != "scheduler" or len(rules) == 4
        kinds = {type(rule_of(rule)) for rule in rules}
        assert kinds <= {type(rule_of(DEFAULT_RULE))}, f"{path.name}: measure it again"


def test_the_page_names_the_rule_of_its_figures():
    rows = [
        line
        for line in (ROOT / "docs" / "speed.md").read_text().splitlines()
        if line.startswith("| scheduler step")
    ]
    assert rows
    assert all(f", rule {DEFAULT_RULE} |" in row for row in rows)


def test_the_gpu_parts_stop_in_time_and_go_on_where_they_stopped(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    gpu = importlib.import_module("gpu")
    begun: list[str] = []

    def measured(part, asked, out, seconds):
        begun.append(part.name)
        status = "measured" if len(begun) != 2 else "stopped after 1 seconds"
        return {"status": status, "seconds": 1.0, "result": part.result}

    monkeypatch.setattr(gpu, "measured", measured)
    monkeypatch.setattr(gpu, "DRY", str(tmp_path))
    words = ["gpu.py", "--device", "cpu", "--tiny", "--out", str(tmp_path / "gpu")]
    monkeypatch.setattr(sys, "argv", words)
    assert gpu.main() == 1
    assert begun == [part.name for part in gpu.PARTS]
    assert gpu.main() == 0
    assert begun[len(gpu.PARTS) :] == [gpu.PARTS[1].name]
    stored = json.loads((tmp_path / "gpu.json").read_text())
    assert stored["card"] == "cpu"
    assert {row["status"] for row in stored["parts"].values()} == {"measured"}
    (tmp_path / "gpu.json").unlink()
    monkeypatch.setattr(sys, "argv", [*words, "--minutes", "0.5"])
    assert gpu.main() == 1  # 20 seconds are the least that a part is begun with
    statuses = json.loads((tmp_path / "gpu.json").read_text())["parts"]
    assert statuses["syncs"]["status"].startswith("not begun: 30 seconds were left")
    assert statuses["training"]["status"] == "measured"


def test_the_gpu_parts_are_planned_without_starting_any(monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    gpu = importlib.import_module("gpu")
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--plan", "--minutes", "20"])
    assert gpu.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(gpu.PARTS)
    assert lines[1].startswith("1. syncs, at most 360 seconds: python ")
    assert all((ROOT / "benchmarks" / part.words[0]).exists() for part in gpu.PARTS)

"""The benchmark as a user starts it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from autowarmup.lab.bench import rules
from autowarmup.lab.bench.engine import Outcome
from autowarmup.lab.bench.job import run_set
from autowarmup.lab.bench.records import key_of, read_records
from autowarmup.lab.bench.sets import SETS
from autowarmup.lab.cli import main
from autowarmup.rules.registry import DEFAULT_RULE

SMOKE = SETS["smoke"]()
LINE = {
    "kind", "mean_regret", "worst_regret", "win_or_tie_share", "diverged", "overhead", "n_setups",
}  # fmt: skip


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A finished smoke set."""
    path = tmp_path_factory.mktemp("bench") / "new" / "dir"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOWARMUP_CACHE", str(tmp_path_factory.mktemp("cache")))
        assert main(["bench", "--set", "smoke", "--workers", "1", "--out", str(path)]) == 0
        yield path


def summary_of(out: Path) -> dict[str, Any]:
    return json.loads((out / "summary.json").read_text())


def test_the_smoke_set_is_run_and_told(out: Path) -> None:
    records = read_records(out)
    assert sorted(map(key_of, records)) == sorted(plan.key for plan in SMOKE)
    assert {record["status"] for record in records} == {"finished"}
    summary = summary_of(out)
    assert summary["default_rule"] == DEFAULT_RULE
    assert summary["runs"] == {"stored": len(SMOKE), "finished": len(SMOKE), "diverged": 0}
    assert set(summary["rules"]) == {plan.rule for plan in SMOKE}
    for name, line in summary["rules"].items():
        assert set(line) >= LINE
        assert line["kind"] == rules.described(name).kind
        assert line["n_setups"] == len({plan.setup for plan in SMOKE if plan.rule == name})
        assert -1 < line["mean_regret"] <= line["worst_regret"]
        assert 0 <= line["win_or_tie_share"] <= 1
        # Only what measures its start pays for passes.
        assert bool(line["overhead"]) == (name == "published")
    page = (out / "report.html").read_text()
    assert "<svg" in page
    assert "bench --set smoke" in page
    (noted,) = json.loads((out / "environment.json").read_text())
    assert noted["command"].startswith("autowarmup bench --set smoke --workers 1 --out ")


def test_the_same_command_continues_and_draw_only_draws(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = {path: path.read_bytes() for path in (out / "runs").iterdir()}
    before = summary_of(out)
    copy = tmp_path / "copy"
    shutil.copytree(out / "runs", copy / "runs")
    assert main(["bench", "--draw", "--out", str(copy)]) == 0
    assert summary_of(copy) == before
    assert (copy / "report.html").is_file()
    assert "runs are stored" not in capsys.readouterr().out
    assert run_set(out, "smoke", workers=1) == Outcome(len(SMOKE), len(SMOKE))
    assert {path: path.read_bytes() for path in (out / "runs").iterdir()} == runs


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            "--set huge",
            "set: expected one of demo, core, protocol, logs, extended, robustness, smoke, "
            "got 'huge'",
        ),
        ("--set smoke --cpus-per-run 2", "expected --engine ray with the options of Ray"),
        ("--draw", "expected records of the benchmark in runs/, got none"),
    ],
)
def test_mistakes_get_one_sentence_and_exit_code_2(
    arguments: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "--out", str(tmp_path / "out"), *arguments.split()]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert sentence in captured.err
    assert captured.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_broken_record_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "lion.jsonl").write_text('{"setup": ')
    for arguments in (["--draw"], ["--set", "smoke"]):
        assert main(["bench", "--out", str(tmp_path), *arguments]) == 2
        error = capsys.readouterr().err
        assert "lion.jsonl: expected one JSON record a line" in error
        assert error.count("\n") == 1

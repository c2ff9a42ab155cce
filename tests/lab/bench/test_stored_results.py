"""The committed results are what the code makes of the committed runs."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from autowarmup.lab.bench.job import summary_of
from autowarmup.rules import DEFAULT_RULE

RESULTS = Path(__file__).parents[3] / "results"


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """Return where two JSON values differ by more than rounding."""
    if isinstance(old, dict) and isinstance(new, dict):
        if list(old) != list(new):
            return [f"{path}: {sorted(old.keys() ^ new.keys()) or 'order'}"]
        return [text for key in old for text in differences(old[key], new[key], f"{path}/{key}")]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return [text for at, (a, b) in pairs for text in differences(a, b, f"{path}/{at}")]
    if isinstance(old, float) and isinstance(new, float):
        same = math.isclose(old, new, rel_tol=1e-12, abs_tol=1e-15)
        return [] if same else [f"{path}: {old} {new}"]
    return [] if old == new else [f"{path}: {old!r} {new!r}"]


@pytest.fixture(scope="module")
def committed() -> dict[str, Any]:
    return json.loads((RESULTS / "bench" / "summary.json").read_text())


def test_every_number_of_the_committed_summary(committed: dict[str, Any]) -> None:
    summary, records = summary_of(RESULTS / "bench")
    # Beside the core set lie sweeps of the rate, of which each set-up has one rule.
    assert len(records) >= committed["runs"]["stored"] > 2100
    assert differences(committed, json.loads(json.dumps(summary))) == []
    assert len(committed["rules"]) == 16
    assert len(committed["robustness"]) == 3
    assert committed["rules"][DEFAULT_RULE]["false_alarms"] == 0


def test_the_comparison_would_notice(committed: dict[str, Any]) -> None:
    wrong = json.loads(json.dumps(committed))
    wrong["rules"]["watched"]["mean_regret"] *= 1 + 1e-9
    wrong["setups"][3]["best_hand_tuned"] = "untuned"
    assert len(differences(committed, wrong)) == 2


def test_the_archive_of_the_earlier_study_holds_the_runs_of_its_summary() -> None:
    lines = (RESULTS / "study" / "runs.jsonl").read_text().splitlines()
    summary = json.loads((RESULTS / "study" / "summary.json").read_text())
    stored = sorted(json.loads(line)["val_loss"] for line in lines)
    told = [x for s in summary["setups"] for rule in s["rules"] for x in rule["val_losses"]]
    assert len(stored) == summary["runs"]["stored"] == 224
    assert stored == sorted(told)

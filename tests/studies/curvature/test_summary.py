from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from autowarmup.history import Point, Trace
from autowarmup.lab.curvature.record import build_record, read_record
from studies.curvature.__main__ import STUDY, commands
from studies.curvature.figures import draw, outcome
from studies.curvature.summary import headline, summary_row, write_summary

Record = dict[str, Any]

RESULTS = Path(__file__).parents[3] / STUDY


def record_of(points: list[Point], **changes: Any) -> Record:
    about: Record = {
        "source": {"kind": "train"}, "label": "a run", "config": {"steps": 9}, "lower_bound": 0.0,
        "norm": "linf", "counted": None, "determinism": None, "command": "x", "seeds": [0],
    }  # fmt: skip
    return build_record(Trace(points), **{**about, **changes})


@pytest.fixture(scope="module")
def falling() -> Record:
    return record_of(
        [Point(step, 9.0 - 0.2 * step, K=(9.0 - 0.2 * step) ** 2) for step in range(30)]
    )


@pytest.fixture(scope="module")
def single() -> Record:
    return record_of(
        [Point(0, 4.0, K=1.0)], label="one <point>", source={"kind": "run", "status": "diverged"}
    )


def test_the_committed_summary_is_that_of_the_committed_runs() -> None:
    summary = json.loads((RESULTS / "summary.json").read_text())
    assert [row["run"] for row in summary["runs"]] == sorted(commands())
    for row in summary["runs"]:
        assert summary_row(row["run"], read_record(RESULTS / row["run"])) == row
    assert headline(summary["runs"]) == summary["headline"]
    sentences = {"rises": " rises as the gap falls", "falls": " falls as the gap falls"}
    for row in summary["runs"]:
        assert row["outcome"].endswith(sentences.get(row["verdict"], "not determined"))


def test_a_folder_of_runs_becomes_a_summary_and_two_figures(tmp_path: Path) -> None:
    names = ["object-one-layer-transformer", "small-muon", "tiny-sgd"]
    for name in names:
        shutil.copytree(RESULTS / name, tmp_path / name)
    summary = write_summary(tmp_path)
    assert json.loads((tmp_path / "summary.json").read_text()) == summary
    assert summary["headline"] == (
        "Of 3 measured runs: in 1 curvature rises as the gap falls; in 1 curvature falls as the "
        "gap falls; in 1 nothing can be said yet."
    )
    muon = summary["runs"][1]
    assert (muon["steps"], muon["norm"], muon["K1_sign"]) == (2000, "spectral", "positive")
    assert muon["slope_interval"][0] < muon["slope"] < muon["slope_interval"][1]
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {
        "overview.svg", "overview-narrow.svg", "slopes.svg", "slopes-narrow.svg",
    }  # fmt: skip


def test_a_run_that_says_nothing_is_shown_too(
    falling: Record, single: Record, tmp_path: Path
) -> None:
    assert [outcome(record) for record in (falling, single)] == [
        "K falls as the gap falls",
        "not determined",
    ]
    row = summary_row("single", single)
    assert (row["slope"], row["r_squared"], row["K1_sign"]) == (None, None, "–")
    assert row["status"] == "diverged"
    draw([falling, single] * 4, tmp_path, "Four of 8 fall.")
    assert "<title>Four of 8 fall.</title>" in (tmp_path / "overview.svg").read_text()
    assert "(diverged)" in (tmp_path / "slopes.svg").read_text()


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected measured runs in .*measure\.json, got none"):
        write_summary(tmp_path)

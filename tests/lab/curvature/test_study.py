from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autowarmup.history import Point, Trace
from autowarmup.lab.curvature.page import page
from autowarmup.lab.curvature.store import write_record
from autowarmup.lab.curvature.study import write_study
from autowarmup.lab.curvature.study_figures import overview, slopes

Record = dict[str, Any]
Traces = dict[str, Callable[..., Trace]]
MakeRecord = Callable[..., Record]


@pytest.fixture(scope="module")
def folder(
    tmp_path_factory: pytest.TempPathFactory,
    traces: Traces,
    make_record: MakeRecord,
    object_about: Record,
) -> Path:
    out = tmp_path_factory.mktemp("study")
    records = {
        "muon": make_record(traces["muon"]()),
        "lion": make_record(traces["lion"](), label="Lion <b>", norm="linf"),
        "bad": make_record(traces["diverging"](), source={"kind": "run", "status": "diverged"}),
        "deep": make_record(traces["object"](), **object_about),
        "few": make_record(Trace([Point(step=0, loss=4.0, K=1.0)]), label="one point"),
    }
    for name, record in records.items():
        write_record(out / name, record)
    page(out / "muon")
    (out / "torn").mkdir()
    (out / "torn" / "measure.json").write_text("{")
    write_study(out)
    return out


def test_the_summary_has_a_row_per_run(folder: Path) -> None:
    summary = json.loads((folder / "summary.json").read_text())
    rows = {row["run"]: row for row in summary["runs"]}
    assert list(rows) == ["bad", "deep", "few", "lion", "muon"]
    muon = rows["muon"]
    assert (muon["steps"], muon["points"], muon["norm"]) == (1000, 100, "spectral")
    assert muon["outcome"] == "K rises as the gap falls"
    assert muon["slope"] == pytest.approx(-1.8, abs=0.3)
    assert muon["slope_interval"][0] < muon["slope"] < muon["slope_interval"][1]
    assert (muon["K1_sign"], muon["K1_free"] < 0) == ("negative", True)
    assert muon["r_squared"] < 0.1 < 0.7 < muon["r_squared_free"]
    assert muon["noise_over_K"] == pytest.approx(14, rel=0.1)
    assert muon["trust_ratio"] == pytest.approx(0.55, abs=0.1)
    assert (rows["deep"]["quantity"], rows["deep"]["outcome"]) == ("H", "H falls as the gap falls")
    assert rows["few"]["outcome"] == "not determined"
    assert (rows["few"]["slope"], rows["few"]["r_squared"], rows["few"]["K1_sign"]) == (
        None,
        None,
        "–",
    )
    assert rows["bad"]["status"] == "diverged"
    assert len(summary["unreadable"]) == 1


def test_the_report_says_what_the_summary_says(folder: Path) -> None:
    summary = json.loads((folder / "summary.json").read_text())
    text = (folder / "report.html").read_text()
    assert summary["headline"] in text
    assert "Lion &lt;b&gt;" in text
    assert text.count("<svg") == 2
    assert re.findall(r'href="([^"#]*\.html)"', text) == ["muon/measure.html"]
    assert re.findall(r"url\((?!#)", text) == []
    assert "torn" in text
    assert '<span class="trouble">diverged</span>' in text


def test_drawing_again_changes_no_byte(folder: Path, tmp_path: Path) -> None:
    for path in folder.glob("*/measure.*"):
        (tmp_path / path.parent.name).mkdir(exist_ok=True)
        shutil.copy(path, tmp_path / path.parent.name)
    write_study(tmp_path)
    for name in (
        "report.html", "figures/overview.svg", "figures/slopes.png", "figures/overview.png",
    ):  # fmt: skip
        old, new = (folder / name).read_bytes(), (tmp_path / name).read_bytes()
        assert new.replace(bytes(tmp_path), bytes(folder)) == old, name


@pytest.mark.parametrize(
    ("names", "headline"),
    [
        (["muon"], "In the one run curvature rises as the gap falls."),
        (["few"], "In the one run nothing can be said yet."),
        (["few", "muon"], "Of 2 runs: in 1 curvature rises as the gap falls; in 1 nothing can"),
        (["deep", "muon"], "in 1 curvature rises as the gap falls; in 1 it falls with the gap."),
    ],
)
def test_headlines(folder: Path, tmp_path: Path, names: list[str], headline: str) -> None:
    for name in names:
        shutil.copytree(folder / name, tmp_path / name)
    assert headline in write_study(tmp_path)["headline"]


def test_many_runs_and_figures_alone(folder: Path, tmp_path: Path) -> None:
    record = json.loads((folder / "lion" / "measure.json").read_text())
    assert overview([record] * 7, tmp_path) == "overview"
    assert slopes([record] * 30, tmp_path) == "slopes"
    assert {path.name for path in tmp_path.iterdir()} == {
        "overview.svg", "overview.png", "slopes.svg", "slopes.png",
    }  # fmt: skip


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected measured runs in .*measure\.json, got none"):
        write_study(tmp_path)

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.pages import assert_fits, assert_stands_alone, findings, needs_browser, visit, words

from autowarmup.history import Point, Trace
from autowarmup.lab.curvature.figures import FIGURES
from autowarmup.lab.curvature.page import page, print_record
from autowarmup.lab.curvature.record import write_record

Record = dict[str, Any]
Traces = dict[str, Callable[..., Trace]]
MakeRecord = Callable[..., Record]

SVG_IDS = re.compile(r'\bid="([^"]+)"')


@pytest.fixture(scope="module")
def folder(
    tmp_path_factory: pytest.TempPathFactory, traces: Traces, make_record: MakeRecord
) -> Path:
    out = tmp_path_factory.mktemp("muon")
    hostile = {"kind": "run", "status": "diverged", "message": "nan <script>alert(1)</script>"}
    write_record(out, make_record(traces["muon"](), source=hostile))
    page(out)
    return out


def test_the_page_stands_alone(folder: Path) -> None:
    text = words(folder / "measure.html")
    assert_stands_alone(text, figures=5)


def test_the_page_says_what_the_record_says(folder: Path) -> None:
    text = words(folder / "measure.html")
    record = json.loads((folder / "measure.json").read_text())
    assert record["sentence"] in text
    assert "nan &lt;script&gt;alert(1)&lt;/script&gt;" in text
    for fact in (
        "autowarmup curvature &lt;x&gt;", "test &lt;cpu&gt;", "&lt;tiny&gt;", "311,296",
        record["window"]["rule"].rstrip("."), "Batch noise alone would give 14 times",
        "agreed within 0 of the loss", "about 1,500 at gap 2.3", "comes out negative",
    ):  # fmt: skip
        assert fact in text, fact


def test_drawing_again_changes_no_byte(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "measure.json", tmp_path)
    page(tmp_path)
    names = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    assert {str(name) for name in names} == {
        "measure.json", "measure.html",
        *(f"figures/{name}{size}.svg" for name in FIGURES for size in ("", "-narrow")),
    }  # fmt: skip
    for name in names:
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes(), name


EDGES: dict[str, Trace] = {
    "four equal": Trace(Point(step=s, loss=5.0 - s, K=9.0, lr=0.1) for s in range(4)),
    "one": Trace([Point(step=0, loss=5.0, K=9.0)]),
    "all broken": Trace(Point(step=s, loss=float("nan"), K=float("nan")) for s in range(6)),
    "below f*": Trace(Point(step=s, loss=-1.0 - s, K=9.0, trust_ratio=s) for s in range(6)),
    "zero and negative": Trace(
        Point(step=s, loss=5.0 - 0.2 * s, K=float(s % 2), K_dir=-3.0 + s, lr=0.0, trust_ratio=-9.0)
        for s in range(20)
    ),
    "flat gap": Trace(Point(step=s, loss=5.0, K=1.0 + s % 3) for s in range(20)),
    "long": Trace(Point(step=s, loss=5 - s / 900, K=1.0 + s % 7, lr=s / 9) for s in range(1300)),
}


@pytest.mark.parametrize("name", EDGES)
def test_edges_still_draw(name: str, make_record: MakeRecord, tmp_path: Path) -> None:
    record = make_record(EDGES[name], label=name)
    write_record(tmp_path, record)
    page(tmp_path)
    text = words(tmp_path / "measure.html")
    assert name in text
    assert "nan" not in re.sub(r"<svg.*?</svg>|<code>.*?</code>", "", text, flags=re.DOTALL)


def test_objects_and_other_runs(
    traces: Traces, make_record: MakeRecord, object_about: Record, tmp_path: Path
) -> None:
    source = {"kind": "object", "about": "Four layers.", "lower_bound_source": "known"}
    about = object_about | {"source": source}
    write_record(tmp_path, make_record(traces["object"](), **about))
    page(tmp_path)
    text = words(tmp_path / "measure.html")
    assert "H0 + H1·gap" in text
    assert "Four layers. Hessian norm H: the largest" in text
    assert "0 (known)" in text
    assert "FineWeb" not in text
    assert "against the learning rate" not in text  # one rate throughout
    # A figure that the next record has no data for must not be left over.
    assert (tmp_path / "figures" / "trust_ratio.svg").exists()
    bare = Trace(Point(step=s, loss=9 - 0.1 * s, K=5.0 + s) for s in range(30))
    write_record(tmp_path, make_record(bare, config={"optimizer": "lion"}))
    page(tmp_path)
    assert not (tmp_path / "figures" / "trust_ratio.svg").exists()
    assert "FineWeb" not in words(tmp_path / "measure.html")


def test_a_diverged_run_says_so(traces: Traces, make_record: MakeRecord, tmp_path: Path) -> None:
    write_record(tmp_path, make_record(traces["diverging"]()))
    page(tmp_path)
    text = words(tmp_path / "measure.html")
    assert "8 measured values were not finite and are left out" in text
    assert "Here the gap rose" in text


def test_without_a_record(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected measured curvature in .*measure\.json"):
        page(tmp_path)


def test_the_terminal_shows_the_same(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = json.loads((folder / "measure.json").read_text())
    print_record(record, folder)
    printed = " ".join(capsys.readouterr().out.split())
    assert record["sentence"] in printed
    assert "nan <script>alert(1)</script>" in printed
    assert "constants ≥ 0" in printed
    assert "Batch noise alone" in printed
    assert "measure.html in a browser" in printed


def test_the_terminal_without_a_fit(
    make_record: MakeRecord, capsys: pytest.CaptureFixture[str]
) -> None:
    print_record(make_record(EDGES["one"]))
    assert "Nothing can be said yet" in capsys.readouterr().out


def test_reading_needs_no_drawing_packages() -> None:
    code = (
        "import sys, autowarmup.lab.curvature.page, autowarmup.lab.curvature.notes\n"
        "loaded = {'matplotlib', 'jinja2', 'transformers', 'rich'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@needs_browser
def test_the_page_opens_in_a_browser(folder: Path, tmp_path: Path) -> None:
    seen = visit(folder / "measure.html", tmp_path, "--dump-dom")
    assert seen.dom.count("<svg") == 10
    assert (seen.console, seen.requests) == ([], [])
    assert_fits(folder / "measure.html", tmp_path)


def test_the_findings_are_those_of_the_data(
    folder: Path, traces: Traces, make_record: MakeRecord, tmp_path: Path
) -> None:
    found = findings(words(folder / "measure.html"))
    record = json.loads((folder / "measure.json").read_text())
    assert found["curvature_gap"] == record["sentence"]
    ratios = [point["trust_ratio"] for point in record["points"] if "trust_ratio" in point]
    rose = sum(ratio < 0 for ratio in ratios)
    assert f"it rose in {rose:,} of {len(ratios):,} measured steps" in found["trust_ratio"]
    assert "Over the run K rises from about 190" in found["curvature_step"]
    assert "of the law, nine in ten within" in found["residuals"]
    # Other data, other findings.
    write_record(tmp_path, make_record(traces["muon"](steps=400, seed=3)))
    page(tmp_path)
    others = findings(words(tmp_path / "measure.html"))
    assert set(others) == set(found)
    assert [name for name in found if found[name] == others[name]] == []

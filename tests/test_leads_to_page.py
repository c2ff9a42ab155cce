"""Every object that a user holds leads to its sentences, page and picture by the same two calls."""

from __future__ import annotations

import json
import sys

import pytest
import torch
from torch import nn

from autowarmup import AdaptiveWarmup, CurvatureObserver, Point, Trace, replay
from autowarmup.lab.compare import Comparison, compare_rules

STEPS = 60


def trained() -> tuple[AdaptiveWarmup, CurvatureObserver]:
    """A run on 2 |x|^2, whose curvature is 4 at every point."""
    model = nn.Linear(2, 1, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    observer = CurvatureObserver(model, optimizer, lambda: loss_of(model), every=2)
    scheduler = AdaptiveWarmup(optimizer, total_steps=STEPS)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = loss_of(model)
        loss.backward()
        optimizer.step()
        scheduler.step(loss)
    return scheduler, observer


def loss_of(model) -> torch.Tensor:
    return 2 * model.weight.square().sum() + 1.0


@pytest.fixture(scope="module")
def held(tmp_path_factory) -> dict:
    """What a user holds, by name."""
    scheduler, observer = trained()
    comparison = compare_rules(
        lambda rule, seed: seed + len(rule) / 10,
        ["paced", "none"],
        seeds=3,
        out=tmp_path_factory.mktemp("compared") / "first",
    )
    return {
        "scheduler": scheduler,
        "observer": observer,
        "trace": scheduler.trace,
        "measured trace": observer.trace,
        "replayed run": replay(scheduler.trace, lr=0.05),
        "comparison": comparison,
    }


PAGES = {
    "scheduler": ("report.html", "60 of 60 updates with the rule 'paced', peak rate 0.05."),
    "observer": ("measure.html", "Curvature was measured at 30 of 60 updates"),
    "trace": ("report.html", "60 points of updates 0 to 59."),
    "measured trace": ("measure.html", "30 points of updates 0 to 58."),
    "replayed run": ("report.html", "60 points of updates 0 to 59."),
    "comparison": ("report.html", "no warm-up ends"),
}


@pytest.mark.parametrize("name", PAGES)
def test_one_call_says_it_and_another_writes_the_page(held, name, tmp_path):
    page, sentence = PAGES[name]
    out = tmp_path / "out"
    said = held[name].report()
    assert sentence in said
    assert not out.exists()
    for _ in range(2):  # a run goes on: its page is written again
        assert held[name].report(out) == f"{said} The page is {out / page}."
    html = (out / page).read_text(encoding="utf-8")
    assert html.startswith("<!doctype html>")
    assert "<svg" in html
    assert not list(out.glob(".autowarmup*"))
    drawn = held[name].plot().figure
    drawn.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 5_000


def test_a_page_of_a_run_keeps_its_data(held, tmp_path):
    held["scheduler"].report(tmp_path / "out")
    assert Trace.read(tmp_path / "out" / "trace.jsonl") == held["scheduler"].trace
    html = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    for fact in ("paced: Ramp", "26 updates, ended by length", "cosine, to 0 of the peak"):
        assert fact in html


def test_a_page_of_curvature_has_the_observers_facts(held, tmp_path):
    held["observer"].report(tmp_path / "out")
    record = json.loads((tmp_path / "out" / "measure.json").read_text(encoding="utf-8"))
    assert record["label"] == "Linear, SGD"
    assert (record["norm"], record["lower_bound"]) == ("euclidean", 0.0)
    assert record["config"] == {"model": "Linear", "optimizer": "SGD", "every": 2}
    assert [round(point["K"], 3) for point in record["points"]] == [4.0] * 30


def test_a_directory_with_anything_else_is_left_alone(held, tmp_path):
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    for name in ("scheduler", "observer", "trace", "measured trace"):
        with pytest.raises(ValueError, match="expected an empty directory or one with such a page"):
            held[name].report(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_before_anything_was_seen():
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    observer = CurvatureObserver(model, optimizer, lambda: loss_of(model))
    assert "at 0 of 0 updates" in observer.report()
    assert "Nothing can be said yet" in observer.report()
    assert not observer.plot().lines
    assert Trace().report() == "No update is recorded."
    assert not Trace().plot().lines
    with pytest.raises(ValueError, match="expected points with the curvature K, got none"):
        observer.report("out")


def test_a_trace_says_what_is_in_it():
    points = [
        Point(0, 4.0, lr=0.1, status="HELD"),
        Point(5, float("nan"), lr=0.2, status="LOWERED"),
        Point(1200, 3.0, lr=0.1, K=2.0),
    ]
    assert Trace(points).report() == (
        "3 points of updates 0 to 1,200. The loss went from 4 to 3. The rate was highest at update "
        "5, at 0.2. The loss had it lowered once, first at update 5. Curvature was measured at 1 "
        "of the points."
    )
    assert Trace([Point(0, float("inf"))]).report() == (
        "1 point of updates 0 to 0. No loss is finite."
    )


def test_a_point_without_a_loss_equals_another():
    """What a dataclass says of NaN is not the same in Python 3.12 and 3.13."""
    one, other = Point(3, float("nan"), lr=0.1), Point(3, -float("nan"), lr=0.1)
    assert one == other
    assert hash(one) == hash(other)
    assert one != Point(3, float("nan"), lr=0.2)
    assert one != Point(3, 1.0, lr=0.1)
    assert one != "a point"
    assert Trace([one]) == Trace([other])


def test_a_comparison_is_still_plain_values(held, tmp_path):
    comparison = held["comparison"]
    assert isinstance(comparison, Comparison)
    assert json.loads(json.dumps(comparison)) == comparison
    alone = compare_rules(lambda rule, seed: 1.0, ["paced"], 1, out=tmp_path / "alone")
    with pytest.raises(ValueError, match="rules with a difference to the first, got none"):
        alone.plot()


def test_what_is_missing_is_said(held, tmp_path, monkeypatch):
    for name in ("scheduler", "observer", "trace", "measured trace"):
        with pytest.raises(ValueError, match="expected axes of matplotlib, got 'here'"):
            held[name].plot("here")
    monkeypatch.setattr("autowarmup.pages.find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for name in ("scheduler", "observer", "trace", "measured trace"):
        with pytest.raises(ModuleNotFoundError, match=r"pip install 'autowarmup\[report\]'"):
            held[name].report(tmp_path / "out")
        with pytest.raises(ModuleNotFoundError, match=r"pip install 'autowarmup\[report\]'"):
            held[name].plot()

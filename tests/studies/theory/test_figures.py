"""All figures, drawn from their committed records, and the command that makes them."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import numpy as np
import pytest

from autowarmup.lab.theory.checks import networks as checks
from autowarmup.lab.theory.networks import Size
from studies.theory import counts, neural, picture_figure, record, separation_figure
from studies.theory.picture_figure import draw_picture, sooner
from studies.theory.separation_figure import advantage, draw_separation

RESULTS = record.RESULTS


def held(name: str) -> dict:
    return json.loads((RESULTS / f"{name}.json").read_text())


def test_the_separation_says_what_the_record_says():
    found = held("separation")
    figure = draw_separation(found)
    said = separation_figure.finding(found)
    assert f"{advantage(found, '1'):.1f} times" in said
    assert f"{advantage(found, '2'):.1f} times in two" in said
    line, plane, ratio = figure.axes
    at = found["decades"].index(found["main_decades"])
    for axes, dimension in ((line, "1"), (plane, "2")):
        drawn = [list(curve.get_ydata()) for curve in axes.lines]
        assert found["dimensions"][dimension]["warmup"][at] in drawn
        assert found["dimensions"][dimension]["best_fixed"][at] in drawn
        assert found["theorem_fixed"] in drawn
    assert "1000" in ratio.get_title()


def test_the_picture_has_a_column_for_every_norm():
    found = held("picture")
    figure = draw_picture(found)
    assert len(figure.axes) == 2 * len(found["norms"])
    assert f"{min(sooner(found)):.0f} to {max(sooner(found)):.0f} times" in picture_figure.finding(
        found
    )
    for side, axes in zip(found["norms"].values(), figure.axes[:3], strict=True):
        assert list(axes.lines[0].get_ydata()) == side["drawn"]["theorem"]["lr"]
    texts = {text.get_text() for axes in figure.axes for text in axes.texts}
    for side in found["norms"].values():
        assert f"{side['steps']['theorem'][-1][0]:,}" in texts
        assert f"{side['steps']['best_fixed'][-1][0]:,}" in texts


def test_a_study_writes_its_record_and_draws_it(tmp_path, capsys):
    found, figures = (
        held("separation"),
        {"separation": (draw_separation, separation_figure.finding)},
    )
    arguments = ["--seed", "4", "--out", str(tmp_path)]
    record.main("separation", lambda seed: {**found, "seed": seed}, figures, arguments)
    path = tmp_path / "figures" / "separation.svg"
    assert capsys.readouterr().out.split() == [str(path)]
    written = json.loads((tmp_path / "separation.json").read_text())
    assert written["seed"] == 4
    assert written["command"] == "python -m studies.theory.separation --seed 4"
    before = path.read_bytes()
    ElementTree.fromstring(before)
    assert path.with_stem("separation-narrow").stat().st_size > 10_000
    # Drawn again, a record gives the same bytes; nothing is run.
    record.main("separation", lambda seed: {}, figures, ["--draw", "--out", str(tmp_path)])
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["separation", "picture", "counts_lmo", "counts_gd", "neural"])
def test_every_figure_is_committed(name):
    for size in ("", "-narrow"):
        assert (RESULTS / "figures" / f"{name}{size}.svg").stat().st_size > 10_000


def test_a_negative_seed_is_refused(capsys):
    with pytest.raises(SystemExit):
        record.main("picture", lambda seed: {}, {}, ["--seed", "-1"])
    assert "expected a seed >= 0, got -1" in capsys.readouterr().err


def test_counts_are_below_their_bounds_and_drawn(tmp_path):
    found = counts.count(2, 0, most=100)
    assert set(found["statements"]) == {name for names in counts.FIGURES.values() for name in names}
    for name, entry in found["statements"].items():
        assert len(entry["measured"]) >= 8, name
        pairs = zip(entry["measured"], entry["bound"], strict=True)
        assert all(taken <= allowed for taken, allowed in pairs), name
    record.write("counts", found, tmp_path)
    record.draw("counts", counts.DRAWINGS, tmp_path)
    held_lmo = counts.finding(counts.FIGURES["counts_lmo"], found)
    many = len(found["statements"][counts.STAR]["bound"])
    assert f"star-convex: {many:,} random functions, 0 above the bound" in held_lmo
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {
        f"{name}{size}.svg" for name in counts.FIGURES for size in ("", "-narrow")
    }


def test_the_study_of_networks_is_recorded_and_drawn(monkeypatch, tmp_path):
    small = checks.trained_networks(Size(60, 10, 4, 4, 6, 4), seeds=(0,), steps=40, points=4)
    monkeypatch.setattr(checks, "trained_networks", lambda *_: small)
    found = neural.study(seeds=(0,), points=6, instances=10)
    assert set(found["objects"]) == set(neural.LABELS)
    assert found["environment"]["torch"]
    for name, entry in found["objects"].items():
        (run,) = entry["runs"]
        bound, norm = np.array(run["bound"]), np.array(run["hessian_norm"])
        assert np.all(bound >= norm) != entry["expected_fail"], name
    found["objects"] = {name: found["objects"][name] for name in ("leaky-relu", "toy-ce")}
    record.write("neural", found, tmp_path)
    (path,) = record.draw("neural", {"neural": (neural.draw_networks, neural.finding)}, tmp_path)
    assert path.stat().st_size > 10_000
    said = neural.finding(found)
    assert "leaky ReLU net: bound" in said
    assert "without f*: violated: measured up to" in said


def test_the_committed_records_are_clean():
    counted, networks = held("counts"), held("neural")
    assert counted["environment"]
    for entry in counted["statements"].values():
        pairs = zip(entry["measured"], entry["bound"], strict=True)
        assert all(taken <= allowed for taken, allowed in pairs)
    random = [row for row in networks["rows"] if row["objective"] == "random small nets"]
    assert sum(row["instances"] for row in random) >= 10_000
    assert all((row["verdict"] == "fail") == row["expected_fail"] for row in networks["rows"])

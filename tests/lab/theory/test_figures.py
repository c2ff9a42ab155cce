"""Both figures, drawn from their committed records, and the command that makes them."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from autowarmup.lab.cli import main
from autowarmup.lab.theory import figures
from autowarmup.lab.theory.picture_figure import draw_picture, sooner
from autowarmup.lab.theory.separation_figure import advantage, draw_separation

RESULTS = Path(__file__).parents[3] / "results" / "theory"


def held(name: str) -> dict:
    return json.loads((RESULTS / f"{name}.json").read_text())


def test_the_separation_says_what_the_record_says():
    record = held("separation")
    figure = draw_separation(record)
    title = figure.get_suptitle()
    assert f"{advantage(record, '1'):.1f} times" in title
    assert f"{advantage(record, '2'):.1f} times in two" in title
    line, plane, ratio = figure.axes
    at = record["decades"].index(record["main_decades"])
    for axes, dimension in ((line, "1"), (plane, "2")):
        drawn = [list(curve.get_ydata()) for curve in axes.lines]
        assert record["dimensions"][dimension]["warmup"][at] in drawn
        assert record["dimensions"][dimension]["best_fixed"][at] in drawn
        assert record["theorem_fixed"] in drawn
    assert "1000" in ratio.get_title()


def test_the_picture_has_a_column_for_every_norm():
    record = held("picture")
    figure = draw_picture(record)
    assert len(figure.axes) == 2 * len(record["norms"])
    assert f"{min(sooner(record)):.0f} to {max(sooner(record)):.0f} times" in figure.get_suptitle()
    for side, axes in zip(record["norms"].values(), figure.axes[:3], strict=True):
        assert list(axes.lines[0].get_ydata()) == side["drawn"]["theorem"]["lr"]
    texts = {text.get_text() for axes in figure.axes for text in axes.texts}
    for side in record["norms"].values():
        assert f"{side['steps']['theorem'][-1][0]:,}" in texts
        assert f"{side['steps']['best_fixed'][-1][0]:,}" in texts


def test_the_command_writes_records_and_draws_them(monkeypatch, tmp_path, capsys):
    for name in ("separation", "picture"):
        function = "separate" if name == "separation" else "picture"
        monkeypatch.setattr(
            figures, function,
            lambda seed, command, name=name: {**held(name), "seed": seed, "command": command},
        )  # fmt: skip
    # One of the two is enough to see that files are written, and costs half.
    monkeypatch.setattr(figures, "FIGURES", {"separation": draw_separation})
    assert main(["theory", "--figures", "--seed", "4", "--out", str(tmp_path)]) == 0
    path = tmp_path / "figures" / "separation.svg"
    assert capsys.readouterr().out.split() == [str(path)]
    written = json.loads((tmp_path / "picture.json").read_text())
    assert written["seed"] == 4
    assert written["command"].startswith("autowarmup theory --figures")
    assert not (tmp_path / "theory.json").exists()
    before = path.read_bytes()
    ElementTree.fromstring(before)
    assert path.with_suffix(".png").stat().st_size > 10_000
    # Drawn again, a record gives the same bytes; what has no record is not drawn.
    assert figures.draw(tmp_path) == [path]
    assert path.read_bytes() == before
    (tmp_path / "separation.json").unlink()
    assert figures.draw(tmp_path) == []


def test_both_figures_are_drawn():
    assert {"separation": draw_separation, "picture": draw_picture} == figures.FIGURES
    for name in figures.FIGURES:
        for ending in ("svg", "png"):
            assert (RESULTS / "figures" / f"{name}.{ending}").stat().st_size > 10_000


def test_nonsense_is_refused(capsys, tmp_path):
    assert main(["theory", "--figures"]) == 2
    assert "expected a folder for the figures (--out DIR)" in capsys.readouterr().err
    with pytest.raises(ValueError, match="expected a seed >= 0, got -1"):
        figures.write_figures(tmp_path, -1)

"""What a scheduler says of its run, and its picture."""

from __future__ import annotations

import sys
import warnings
import xml.etree.ElementTree as ET

import pytest
import torch
from torch import nn

from autowarmup import AdaptiveWarmup


def after(losses, **options) -> AdaptiveWarmup:
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(2))], lr=0.02)
    scheduler = AdaptiveWarmup(optimizer, **{"total_steps": 400, **options})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for loss in losses:
            optimizer.step()
            scheduler.step(loss)
    return scheduler


FALLING = [4.0 * 0.99**k for k in range(400)]
RISING = [4.0 - 0.01 * k for k in range(60)] + [3.5 + 0.02 * k for k in range(340)]


@pytest.mark.parametrize(
    ("losses", "options", "sentences"),
    [
        (FALLING, {}, ["400 of 400 updates with the rule 'paced', peak rate 0.02.",
                       "Warm-up ended after 179 updates (by length).",
                       "The loss gave no reason to lower the rate."]),
        (FALLING, {"total_steps": 300}, ["400 updates with the rule 'paced', peak rate 0.02, "
                                         "100 of them after the end, at its last rate. Warm"]),
        (RISING, {}, ["The loss had the rate lowered", "try a peak rate near 0.0"]),
        (FALLING[:50], {}, ["50 of 400 updates", "Warm-up goes on, at 0."]),
        (FALLING, {"rule": "none"}, ["There was no warm-up: the first update ran at the peak"]),
        ([3.0] * 400, {"rule": "h0h1"}, ["followed the rule to the end, up to 0.01 of the peak"]),
        ([None] * 400, {}, ["No finite loss was seen"]),
        ([*FALLING[:50], float("nan"), 3.0], {},
         ["Losses that were not finite and were left out: 1."]),
        (FALLING[:3], {"rule": "linear 2 steps", "total_steps": None},
         ["3 updates with the rule", "The rate stays at its peak until start_decay(steps)."]),
        ([], {}, ["0 of 400 updates"]),
    ],
)  # fmt: skip
def test_the_report_says_what_happened(losses, options, sentences):
    said = after(losses, **options).report()
    for sentence in sentences:
        assert sentence in said
    assert said.endswith(".")


def test_a_decay_that_was_asked_for_is_said():
    scheduler = after(FALLING[:50])
    scheduler.start_decay(10)
    assert "Warm-up ended after 50 updates (you asked for the decay)." in scheduler.report()


@pytest.mark.parametrize("losses", [[], FALLING[:120], RISING], ids=["before", "in it", "over"])
def test_the_picture_shows_what_was_and_what_comes(losses, tmp_path):
    scheduler = after(losses)
    figure = scheduler.plot().figure
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    made = lines.get("learning rate")
    assert (0 if made is None else len(made.get_xdata())) == len(losses)
    coming = lines.get("to come, if no loss lowers it")
    assert (0 if coming is None else len(coming.get_xdata())) == 400 - len(losses)
    if made is not None:
        assert list(made.get_ydata()) == scheduler.trace.column("lr")
    figure.savefig(tmp_path / "schedule.png")
    assert (tmp_path / "schedule.png").stat().st_size > 5_000


def test_it_draws_into_given_axes_and_says_what_is_missing(monkeypatch):
    from matplotlib.figure import Figure

    axes = Figure().add_subplot()
    scheduler = after(FALLING[:20])
    assert scheduler.plot(axes) is axes
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'autowarmup\[report\]'"):
        scheduler.plot()


def test_a_notebook_shows_the_curve_and_the_report():
    html = after(FALLING[:120])._repr_html_()
    tree = ET.fromstring(html)
    assert len(tree.findall(".//polyline")) == 2
    assert "Warm-up goes on" in tree.findtext("figcaption")
    assert "http" not in html

"""Which measured points count, with which gap, and how much the choice of the gap matters."""

from __future__ import annotations

import math

import numpy as np
import pytest

from autowarmup.history import Point, Trace
from autowarmup.measure.fit import fit_curvature
from autowarmup.measure.points import usable_points


def mixed() -> Trace:
    """Twelve good points and one of each kind that is left out or passed over."""
    good = [Point(5 * t, 8.0 - t / 2, K=9.0 - t / 2) for t in range(12)]
    bad = [
        Point(200, 3.0), Point(201, math.nan, K=1.0), Point(202, 3.0, K=math.inf),
        Point(203, 3.0, K=1.0, loss_after=math.nan), Point(204, -1.0, K=1.0),
        Point(205, 0.0, K=1.0),
    ]  # fmt: skip
    return Trace(good + bad)


def test_points_that_are_left_out_are_counted() -> None:
    found = fit_curvature(mixed(), bootstrap=0, window="all")
    assert found.dropped == {"loss not finite": 2, "value not finite": 1, "gap not positive": 2}
    assert found.window.points == len(found.steps) == 12
    assert "2 with loss not finite" in found.method
    # The loss after the step does not matter to "before".
    before = usable_points(mixed(), "K", 0.0, "before")
    assert before.dropped["loss not finite"] == 1
    assert len(before.steps) == 13


def test_pairings_and_quantities() -> None:
    points = [
        Point(
            t, 8.0 - t / 4, loss_after=7.5 + 0.9 * (-1) ** t - t / 4, K=1.0 + t, H=2.0, K_next=3.0
        )
        for t in range(12)
    ]
    trace = Trace(points[::-1])
    losses = {"before": [p.loss for p in points], "after": [p.loss_after for p in points]}
    losses["max"] = [max(p.loss, p.loss_after or 0) for p in points]
    for pairing, expected in losses.items():
        usable = usable_points(trace, "K", 1.0, pairing)
        assert usable.pairing == pairing
        assert list(usable.steps) == list(range(12))
        assert usable.gaps == pytest.approx(np.array(expected) - 1.0)
    for quantity, used in (("H", "before"), ("K_next", "after")):
        usable = usable_points(trace, quantity, 1.0, "max")
        assert usable.pairing == used
        assert usable.gaps == pytest.approx(np.array(losses["before"]) - 1.0)
    found = fit_curvature(trace, bootstrap=0, window="all")
    assert set(found.pairings) == {"before", "after", "max"}
    assert found.pairings["max"]["p"] == found.slope.p
    assert found.pairings["max"]["K0"] == found.best.K0
    for pairing, answer in found.pairings.items():
        alone = fit_curvature(trace, pairing=pairing, bootstrap=0, window="all")
        assert answer["r_squared"] == alone.best.r_squared
        assert answer["p"] == alone.slope.p
    assert list(fit_curvature(trace, quantity="H", bootstrap=0).pairings) == ["before"]

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autowarmup.history import Point, Trace
from autowarmup.lab.curvature.series import (
    drawn_laws,
    ends,
    gap_rose,
    law_values,
    noise,
    series,
    trust_median,
)
from autowarmup.lab.report import axes as look

Record = dict[str, Any]


def record_of(points: list[dict[str, Any]], **changes: Any) -> Record:
    return {
        "main": "K",
        "lower_bound": 1.0,
        "points": points,
        "fits": [],
        "quantities": {},
        **changes,
    }


def test_gaps_are_paired_as_in_the_fit() -> None:
    points = [
        {"step": 0, "loss": 5.0, "loss_after": 6.0, "K": 1.0, "K_next": 1.0, "H": 1.0},
        {"step": 1, "loss": 5.0, "loss_after": 4.0, "K": 1.0},
        {"step": 2, "loss": 5.0, "K": 1.0},
        {"step": 3, "loss": None, "loss_after": 2.0, "K": None},
    ]
    record = record_of(points)
    assert series(record).gap.tolist() == [5.0, 4.0, 4.0]
    assert series(record).missing == 1
    assert series(record, "H").gap.tolist() == series(record, "K_next").gap.tolist() == [4.0]
    after = record_of(points, quantities={"K": {"pairing": "after"}})
    assert series(after).gap.tolist() == [5.0, 3.0, 4.0]


def test_the_gaps_of_the_window_are_those_of_the_fit(make_record: Callable[..., Record]) -> None:
    points = [
        Point(step=s, loss=5 - 0.1 * s, loss_after=5 - 0.1 * s - 0.2, K=10 + s % 3)
        for s in range(40)
    ]
    record = make_record(Trace(points), lower_bound=0.5)
    found = series(record)
    assert found.inside.sum() == record["window"]["points"]
    assert found.gap[0] == pytest.approx(4.5)


def test_noise_is_compared_with_the_update_it_belongs_to() -> None:
    points = [
        {"step": 0, "loss": 2.0, "K": 2.0},
        {"step": 1, "loss": 2.0, "K_noise": 8.0},
        {"step": 10, "loss": 2.0, "K": 5.0, "K_noise": 20.0},
        {"step": 21, "loss": 2.0, "K_noise": 20.0},
    ]
    assert noise(record_of(points)) == (4.0, 2)
    assert noise(record_of(points[:1])) is None


def test_medians_and_ends() -> None:
    points = [{"step": s, "loss": 9.0 - s, "K": 1.0 + s, "trust_ratio": s} for s in range(4)]
    record = record_of([*points, {"step": 4, "loss": None, "K": 3.0, "trust_ratio": None}])
    assert trust_median(record) == 1.5
    assert ends(series(record)) == ((7.5, 1.5), (5.5, 3.5))
    assert not gap_rose(series(record))
    assert ends(series(record_of(points[:1]))) is None


def test_two_laws_are_drawn_and_for_the_hessian_the_straight_ones(
    traces: dict[str, Callable[..., Trace]],
    make_record: Callable[..., Record],
    object_about: Record,
) -> None:
    chosen = drawn_laws(make_record(traces["muon"]()))
    assert set(chosen) == {"non_negative", "free"}
    assert all("K_rho" in law["terms"] and law["rho"] == 2 for law in chosen.values())
    chosen = drawn_laws(make_record(traces["object"](), **object_about))
    assert all("K_rho" not in law["terms"] for law in chosen.values())


def test_a_law_of_two_terms_has_no_third() -> None:
    law = {"K0": 1.0, "K1": 2.0, "K_rho": None, "rho": None}
    assert law_values(law, np.array([0.5])).tolist() == [2.0]


def test_thinning_keeps_the_order_and_the_window() -> None:
    record = record_of([{"step": s, "loss": 9.0, "K": 1.0} for s in range(1000)])
    thin = series(record).thinned(100)
    assert len(thin) == len(thin.inside) == 100
    assert thin.step[:2].tolist() == [0, 10]


def test_axes_fit_their_data() -> None:
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    assert look.scale(axes.yaxis, [1.0, 2000.0, math.nan]) is True
    assert axes.get_yscale() == "log"
    axes = Figure().subplots()
    assert look.scale(axes.yaxis, [7.0, 7.0]) is False
    low, high = axes.get_ylim()
    assert low < 6.5
    assert high > 7.5
    axes = Figure().subplots()
    assert look.scale(axes.yaxis, [-1.0, 2000.0]) is False
    look.scale(axes.xaxis, [])
    look.gap_axis(axes, [5.0, 1.0])
    left, right = axes.get_xlim()
    assert left > 5 > 1 > right

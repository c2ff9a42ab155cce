from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autowarmup.history import Point, Trace
from autowarmup.lab.curvature.record import build_record

Record = dict[str, Any]


def _rate(step: int, steps: int, warm: int, lr: float) -> float:
    if step < warm:
        return lr * (0.01 + 0.99 * step / warm)
    return lr * 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm)))


def muon_like(steps: int = 1000, every: int = 10, seed: int = 0) -> Trace:
    """K rises from about 150 to about 1,500 as the gap falls, as published for Muon."""
    noise = np.random.default_rng(seed)
    points: list[Point] = []
    for step in range(steps):
        loss = 1.45 + 4.1 * math.exp(-step / (0.14 * steps)) + noise.normal(0, 0.03)
        lr = _rate(step, steps, steps // 20, 6e-3)
        if step % every:
            seen: dict[str, float] = {}
            if step % every == 1:  # what the batch after a probe says about the update before
                k = points[-1].K or 1.0
                seen = {"K_next": 0.6 * k, "K_noise": 14 * k * math.exp(noise.normal(0, 0.2))}
            points.append(Point(step=step, loss=loss, lr=lr, **seen))
            continue
        curvature = 150 * (5.5 / loss) ** 1.8 * math.exp(noise.normal(0, 0.18))
        points.append(
            Point(
                step=step, loss=loss, loss_after=loss - 0.02 * loss, lr=lr, gap=loss,
                K=curvature, K_dir=0.5 * curvature * math.exp(noise.normal(0, 0.3)),
                trust_ratio=0.8 - 0.5 * step / steps + noise.normal(0, 0.1),
                step_norm=lr, grad_dual=8.0, alignment=0.7,
            )
        )  # fmt: skip
    return Trace(points)


def lion_like(steps: int = 1000, every: int = 10, seed: int = 1) -> Trace:
    """K spread over decades without a trend, and steps that often overshoot."""
    noise = np.random.default_rng(seed)
    return Trace(
        Point(
            step=step, loss=1.9 + 3.6 * math.exp(-step / 200) + noise.normal(0, 0.1),
            lr=_rate(step, steps, 100, 2e-3), K=3e5 * math.exp(noise.normal(0, 1.3)),
            trust_ratio=0.2 + noise.standard_t(2) * 0.5,
        )
        for step in range(0, steps, every)
    )  # fmt: skip


def diverging(steps: int = 300, every: int = 10) -> Trace:
    """A run whose loss, K and rate leave the scale and end in nan."""
    points = []
    for step in range(0, steps, every):
        grows = math.exp(step / 40)
        broken = step > 0.8 * steps
        points.append(
            Point(
                step=step, loss=math.nan if broken else 5.5 + 0.02 * grows, lr=1e-3 * (step + 1),
                K=math.inf if step > 0.7 * steps else 200 * grows,
                trust_ratio=math.nan if broken else 1 - 0.2 * grows,
            )
        )  # fmt: skip
    return Trace(points)


def object_like(steps: int = 400, every: int = 10, seed: int = 2) -> Trace:
    """Gradient descent on a smooth object: H = 3 + 40 gap, and a gap that falls over decades."""
    noise = np.random.default_rng(seed)
    points = []
    for step in range(0, steps, every):
        gap = 2.5 * math.exp(-step / 70)
        h = (3 + 40 * gap) * (1 + 0.05 * noise.normal())
        points.append(
            Point(
                step=step, loss=gap, loss_after=0.97 * gap, lr=0.01, K=0.8 * h, K_dir=0.6 * h,
                trust_ratio=1 - 0.005 * h, H=h,
            )
        )  # fmt: skip
    return Trace(points)


_ABOUT: Record = {
    "source": {"kind": "train", "status": "finished", "message": ""},
    "label": "Muon, lr 0.006, warm-up 5 %",
    "config": {"optimizer": "muon", "lr": 0.006, "steps": 1000, "seed": 0, "recipe": "<tiny>"},
    "lower_bound": 0.0,
    "norm": "spectral",
    "counted": {
        "count": "matrices",
        "blocks": 22,
        "parameters": 311296,
        "moving_parameters": 344832,
    },
    "determinism": {"loss": 0.0, "gradient": 1.2e-7},
    "command": "autowarmup curvature <x> --out there",
    "seeds": [0],
    "environment": {"python": "3.11.2", "torch": "2.13.0", "cpu": "test <cpu>"},
}


@pytest.fixture(scope="session")
def traces() -> dict[str, Callable[..., Trace]]:
    return {"muon": muon_like, "lion": lion_like, "diverging": diverging, "object": object_like}


@pytest.fixture(scope="session")
def make_record() -> Callable[..., Record]:
    """Build a record of a trace; every field can be replaced."""

    def make(trace: Trace, **changes: Any) -> Record:
        return build_record(trace, **{**_ABOUT, **changes})

    return make


@pytest.fixture(scope="session")
def object_about() -> Record:
    """What differs where an object is measured."""
    return {
        "source": {"kind": "object", "name": "deep-linear"},
        "label": "deep linear network, 4 layers",
        "config": {"optimizer": "sgd", "name": "deep-linear"},
        "norm": "euclidean",
        "main": "H",
    }

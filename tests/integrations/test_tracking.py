"""The hook writes what the schedule says: into a real TensorBoard log, and as others are called."""

from __future__ import annotations

import pickle
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from autowarmup import AdaptiveWarmup
from autowarmup.integrations.tracking import Tracker, metrics
from pages import loop


class Recorder:
    """Called as the runs of Weights & Biases and trackio are: `log(data, step=...)`."""

    def __init__(self) -> None:
        self.seen: list[tuple[dict[str, float], int | None]] = []

    def log(self, data: dict[str, Any], step: int | None = None, commit: bool | None = None):
        self.seen.append((data, step))


def make(**options: Any) -> tuple:
    weights = [nn.Parameter(torch.ones(2)) for _ in range(2)]
    groups = [{"params": weights[:1]}, {"params": weights[1:], "lr": 0.1}]
    optimizer = torch.optim.SGD(groups, lr=0.5)
    return optimizer, AdaptiveWarmup(optimizer, 20, **options)


def test_tensorboard_shows_the_curve_of_the_page(tmp_path):
    optimizer, scheduler = make()
    weight = optimizer.param_groups[0]["params"][0]
    names = {"folder": str(tmp_path), "scheduler": scheduler, "optimizer": optimizer}
    names |= {"model": weight, "loader": range(20)}
    names |= {"loss_of": lambda model, batch: model.square().sum() + 1.0}
    exec(loop("tracking"), names)
    log = EventAccumulator(str(tmp_path)).Reload()
    assert set(log.Tags()["scalars"]) == {
        f"warmup/{name}" for name in ("lr", "lr_1", "factor", "phase", "gap")
    }
    rates = {event.step: event.value for event in log.Scalars("warmup/lr")}
    points = {point.step: point.lr for point in scheduler.trace}
    assert rates == pytest.approx({0: points[0], 10: points[10]}, rel=1e-6)


def test_weights_and_biases_and_trackio_get_a_dict_and_a_step():
    optimizer, scheduler = make(rule="flat")
    recorder = Recorder()
    observer = SimpleNamespace(
        trace=[SimpleNamespace(trust_ratio=0.8), SimpleNamespace(trust_ratio=None)]
    )
    tracker = Tracker(recorder, scheduler, every=2, observer=observer)
    for loss in (4.0, 3.0, 2.0):
        optimizer.step()
        scheduler.step(loss)
        tracker.log()
    assert [step for _, step in recorder.seen] == [0, 2]
    first = recorder.seen[0][0]
    assert first["warmup/gap"] == 4.0
    assert first["warmup/trust_ratio"] == 0.8
    assert first["warmup/lr_1"] == pytest.approx(0.1 * first["warmup/factor"])


def test_the_default_rule_shows_its_gap():
    optimizer, scheduler = make()
    assert "warmup/gap" not in metrics(scheduler)
    for loss in (4.0, 3.0, 2.0):
        optimizer.step()
        scheduler.step(loss)
    assert 2.0 < metrics(scheduler)["warmup/gap"] == scheduler.gap < 4.0


def test_what_is_no_tracker_is_refused():
    _, scheduler = make()
    with pytest.raises(ValueError, match="expected a tracker with add_scalar"):
        Tracker(3, scheduler)
    with pytest.raises(ValueError, match="expected every >= 1"):
        Tracker(print, scheduler, every=0)


def test_a_copy_of_a_tracker_goes_on_with_a_copy_of_its_scheduler():
    optimizer, scheduler = make()
    tracker = Tracker(Recorder(), scheduler)
    twin, other, copied = pickle.loads(pickle.dumps((optimizer, scheduler, tracker)))
    twin.step()
    other.step(3.0)
    copied.log()
    assert [step for step_values in copied._sink.seen for step in step_values[1:]] == [0]
    assert tracker._sink.seen == []

"""`--measure`: what it writes down, that it changes no weight, and that it resumes."""

from __future__ import annotations

import dataclasses
import json

import pytest

from autowarmup.history import MEASURED, Trace
from autowarmup.lab.train import OPTIMIZERS, TrainConfig
from autowarmup.lab.train import config as pretrain_config
from autowarmup.lab.train.run import Run
from autowarmup.lab.train.train import train
from autowarmup.measure import blocks


def config(micro, **options):
    values = {"optimizer": "lion", "lr": 0.02, "checkpoint_every": 5} | options
    return TrainConfig(**micro, **values)


def run(config, out, **options):
    return train(config, out=out, progress=False, **options), Trace.read(out / "trace.jsonl")


@pytest.mark.parametrize("optimizer", ["muon", "lion", "normsgd", "adamw", "sgd"])
def test_it_changes_no_weight(micro, tmp_path, optimizer):
    plain, trace = run(config(micro, optimizer=optimizer), tmp_path / "plain")
    measured, seen = run(
        config(
            micro,
            optimizer=optimizer,
            measure=True,
            measure_every=4,
            measure_next=True,
            measure_hessian=optimizer == "sgd",
        ),
        tmp_path / "measured",
    )
    assert measured["weights_sha256"] == plain["weights_sha256"]
    assert measured["val_loss"] == plain["val_loss"]
    bare = [dataclasses.replace(point, **dict.fromkeys(MEASURED)) for point in seen]
    assert bare == list(trace)
    assert [point.step for point in seen if point.K is not None] == [0, 4, 8, 12, 16]
    assert [point.step for point in seen if point.K_next is not None] == [1, 5, 9, 13, 17]
    assert [point.step for point in seen if point.H is not None] == (
        [0, 4, 8, 12, 16] if optimizer == "sgd" else []
    )
    assert all(point.K > 0 and abs(point.alignment) <= 1 for point in seen if point.K is not None)


def test_the_record_says_what_was_measured(micro, tmp_path):
    record, _ = run(config(micro, measure=True, measure_every=4), tmp_path / "run")
    facts = record["measure"]
    assert facts["norm"] == "linf"
    assert facts["every"] == 4
    assert facts["determinism"] == {"loss": 0.0, "gradient": 0.0}
    assert facts["counted"]["count"] == "matrices"
    assert 0 < facts["counted"]["parameters"] < facts["counted"]["moving_parameters"]
    assert "--measure --measure-every 4" in record["command"]
    plain, _ = run(config(micro), tmp_path / "plain")
    assert "measure" not in plain


def test_accumulation_measures_the_whole_batch(micro, tmp_path):
    options = {"measure": True, "measure_every": 4, "clip": 0.0, "calibrate": False}
    _, whole = run(config(micro, **options), tmp_path / "whole")
    _, parts = run(config(micro, accumulation=2, **options), tmp_path / "parts")
    for field, within in ("K", 1e-3), ("loss_after", 1e-5):
        one, other = getattr(whole[0], field), getattr(parts[0], field)
        assert one == pytest.approx(other, rel=within)


@pytest.mark.parametrize("stop", [6, 9, 11])
def test_a_run_that_was_cut_short_goes_on_bit_for_bit(micro, tmp_path, monkeypatch, stop):
    wanted = config(micro, measure=True, measure_every=4, measure_next=True)
    run(wanted, tmp_path / "whole")
    update = Run.update

    def dying(self):
        if self.step == stop:
            raise RuntimeError("power cut")
        return update(self)

    monkeypatch.setattr(Run, "update", dying)
    with pytest.raises(RuntimeError, match="power cut"):
        run(wanted, tmp_path / "cut")
    monkeypatch.setattr(Run, "update", update)
    run(wanted, tmp_path / "cut", resume=True)
    traces = [(tmp_path / name / "trace.jsonl").read_bytes() for name in ("whole", "cut")]
    assert traces[0] == traces[1]


def test_a_directory_from_before_there_was_measuring_is_still_ours(micro, tmp_path):
    run(config(micro), tmp_path / "run")
    path = tmp_path / "run" / "config.json"
    held = json.loads(path.read_text())
    held["config"] = {k: v for k, v in held["config"].items() if not k.startswith("measure")}
    path.write_text(json.dumps(held))
    record, _ = run(config(micro), tmp_path / "run")
    assert record["status"] == "finished"
    with pytest.raises(ValueError, match="measure: there False, now True"):
        run(config(micro, measure=True), tmp_path / "run")


class TestBadInput:
    def test_unknown_words(self, micro):
        with pytest.raises(ValueError, match=r"measure_norm: expected one of .*, got 'nuclear'"):
            config(micro, measure_norm="nuclear")
        with pytest.raises(ValueError, match=r"measure_count: expected one of .*, got 'some'"):
            config(micro, measure_count="some")

    def test_the_words_are_those_of_the_measuring_room(self):
        assert (pretrain_config.NORMS, pretrain_config.COUNTS) == (blocks.NORMS, blocks.COUNTS)

    def test_every(self, micro):
        with pytest.raises(ValueError, match="measure_every: expected at least 1, got 0"):
            config(micro, measure_every=0)


def test_every_optimizer_has_a_norm_or_a_sentence(micro, tmp_path):
    """What `--measure` does with each name that `train` knows."""
    norms = {}
    for name in OPTIMIZERS:
        wanted = config(micro, optimizer=name, measure=True, steps=1)
        norms[name] = run(wanted, tmp_path / name)[0]["measure"]["norm"]
    assert norms == {
        "muon": "spectral",
        "lion": "linf",
        "signum": "linf",
        "signsgd": "linf",
        "normsgd": "frobenius",
        "adamw": "linf",
        "sgd": "euclidean",
    }

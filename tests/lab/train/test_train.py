from __future__ import annotations

import dataclasses
import errno
import importlib
import json
import math
import os
import signal

import pytest
import torch

from autowarmup.history import Trace
from autowarmup.lab.train import OPTIMIZERS, TrainConfig, batch_gradient
from autowarmup.lab.train.train import train

run_module = importlib.import_module("autowarmup.lab.train.run")

KEYS = {
    *("format", "status", "message", "config", "val_loss", "train_loss", "warmup_end_step"),
    *("warmup_ended_by", "div", "gap0", "gap_peak", "lower_bound", "steps_done", "parameters"),
    *("tokens", "trace", "val_curve", "environment", "command", "seconds", "weights_sha256"),
}


def quiet(config, out, **options):
    return train(config, out=out, progress=False, **options)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_adaptive_record(micro, tmp_path, optimizer):
    config = TrainConfig(optimizer=optimizer, lr=0.2, rule="flat", **micro)
    result = quiet(config, tmp_path / "run")
    assert set(result) == KEYS
    assert result == json.loads((tmp_path / "run" / "result.json").read_text())
    assert (result["status"], result["message"], result["steps_done"]) == ("finished", "", 20)
    assert result["config"] == config.to_dict()
    assert result["tokens"] == 20 * 4 * 8
    assert result["warmup_ended_by"] in ("gap", "cap", "not needed")
    assert result["div"] >= 1.0
    trace = Trace.read(tmp_path / "run" / "trace.jsonl")
    assert trace.column("step") == list(range(20))
    needed = result["warmup_ended_by"] != "not needed"
    assert result["gap0"] == (trace[0].loss if needed else None)
    assert needed == (result["div"] > 1.0)
    assert trace[0].factor == pytest.approx(1 / result["div"])
    peak = result["warmup_end_step"]
    assert trace[peak].factor == 1.0
    assert all(p.lr == pytest.approx(0.2 * (p.factor or 0.0)) for p in trace)
    assert result["val_loss"] == trace[19].val_loss == result["val_curve"]["val_loss"][-1]
    assert result["val_curve"]["step"] == list(range(1, 20, 2))
    assert result["train_loss"] == trace[19].loss  # 5 % of 20 steps
    assert {"python", "torch", "transformers", "platform", "cpu", "threads", "autowarmup"} == set(
        result["environment"]
    )


def test_linear_record(micro, tmp_path):
    result = quiet(TrainConfig(rule="linear 25%", **micro), tmp_path / "run")
    trace = Trace.read(tmp_path / "run" / "trace.jsonl")
    assert trace.column("factor")[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert all(0 < factor < 1 for factor in trace.column("factor")[5:])
    assert trace.column("phase") == ["warmup"] * 4 + ["decay"] * 16
    assert (result["warmup_end_step"], result["warmup_ended_by"]) == (4, "length")
    assert result["div"] is None
    assert all(gap > 0 for gap in result["trace"]["gap"])


def test_without_calibration_div_stays_as_given(micro, tmp_path):
    result = quiet(
        TrainConfig(calibrate=False, rule="gap law(end=0.5, div=7)", **micro), tmp_path / "run"
    )
    assert result["div"] == 7.0
    assert result["gap_peak"] == pytest.approx(0.5 * result["gap0"])


def test_equal_configs_give_equal_bytes(micro, tmp_path):
    config = TrainConfig(optimizer="lion", **micro)
    results = [quiet(config, tmp_path / name) for name in "ab"]
    assert results[0]["weights_sha256"] == results[1]["weights_sha256"]
    traces = [(tmp_path / name / "trace.jsonl").read_bytes() for name in "ab"]
    assert traces[0] == traces[1]
    other = quiet(dataclasses.replace(config, seed=1), tmp_path / "c")
    assert other["weights_sha256"] != results[0]["weights_sha256"]


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_accumulation_changes_rounding_only(micro, tmp_path, optimizer):
    whole = quiet(TrainConfig(optimizer=optimizer, rule="flat", **micro), tmp_path / "whole")
    parts = quiet(
        TrainConfig(optimizer=optimizer, rule="flat", accumulation=4, **micro), tmp_path / "parts"
    )
    assert parts["trace"]["loss"][:5] == pytest.approx(whole["trace"]["loss"][:5], abs=1e-3)
    assert parts["div"] == pytest.approx(whole["div"], rel=0.05)


def test_clipping_bounds_the_gradient_that_moves(micro, tmp_path):
    free = TrainConfig(optimizer="sgd", lr=0.1, rule="none", clip=0.0, steps=1, **micro)
    start = quiet(dataclasses.replace(free, lr=1e-30), tmp_path / "start")
    assert start["val_loss"] == pytest.approx(math.log(256), abs=0.3)
    norms = []
    for name, clip in (("free", 0.0), ("clipped", 0.01)):
        quiet(dataclasses.replace(free, clip=clip), tmp_path / name)
        norms.append(Trace.read(tmp_path / name / "trace.jsonl")[0].grad_norm)
    assert norms[0] == norms[1]  # the norm before clipping
    values = [
        json.loads((tmp_path / name / "result.json").read_text())["val_loss"]
        for name in ("start", "clipped", "free")
    ]
    assert abs(values[1] - values[0]) < 0.1 * abs(values[2] - values[0])


def test_divergence_is_a_result(micro, tmp_path, monkeypatch):
    config = TrainConfig(rule="none", **micro)
    honest = batch_gradient.token_loss
    monkeypatch.setattr(
        batch_gradient, "token_loss", lambda *a: honest(*a) * (math.nan if len(seen) > 6 else 1)
    )
    seen: list[int] = []
    update = run_module.Run.update
    monkeypatch.setattr(run_module.Run, "update", lambda self: seen.append(1) or update(self))
    result = quiet(config, tmp_path / "run")
    assert result["status"] == "diverged"
    assert "the loss became nan at update 6 of 20" in result["message"]
    assert (result["val_loss"], result["train_loss"], result["steps_done"]) == (None, None, 6)
    assert result["trace"]["loss"][-1] is None  # JSON has no nan
    assert "NaN" not in (tmp_path / "run" / "result.json").read_text()
    trace = Trace.read(tmp_path / "run" / "trace.jsonl")
    assert len(trace) == 7
    assert math.isnan(trace[6].loss)
    assert len(result["weights_sha256"]) == 64
    assert quiet(config, tmp_path / "run") == result  # not run again


def test_a_rate_far_too_high_still_runs_while_the_loss_is_finite(micro, tmp_path):
    result = quiet(TrainConfig(optimizer="lion", lr=5.0, rule="none", **micro), tmp_path / "run")
    assert result["status"] == "finished"
    assert result["val_loss"] > 3 * math.log(256)


def test_finished_runs_are_not_repeated(micro, tmp_path, monkeypatch):
    config = TrainConfig(**micro)
    result = quiet(config, tmp_path / "run")
    monkeypatch.setattr(run_module.Run, "update", lambda self: pytest.fail("ran again"))
    assert quiet(config, tmp_path / "run") == result
    assert quiet(config, tmp_path / "run", resume=True) == result


def test_foreign_directories_are_refused(micro, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match="expected an empty directory or one made by autowarmup"):
        quiet(TrainConfig(**micro), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"corpus.txt", "thesis.tex"}
    with pytest.raises(ValueError, match="expected a directory, got the file"):
        quiet(TrainConfig(**micro), tmp_path / "thesis.tex")


def test_another_config_is_refused_by_name(micro, tmp_path):
    quiet(TrainConfig(**micro), tmp_path / "run")
    with pytest.raises(
        ValueError, match=r"another config \(lr: there 0.01, now 0.5; seed: there 0"
    ):
        quiet(TrainConfig(lr=0.5, seed=3, **micro), tmp_path / "run")


def test_a_directory_of_an_earlier_version_is_still_ours(micro, tmp_path):
    done = quiet(TrainConfig(rule="linear 25%", **micro), tmp_path / "run")
    path = tmp_path / "run" / "config.json"
    held = json.loads(path.read_text())
    del held["config"]["rule"]
    earlier = {"warmup": "25%", "peak": "flat", "calibrate": True, "div": 100.0}
    held["config"] |= earlier | {"max_fraction": 0.25, "smoothing": 0.9}
    path.write_text(json.dumps(held))
    assert quiet(TrainConfig(rule="linear 25%", **micro), tmp_path / "run") == done
    with pytest.raises(ValueError, match="rule: there linear 25%, now flat"):
        quiet(TrainConfig(rule="flat", **micro), tmp_path / "run")


def test_full_disk_in_the_middle_of_a_checkpoint(micro, tmp_path, monkeypatch):
    config = TrainConfig(optimizer="signum", checkpoint_every=4, **micro)
    whole = quiet(config, tmp_path / "whole")
    honest = os.fsync
    calls = []

    def full(handle):
        calls.append(handle)
        if len(calls) > 9:  # two for the claim, three for each checkpoint: in the third one
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        honest(handle)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match=r"No space left on device.*checkpoint-8.pt is intact"):
            quiet(config, tmp_path / "run")
    assert sorted(path.name for path in (tmp_path / "run").glob("checkpoint-*")) == [
        "checkpoint-4.pt",
        "checkpoint-8.pt",
    ]
    result = quiet(config, tmp_path / "run", resume=True)
    assert result["weights_sha256"] == whole["weights_sha256"]


@pytest.fixture
def interrupted(micro, tmp_path, monkeypatch):
    """A run stopped by Ctrl-C during its seventh update."""
    config = TrainConfig(optimizer="lion", **micro)
    update = run_module.Run.update

    def pressed(self):
        if self.step == 6:
            os.kill(os.getpid(), signal.SIGINT)
        return update(self)

    monkeypatch.setattr(run_module.Run, "update", pressed)
    with pytest.raises(KeyboardInterrupt, match=r"stopped after 7 of 20 .* --resume"):
        quiet(config, tmp_path / "run")
    monkeypatch.setattr(run_module.Run, "update", update)
    return config, tmp_path / "run"


def test_ctrl_c_saves_and_says_how_to_go_on(interrupted, tmp_path):
    config, out = interrupted
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert [path.name for path in out.glob("checkpoint-*")] == ["checkpoint-7.pt"]
    assert len(Trace.read(out / "trace.jsonl")) == 7
    with pytest.raises(ValueError, match=r"unfinished run with a checkpoint.*--resume"):
        quiet(config, out)
    result = quiet(config, out, resume=True)
    whole = quiet(config, tmp_path / "whole")
    assert result["weights_sha256"] == whole["weights_sha256"]
    assert (out / "trace.jsonl").read_bytes() == (tmp_path / "whole/trace.jsonl").read_bytes()


def test_resume_needs_the_trace_it_began_with(interrupted):
    config, out = interrupted
    (out / "trace.jsonl").write_text("")
    with pytest.raises(ValueError, match=r"resume: expected at least \d+ bytes in .*, got 0"):
        quiet(config, out, resume=True)


def test_resume_needs_the_corpus_it_began_with(interrupted, tmp_path):
    config, out = interrupted
    with (tmp_path / "corpus.txt").open("a") as file:
        file.write("one line more")
    with pytest.raises(ValueError, match="resume: expected the corpus of the checkpoint"):
        quiet(config, out, resume=True)


def test_an_unfinished_run_without_checkpoint_starts_anew(micro, tmp_path):
    config = TrainConfig(**micro)
    whole = quiet(config, tmp_path / "run")
    (tmp_path / "run" / "result.json").unlink()
    again = quiet(config, tmp_path / "run", resume=True)
    assert again["weights_sha256"] == whole["weights_sha256"]
    assert len(Trace.read(tmp_path / "run" / "trace.jsonl")) == 20


def test_progress_and_saved_model(micro, tmp_path, capsys):
    from transformers import LlamaForCausalLM

    result = train(TrainConfig(save_model=True, **micro), out=tmp_path / "run")
    assert "muon, paced" in capsys.readouterr().err
    model = LlamaForCausalLM.from_pretrained(tmp_path / "run" / "model", dtype=torch.float32)
    assert sum(p.numel() for p in model.parameters()) == result["parameters"]


def test_lower_bound_above_the_first_loss(micro, tmp_path):
    with pytest.raises(ValueError, match="lower_bound"):
        quiet(TrainConfig(rule="watched", lower_bound=50.0, **micro), tmp_path / "run")


def test_a_run_that_never_got_going_leaves_its_directory_free(micro, tmp_path):
    impossible = TrainConfig(optimizer="lion", lower_bound=99.0, rule="flat", **micro)
    with pytest.raises(ValueError, match="lower_bound must lie below the first loss"):
        quiet(impossible, tmp_path / "run")
    record = quiet(TrainConfig(optimizer="lion", **micro), tmp_path / "run")
    assert record["status"] == "finished"


def test_a_damaged_checkpoint_costs_the_updates_since_the_one_before(micro, tmp_path, monkeypatch):
    config = TrainConfig(optimizer="lion", checkpoint_every=4, **micro)
    whole = quiet(config, tmp_path / "whole")
    update = run_module.Run.update

    def stopped(self):
        if self.step == 10:
            raise OSError("the machine is gone")
        return update(self)

    with monkeypatch.context() as patched:
        patched.setattr(run_module.Run, "update", stopped)
        with pytest.raises(OSError, match="gone"):
            quiet(config, tmp_path / "run")
    latest = tmp_path / "run" / "checkpoint-8.pt"
    latest.write_bytes(latest.read_bytes()[:-2000])
    with pytest.warns(UserWarning, match=r"checkpoint-8\.pt, got a file that cannot be read"):
        result = quiet(config, tmp_path / "run", resume=True)
    assert result["weights_sha256"] == whole["weights_sha256"]
    traces = [(tmp_path / name / "trace.jsonl").read_bytes() for name in ("whole", "run")]
    assert traces[0] == traces[1]

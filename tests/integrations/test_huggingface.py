"""Real Trainers: the golden trace, accumulation, resuming, and what is refused beforehand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from pages import loop
from torch import nn
from transformers import Trainer, TrainingArguments

from autowarmup import AdaptiveWarmup, Trace
from autowarmup.integrations.huggingface import AdaptiveWarmupCallback, AdaptiveWarmupMixin
from autowarmup.rules import GapLaw

GOLDEN = Path(__file__).parent.parent / "golden"


class Replay(nn.Module):
    """A model whose loss is the mean of what it is given, in float64."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, loss: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": loss.mean() + 0.0 * self.weight.sum()}


class MixinTrainer(AdaptiveWarmupMixin, Trainer):
    pass


def arguments(folder: Path, steps: int, **options: Any) -> TrainingArguments:
    fixed: dict[str, Any] = {"report_to": "none", "use_cpu": True, "disable_tqdm": True}
    fixed |= {"logging_steps": 1, "save_strategy": "no", "max_grad_norm": 0.0}
    fixed |= {"per_device_train_batch_size": 1, "train_sampling_strategy": "sequential"}
    return TrainingArguments(str(folder), max_steps=steps, **{**fixed, **options})


def rows(losses: list[float]) -> list[dict[str, torch.Tensor]]:
    return [{"loss": torch.tensor(loss, dtype=torch.float64)} for loss in losses]


def golden() -> tuple[dict, Trace, dict]:
    run = json.loads((GOLDEN / "runs.json").read_text())["lion"]
    settings = {"rule": GapLaw(end=run["gap_peak"] / run["gap0"], div=run["div"])}
    return run, Trace.read(GOLDEN / "lion.jsonl"), settings


def rates_of(trainer: Trainer) -> list[float]:
    return [log["learning_rate"] for log in trainer.state.log_history if "loss" in log]


def test_the_mixin_gives_the_golden_trace(tmp_path):
    run, trace, settings = golden()

    class Settled(MixinTrainer):
        warmup_options = settings

    args = arguments(tmp_path, run["steps_done"], learning_rate=run["lr"])
    trainer = Settled(Replay(), args, train_dataset=rows(trace.column("loss")))
    trainer.train()
    assert rates_of(trainer) == pytest.approx(trace.column("lr"), rel=1e-11)
    assert trainer.lr_scheduler.warmup_end_step == run["warmup_end_step"]
    last = trainer.state.log_history[-2]
    assert last["warmup_phase"] == 1.0
    assert last["warmup_gap"] == pytest.approx(trace[-1].gap, rel=1e-12)


def test_the_callback_gives_the_golden_trace(tmp_path):
    run, trace, settings = golden()
    model = Replay()
    optimizer = torch.optim.SGD(model.parameters(), lr=run["lr"])
    scheduler = AdaptiveWarmup(optimizer, run["steps_done"], **settings)
    args = arguments(tmp_path, run["steps_done"], logging_nan_inf_filter=False)
    trainer = Trainer(
        model,
        args,
        train_dataset=rows(trace.column("loss")),
        optimizers=(optimizer, scheduler),
        callbacks=[AdaptiveWarmupCallback()],
    )
    trainer.train()
    assert rates_of(trainer) == pytest.approx(trace.column("lr"), rel=1e-6)
    assert scheduler.warmup_end_step == run["warmup_end_step"]


def test_accumulated_micro_batches_are_averaged_also_in_a_short_last_update(tmp_path):
    losses = [5.0, 3.0, 4.0, 4.5, 3.5, 2.0, 2.5]
    model = Replay()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    scheduler = AdaptiveWarmup(optimizer, 5)
    args = arguments(tmp_path, 5, gradient_accumulation_steps=3)
    trainer = MixinTrainer(
        model, args, train_dataset=rows(losses), optimizers=(optimizer, scheduler)
    )
    trainer.train()
    seen = scheduler.trace.column("loss")
    assert seen == pytest.approx([4.0, 10.0 / 3.0, 2.5, 4.0, 10.0 / 3.0], rel=1e-12)


@pytest.mark.parametrize("cut", [10, 60, 120])
def test_resuming_a_trainer_changes_no_bit(tmp_path, cut):
    """In warm-up, in the ramp of the cap and in the decay, through `scheduler.pt`."""
    run, trace, settings = golden()

    class Settled(MixinTrainer):
        warmup_options = settings

    steps = run["steps_done"]
    args = arguments(tmp_path, steps, save_strategy="steps", save_steps=cut, save_total_limit=20)
    first = Settled(Replay(), args, train_dataset=rows(trace.column("loss")))
    first.train()
    second = Settled(Replay(), args, train_dataset=rows(trace.column("loss")))
    second.train(resume_from_checkpoint=str(tmp_path / f"checkpoint-{cut}"))
    assert rates_of(second) == rates_of(first)
    assert second.lr_scheduler.state == first.lr_scheduler.state


def test_what_cannot_work_is_said_before_the_first_step(tmp_path):
    model, data = Replay(), rows([4.0, 3.0])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    plain = torch.optim.lr_scheduler.ConstantLR(optimizer)
    with pytest.raises(ValueError, match=r"feeds an AdaptiveWarmup: .* got ConstantLR"):
        MixinTrainer(
            model, arguments(tmp_path, 2), train_dataset=data, optimizers=(optimizer, plain)
        ).train()

    def refused(scheduler: Any, **options: Any) -> str:
        args = arguments(tmp_path, 2, **options)
        trainer = Trainer(
            model,
            args,
            train_dataset=data,
            optimizers=(optimizer, scheduler),
            callbacks=[AdaptiveWarmupCallback()],
        )
        with pytest.raises(ValueError, match="AdaptiveWarmupCallback") as caught:
            trainer.train()
        return str(caught.value)

    waiting = AdaptiveWarmup(optimizer, 2)
    assert "got ConstantLR" in refused(plain)
    assert "got True, which logs them as 0" in refused(waiting)
    assert "logging_steps=1, got" in refused(waiting, logging_steps=2)


@pytest.mark.parametrize("number", [0, 1])
def test_the_loops_of_the_page_train(tmp_path, number):
    model = Replay()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    names = {
        "model": model,
        "args": arguments(tmp_path, 8, logging_nan_inf_filter=False),
        "dataset": rows([4.0 - 0.1 * k for k in range(8)]),
        "optimizer": optimizer,
    }
    exec(loop("huggingface", number), names)
    assert names["trainer"].lr_scheduler.phase == "done"
    assert names["trainer"].lr_scheduler.trace[-1].loss == pytest.approx(3.3)

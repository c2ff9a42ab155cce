"""Real Trainers: the golden trace, accumulation, resuming, and what is refused beforehand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import Trainer, TrainerCallback, TrainingArguments

from autowarmup import AdaptiveWarmup, Trace
from autowarmup.integrations.huggingface import AdaptiveWarmupCallback, AdaptiveWarmupMixin
from autowarmup.rules import GapLaw
from pages import loop

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


@pytest.mark.parametrize(("kind", "steps"), [(0, 8), (0, 3), (1, 8)])
def test_a_run_that_is_resumed_with_another_end_is_said(tmp_path, kind, steps):
    """The Trainer swallows what the scheduler says while it is loaded."""

    def trainer(steps: int) -> Trainer:
        args = arguments(tmp_path, steps, save_strategy="steps", save_steps=2,
                         logging_nan_inf_filter=False)  # fmt: skip
        if kind == 0:
            return MixinTrainer(Replay(), args, train_dataset=rows([3.0] * 8))
        model = Replay()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        pair, seen = (optimizer, AdaptiveWarmup(optimizer, steps)), [AdaptiveWarmupCallback()]
        return Trainer(model, args, train_dataset=rows([3.0] * 8), optimizers=pair, callbacks=seen)

    trainer(4).train()
    said = f"the schedule ends after 4 updates and the Trainer after {steps}: expected the same"
    with pytest.warns(UserWarning, match=said) as told:
        trainer(steps).train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    assert len([each for each in told if "the schedule ends" in str(each.message)]) == 1


def test_a_mixin_that_would_change_nothing_is_refused():
    with pytest.raises(ValueError, match=r"class Late\(AdaptiveWarmupMixin, Trainer\), got the"):

        class Late(Trainer, AdaptiveWarmupMixin):
            pass

    class Own(Trainer):
        def create_scheduler(self, *args: Any, **kwargs: Any) -> Any:
            return super().create_scheduler(*args, **kwargs)

    class Right(AdaptiveWarmupMixin, Own):
        pass

    with pytest.raises(ValueError, match="got the mixin last"):

        class Later(Own, AdaptiveWarmupMixin):
            pass


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


def peaks_of(trainer: Trainer) -> float:
    return max(rates_of(trainer))


class Settled(MixinTrainer):
    warmup_options = {"rule": "linear 20%"}  # noqa: RUF012 - as the page does it


def test_training_twice_has_the_same_rates_both_times(tmp_path):
    trainer = Settled(Replay(), arguments(tmp_path, 20), train_dataset=rows([3.0] * 20))
    trainer.train()
    first = rates_of(trainer)
    trainer.train()
    assert max(first) == pytest.approx(5e-5, rel=0.01)
    assert rates_of(trainer) == first


def test_a_batch_size_that_does_not_fit_costs_no_rate(tmp_path):
    """`auto_find_batch_size` begins anew with half the batch after the first failure."""

    class Fails(Settled):
        def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
            if self._train_batch_size > 4 and self.state.global_step >= 6:
                raise RuntimeError("CUDA out of memory.")
            return super().training_step(*args, **kwargs)

    args = arguments(tmp_path, 20, auto_find_batch_size=True, per_device_train_batch_size=8)
    trainer = Fails(Replay(), args, train_dataset=rows([3.0] * 160))
    trainer.train()
    assert trainer.state.global_step == 20
    assert rates_of(trainer)[-20:][4] == pytest.approx(5e-5, rel=0.01)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"warmup_steps": 7}, "warmup_steps=7 has no effect"),
        ({"lr_scheduler_type": "cosine"}, "lr_scheduler_type='cosine' has no effect"),
    ],
)
def test_what_the_trainer_was_told_of_another_schedule_is_said_not_to_count(
    tmp_path, options, said
):
    args = arguments(tmp_path, 3, **options)
    trainer = Settled(Replay(), args, train_dataset=rows([3.0] * 3))
    with pytest.warns(UserWarning, match=said):
        trainer.train()


def test_a_scheduler_whose_run_is_over_is_said_to_be_so(tmp_path):
    model = Replay()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    pair = (optimizer, AdaptiveWarmup(optimizer, 3))
    args = arguments(tmp_path, 3)
    trainer = MixinTrainer(model, args, train_dataset=rows([3.0] * 3), optimizers=pair)
    trainer.train()
    with pytest.warns(UserWarning, match="has finished its run and would keep its last rate"):
        trainer.train()


def test_a_line_of_the_log_is_of_one_update(tmp_path):
    args = arguments(tmp_path, 20, learning_rate=0.5)
    trainer = Settled(Replay(), args, train_dataset=rows([3.0 - 0.1 * k for k in range(20)]))
    trainer.train()
    lines = [log for log in trainer.state.log_history if "loss" in log]
    trace = trainer.lr_scheduler.trace
    assert len(lines) == len(trace) == 20
    for line, point in zip(lines, trace, strict=True):
        assert line["learning_rate"] == point.lr
        assert line["warmup_factor"] == point.factor
        assert line["learning_rate"] == pytest.approx(0.5 * line["warmup_factor"])
        assert line["warmup_gap"] == point.gap


@pytest.mark.parametrize("kind", [Settled, MixinTrainer, Trainer])
def test_a_scheduler_that_somebody_replaces_is_said_once(tmp_path, kind):
    class Replaces(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step == 4:
                optimizer = kwargs["optimizer"]
                other = torch.optim.lr_scheduler.ConstantLR(optimizer)
                trainer.lr_scheduler = trainer.callback_handler.lr_scheduler = other

    model = Replay()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    given = {} if kind is Settled else {"optimizers": (optimizer, AdaptiveWarmup(optimizer, 8))}
    callbacks = [AdaptiveWarmupCallback()] if kind is Trainer else []
    args = arguments(tmp_path, 8, logging_nan_inf_filter=False)
    trainer = kind(
        model, args, train_dataset=rows([3.0] * 8), callbacks=[*callbacks, Replaces()], **given
    )
    with pytest.warns(UserWarning, match="AdaptiveWarmup was replaced at update") as told:
        trainer.train()
    assert len([each for each in told if "was replaced" in str(each.message)]) == 1
    assert trainer.state.global_step == 8

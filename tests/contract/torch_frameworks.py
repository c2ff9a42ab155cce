"""Rows of the contract for the frameworks on torch, each in the order in which it calls its parts.

The whole frameworks train in `tests/integrations`; here the parts are the real ones (the Trainer's
`training_step` and log, Lightning's callback, the Accelerator), and the order is that of their
loops, so that an update at a time can be asked for.
"""

from __future__ import annotations

import functools
import tempfile
from types import SimpleNamespace
from typing import Any

import torch
from accelerate import Accelerator
from hosts import STEPS, PlainLoop
from torch import nn
from transformers import PrinterCallback, Trainer, TrainingArguments

from autowarmup import AdaptiveWarmup
from autowarmup.integrations.huggingface import (
    AdaptiveWarmupCallback,
    AdaptiveWarmupMixin,
)
from autowarmup.integrations.lightning import AdaptiveWarmupCallback as LightningCallback


class Replay(nn.Module):
    """A model whose loss is what it is given, in float64."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, loss: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": loss.mean() + 0.0 * self.weight.sum()}


class MixinTrainer(AdaptiveWarmupMixin, Trainer):
    pass


@functools.cache
def arguments() -> TrainingArguments:
    return TrainingArguments(
        tempfile.mkdtemp(),
        report_to="none",
        use_cpu=True,
        logging_steps=1,
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        max_grad_norm=0.0,
    )


class HuggingFace(PlainLoop):
    """The mixin: `training_step`, `optimizer.step()`, a bare `lr_scheduler.step()`."""

    name = "Hugging Face, mixin"

    def __init__(self, steps: int = STEPS, **options: Any) -> None:
        self.optimizers = self.build()
        self.scheduler = AdaptiveWarmup(self.optimizers[0], steps, **options)
        model = Replay()
        self.trainer = MixinTrainer(
            model, arguments(), optimizers=(self.optimizers[0], self.scheduler)
        )
        self.model, self.trainer.optimizer = self.trainer.accelerator.prepare(
            model, self.optimizers[0]
        )
        self.trainer.create_scheduler(steps)
        self.trainer.current_gradient_accumulation_steps = 1

    def forward(self, loss: float | None) -> None:
        if loss is not None:
            batch = {"loss": torch.tensor([loss], dtype=torch.float64)}
            self.trainer.training_step(self.model, batch)

    def update(self, loss: float | None) -> None:
        self.backward()
        self.forward(loss)
        self.trainer.optimizer.step()
        self.trainer.lr_scheduler.step()
        self.trainer.state.global_step += 1

    def skip(self, loss: float) -> None:
        self.forward(loss)
        self.trainer.state.global_step += 1  # counted, but the scheduler is not called


class HuggingFaceLog(HuggingFace):
    """The callback alone: the loss comes from the log, after the bare `lr_scheduler.step()`."""

    name = "Hugging Face, callback"
    tolerance = 1e-6  # the Trainer sums losses in float32; measured: 2e-8

    def __init__(self, steps: int = STEPS, **options: Any) -> None:
        self.optimizers = self.build()
        self.scheduler = AdaptiveWarmup(self.optimizers[0], steps, **options)
        self.model = Replay()
        self.trainer = Trainer(
            self.model,
            arguments(),
            optimizers=(self.optimizers[0], self.scheduler),
            callbacks=[AdaptiveWarmupCallback()],
        )
        self.trainer.remove_callback(PrinterCallback)
        self.trainer.current_gradient_accumulation_steps = 1
        self.trainer.state.logging_steps = 1
        self.trainer._globalstep_last_logged = 0
        self.trainer._total_loss_scalar = 0.0
        self.event("on_train_begin")
        self.event("on_step_begin")

    def event(self, name: str) -> None:
        trainer = self.trainer
        getattr(trainer.callback_handler, name)(trainer.args, trainer.state, trainer.control)

    def finish(self, loss: float | None) -> None:
        self.trainer.state.global_step += 1
        if loss is not None:
            total = torch.tensor(0.0)  # as the Trainer starts its sum
            total += self.trainer.training_step(self.model, {"loss": torch.tensor([loss]).double()})
            self.trainer.control.should_log = True
            self.trainer._maybe_log_save_evaluate(total, None, None, None, 0, None, 0.0, 0.0)
        self.trainer._globalstep_last_logged = self.trainer.state.global_step
        self.event("on_step_begin")

    def update(self, loss: float | None) -> None:
        self.backward()
        self.trainer.optimizer.step()
        self.trainer.lr_scheduler.step()
        self.finish(loss)

    def skip(self, loss: float) -> None:
        self.finish(loss)


class Lightning(PlainLoop):
    """Lightning: a bare `scheduler.step()` comes before the callback sees the loss."""

    name = "Lightning"

    def __init__(self, steps: int = STEPS, **options: Any) -> None:
        self.optimizers = self.build()
        self.scheduler = AdaptiveWarmup(self.optimizers[0], steps, **options)
        config = SimpleNamespace(scheduler=self.scheduler)
        self.trainer = SimpleNamespace(
            lr_scheduler_configs=[config], accumulate_grad_batches=1, global_step=0
        )
        self.module = SimpleNamespace(automatic_optimization=True)
        self.callback = LightningCallback()
        self.callback.on_train_start(self.trainer, self.module)

    def tell(self, loss: float | None) -> None:
        self.trainer.global_step += 1  # also where mixed precision skipped
        self.scheduler.step()
        outputs = {} if loss is None else {"loss": torch.tensor(loss, dtype=torch.float64)}
        self.callback.on_train_batch_end(self.trainer, self.module, outputs, None, 0)


class TensorRateLightning(Lightning):
    """The same with a rate that is a tensor."""

    name = "Lightning, tensor rate"

    def build(self) -> list[torch.optim.Optimizer]:
        rate = torch.tensor(self.peaks[0], dtype=torch.float64)
        return [torch.optim.Adam([nn.Parameter(torch.ones(3))], lr=rate, foreach=False)]


class Accelerate(PlainLoop):
    """`accelerator.accumulate` with two micro-batches; the scheduler is not prepared."""

    name = "Accelerate"
    peaks = (0.5, 0.03)
    tolerance = 1e-12  # the mean of two losses is rounded
    prepared = False

    def __init__(self, steps: int = STEPS, **options: Any) -> None:
        self.accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
        one, two = Replay(), Replay()
        self.model = nn.ModuleList([one, two])
        groups = [{"params": one.parameters(), "lr": lr} for lr in self.peaks[:1]]
        groups += [{"params": two.parameters(), "lr": self.peaks[1]}]
        self.optimizer = self.accelerator.prepare(torch.optim.SGD(groups, lr=1.0))
        self.optimizers = [self.optimizer.optimizer]
        self.scheduler = AdaptiveWarmup(self.optimizer, steps, **options)
        self.stepped = self.scheduler
        if self.prepared:
            self.stepped = self.accelerator.prepare(self.scheduler)

    def go(self, loss: float | None, skipped: bool) -> None:
        for part in (-0.25, 0.25):
            with self.accelerator.accumulate(self.model):
                if loss is not None:
                    given = torch.tensor(loss + part, dtype=torch.float64)
                    self.scheduler.observe(self.model[0](given)["loss"])
                if not skipped:
                    self.backward()
                    self.optimizer.step()
                if self.prepared or self.accelerator.sync_gradients:
                    self.stepped.step()
                self.optimizer.zero_grad()

    def update(self, loss: float | None) -> None:
        self.go(loss, skipped=False)

    def skip(self, loss: float) -> None:
        self.go(loss, skipped=True)

    def idle(self) -> None:
        self.stepped.step()


class AcceleratePrepared(Accelerate):
    """A prepared scheduler is stepped once per process; the extra calls follow no update."""

    name = "Accelerate, prepared scheduler"
    prepared = True


TORCH_FRAMEWORKS = [
    HuggingFace,
    HuggingFaceLog,
    Lightning,
    TensorRateLightning,
    Accelerate,
    AcceleratePrepared,
]

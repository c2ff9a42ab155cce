"""Lightning: a callback that tells the scheduler of `configure_optimizers` the training loss."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from autowarmup.integrations import missing

try:
    from lightning.pytorch import Callback, LightningModule, Trainer
except ModuleNotFoundError as error:
    raise missing("lightning", "lightning") from error

from autowarmup.integrations.tracking import metrics
from autowarmup.scheduler import AdaptiveWarmup


class AdaptiveWarmupCallback(Callback):
    """Feeds every `AdaptiveWarmup` of the module; `Trainer(callbacks=[AdaptiveWarmupCallback()])`.

    For automatic optimization, where Lightning allows one optimizer: Muon beside AdamW has to be
    one object (`autowarmup.Muon` is). `self.trainer.estimated_stepping_batches` is the scheduler's
    `total_steps`; any `interval` will do. Lightning calls `scheduler.step()` before the loss is
    known: those calls do nothing, the callback moves the rate. With manual optimization there is
    no need of it: call `scheduler.step(loss)` after the optimizer.

    Where another callback takes the scheduler away in mid-run (StochasticWeightAveraging puts its
    own in its place), that is said once, and training goes on without it.

    Args:
        log: also log rate, phase and gap with `log_dict`, for every logger of the Trainer.
    """

    def __init__(self, log: bool = False) -> None:
        self.log_metrics = log
        self._steps = 0
        self._gone = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check that there is something to feed and a way to.

        Raises:
            ValueError: no `AdaptiveWarmup` among the schedulers, or manual optimization.
        """
        if not pl_module.automatic_optimization:
            raise ValueError(
                "AdaptiveWarmupCallback feeds in automatic optimization: expected "
                "automatic_optimization=True, got False; there, call scheduler.step(loss) yourself"
            )
        schedulers = _schedulers(trainer)
        if not schedulers:
            got = [type(config.scheduler).__name__ for config in trainer.lr_scheduler_configs]
            raise ValueError(
                "AdaptiveWarmupCallback feeds an AdaptiveWarmup: expected one among the schedulers "
                f"that configure_optimizers returns, got {', '.join(got) or 'no scheduler'}"
            )
        for scheduler in schedulers:
            scheduler.defer()
        self._steps, self._gone = trainer.global_step, False

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Show the loss of the micro-batch; step where Lightning counted an update."""
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        schedulers = _schedulers(trainer)
        if not schedulers:
            self._say_gone(trainer)
            return
        if loss is not None:  # Lightning has divided it by the number of micro-batches
            for scheduler in schedulers:
                scheduler.observe(loss * trainer.accumulate_grad_batches)
        if trainer.global_step == self._steps:
            return
        self._steps = trainer.global_step
        for scheduler in schedulers:  # it knows whether mixed precision skipped the update
            scheduler.settle()
        if self.log_metrics:
            pl_module.log_dict(metrics(schedulers[0]), on_step=True, on_epoch=False)

    def _say_gone(self, trainer: Trainer) -> None:
        if self._gone:
            return
        self._gone = True
        got = [type(config.scheduler).__name__ for config in trainer.lr_scheduler_configs]
        warnings.warn(
            f"AdaptiveWarmup is no longer among the schedulers at update {trainer.global_step}: "
            f"another callback has put {', '.join(got) or 'none'} in its place, which sets the "
            "rate from here on",
            stacklevel=2,
        )


def _schedulers(trainer: Trainer) -> list[AdaptiveWarmup]:
    found = [config.scheduler for config in trainer.lr_scheduler_configs]
    return [each for each in found if isinstance(each, AdaptiveWarmup)]

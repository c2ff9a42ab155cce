"""Hugging Face Trainer: by a mixin (every micro-batch is seen), or by a callback alone.

The Trainer calls `lr_scheduler.step()` bare and tells no callback the loss except by its log. The
mixin is therefore the better way. The callback is for trainers that cannot be subclassed; it reads
the log, which has to be written at every step.
"""

from __future__ import annotations

import warnings
from dataclasses import fields
from typing import TYPE_CHECKING, Any, ClassVar, cast

from torch import Tensor
from torch.optim import Optimizer

from autowarmup.integrations import missing

try:
    from transformers import TrainerCallback
    from transformers.trainer_callback import TrainerControl, TrainerState
    from transformers.training_args import TrainingArguments
except ModuleNotFoundError as error:
    raise missing("transformers and accelerate", "pretrain") from error

from autowarmup.integrations.tracking import metrics
from autowarmup.scheduler import AdaptiveWarmup

if TYPE_CHECKING:
    from transformers import Trainer as _Base
else:
    _Base = object


class AdaptiveWarmupMixin(_Base):
    """Put it before a Trainer: `class MyTrainer(AdaptiveWarmupMixin, Trainer)`.

    The scheduler is made when training starts, with the number of steps that the Trainer knows and
    `warmup_options`; `args.learning_rate` is the peak rate. `args.lr_scheduler_type`, its settings
    and `args.warmup_steps` have no effect, which is said where they are given. A scheduler may also
    be given: `optimizers=(optimizer, scheduler)`. Micro-batches are averaged here, processes by the
    scheduler. Phase and gap go to the log.

    Attributes:
        warmup_options: keyword arguments of `AdaptiveWarmup`.
    """

    warmup_options: ClassVar[dict[str, Any]] = {}
    _update_seen = -1
    _gone = False

    def __init_subclass__(cls, **options: Any) -> None:
        """Refuse a class in which the Trainer's own methods hide those of the mixin.

        Raises:
            ValueError: the mixin stands after the Trainer.
        """
        super().__init_subclass__(**options)
        for base in cls.__mro__[: cls.__mro__.index(AdaptiveWarmupMixin)]:
            if {"train", "training_step", "create_scheduler"} <= set(vars(base)):
                raise ValueError(
                    f"expected class {cls.__name__}(AdaptiveWarmupMixin, {base.__name__}), got the "
                    "mixin last, where it changes nothing"
                )

    def create_scheduler(
        self, num_training_steps: int, optimizer: Optimizer | None = None
    ) -> AdaptiveWarmup:
        """Make the scheduler, or check the one that was given.

        Raises:
            ValueError: another scheduler was given, or none could be fed.
        """
        self._update_seen, self._gone = -1, False
        given = self.lr_scheduler
        if asked := _unused(self.args):
            warnings.warn(
                f"AdaptiveWarmup sets the rate, so that {asked} has no effect: expected "
                "warmup_options, such as {'rule': 'linear 500 steps', 'decay': 'linear'}",
                stacklevel=2,
            )
        if isinstance(given, AdaptiveWarmup) and given.phase == "done":
            warnings.warn(
                "the AdaptiveWarmup that was given has finished its run and would keep its last "
                f"rate: expected a new one, or extend(total_steps), got {given!r}",
                stacklevel=2,
            )
        if given is None:
            inner = cast(Optimizer, optimizer or self.optimizer)
            given = AdaptiveWarmup(inner, num_training_steps, **self.warmup_options)
            self.lr_scheduler, self._created_lr_scheduler = given, True
        if not isinstance(given, AdaptiveWarmup):
            raise ValueError(
                "AdaptiveWarmupMixin feeds an AdaptiveWarmup: expected "
                "optimizers=(optimizer, AdaptiveWarmup(...)) or (optimizer, None), "
                f"got {type(given).__name__}"
            )
        return given

    def training_step(
        self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None
    ) -> Tensor:
        """Train on one micro-batch and show the scheduler its loss."""
        loss = super().training_step(model, inputs, num_items_in_batch)
        scheduler = self.lr_scheduler
        if not isinstance(scheduler, AdaptiveWarmup):
            if not self._gone:
                self._gone = True
                _say_replaced(self.state, scheduler)
            return loss
        if self.state.global_step != self._update_seen:
            # The Trainer counts an update that mixed precision skipped, but does not call the
            # scheduler: losses still waiting belong to it.
            scheduler.skip()
            if self._update_seen < 0:  # a checkpoint, which brings its own end, is loaded by now
                _say_other_end(scheduler, self.state)
            self._update_seen = self.state.global_step
        # Losses come as shares of the mean of the whole update; the scheduler averages them.
        scheduler.observe(loss * self.current_gradient_accumulation_steps)
        return loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add phase, share of the peak rate and gap to the log of a training step."""
        if "loss" in logs and isinstance(self.lr_scheduler, AdaptiveWarmup):
            logs.update(metrics(self.lr_scheduler, prefix="warmup_", rates=False))
        super().log(logs, start_time)


class AdaptiveWarmupCallback(TrainerCallback):
    """Feeds the scheduler of `Trainer(optimizers=(optimizer, AdaptiveWarmup(...)))` from the log.

    Needs `logging_steps=1` and `logging_nan_inf_filter=False`; a host read of the loss per step is
    the price. The logged loss is the mean over micro-batches and processes already.
    """

    _gone = False

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Check what the callback depends on, before the first step.

        Raises:
            ValueError: no `AdaptiveWarmup`, or the log would not show the loss of every
                step.
        """
        scheduler = kwargs.get("lr_scheduler")
        if not isinstance(scheduler, AdaptiveWarmup):
            raise ValueError(
                "AdaptiveWarmupCallback feeds an AdaptiveWarmup: expected "
                f"optimizers=(optimizer, AdaptiveWarmup(...)), got {type(scheduler).__name__}"
            )
        strategy = getattr(args.logging_strategy, "value", args.logging_strategy)
        if strategy != "steps" or state.logging_steps != 1:
            raise ValueError(
                "AdaptiveWarmupCallback reads the loss of every step from the log: expected "
                "logging_strategy='steps' and logging_steps=1, got "
                f"{strategy!r} and {state.logging_steps}"
            )
        if args.logging_nan_inf_filter:
            raise ValueError(
                "AdaptiveWarmupCallback must see losses that are not finite: expected "
                "logging_nan_inf_filter=False, got True, which logs them as 0"
            )
        _say_other_end(scheduler, state)
        scheduler.defer(agreed=True)

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Count an update that was not logged; there should be none."""
        scheduler = kwargs.get("lr_scheduler")
        if state.global_step and isinstance(scheduler, AdaptiveWarmup):
            scheduler.settle()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Step the scheduler with the logged loss; logs of evaluations have none."""
        scheduler = kwargs.get("lr_scheduler")
        if logs is None or "loss" not in logs:
            return
        if isinstance(scheduler, AdaptiveWarmup):
            scheduler.step(logs["loss"])
        elif not self._gone:
            self._gone = True
            _say_replaced(state, scheduler)


def _say_other_end(scheduler: AdaptiveWarmup, state: TrainerState) -> None:
    """Say that a run and its schedule end at different updates; the Trainer hides what is said
    while it loads a checkpoint."""
    total = scheduler.state.run.total_steps
    if total is not None and 0 < state.max_steps != total:
        warnings.warn(
            f"the schedule ends after {total:,} updates and the Trainer after {state.max_steps:,}: "
            "expected the same; a saved one keeps the end that it was saved with, and "
            f"lr_scheduler.extend({state.max_steps}) in on_train_begin of a callback moves it",
            stacklevel=3,
        )


def _say_replaced(state: TrainerState, by: object) -> None:
    warnings.warn(
        f"AdaptiveWarmup was replaced at update {state.global_step}: {type(by).__name__} sets the "
        "rate from here on",
        stacklevel=3,
    )


def _unused(args: TrainingArguments) -> str:
    """Return what the user asked of a scheduler that is not there, empty for nothing."""
    usual = {field.name: field.default for field in fields(TrainingArguments)}
    asked = []
    for name in ("lr_scheduler_type", "lr_scheduler_kwargs", "warmup_steps", "warmup_ratio"):
        value = getattr(args, name, None)
        if value and value != usual.get(name):
            asked.append(f"{name}={getattr(value, 'value', value)!r}")
    return " and ".join(asked)

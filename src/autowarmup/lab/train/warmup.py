"""The two warm-ups behind one face, so that the training loop knows neither.

`AdaptiveRates` is `autowarmup.AdaptiveWarmup`; `LinearRates` is the hand-tuned baseline, a linear
ramp and the same decay, through torch's own `LambdaLR`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch

from autowarmup.lab.train.config import TrainConfig, filled
from autowarmup.rules.baseline import linear_warmup
from autowarmup.scheduler import AdaptiveWarmup


class Rates(Protocol):
    """What the training loop needs of a warm-up.

    Attributes:
        factor: share of the peak rate that the next update uses.
        phase: phase of the next update.
        status: name of what happened at the last step, `None` where nothing can.
    """

    @property
    def factor(self) -> float: ...  # noqa: D102

    @property
    def phase(self) -> str: ...  # noqa: D102

    @property
    def status(self) -> str | None: ...  # noqa: D102

    @property
    def gap(self) -> float | None: ...  # noqa: D102

    def calibrate(self, closure: Callable[[], torch.Tensor]) -> None:
        """Measure the first rate, where the warm-up has one to measure."""
        ...

    def step(self, loss: float) -> None:
        """Advance by one update that saw this loss."""
        ...

    def summary(self) -> dict[str, Any]:
        """Return the fields of the run record that the warm-up knows."""
        ...

    def state_dict(self) -> dict[str, Any]: ...  # noqa: D102

    def load_state_dict(self, state: dict[str, Any]) -> None: ...  # noqa: D102


class AdaptiveRates:
    """Warm-up that follows the loss."""

    def __init__(self, config: TrainConfig, optimizer: torch.optim.Optimizer) -> None:
        self.scheduler = AdaptiveWarmup(
            optimizer,
            filled(config.steps),
            div=filled(config.div),
            peak=config.peak,
            decay=config.decay,
            final_fraction=config.final_fraction,
            lower_bound=config.lower_bound,
            max_fraction=config.max_fraction,
            smoothing=config.smoothing,
            # The loop hands over the mean of all processes, read already with the gradient norm.
            process_group=False,
            lag=0,
        )
        self.wants_calibration = config.calibrate

    @property
    def factor(self) -> float:
        """Share of the peak rate that the next update uses."""
        return self.scheduler.factor

    @property
    def phase(self) -> str:
        """Phase of the next update."""
        return self.scheduler.phase

    @property
    def status(self) -> str | None:
        """Name of the schedule's status."""
        return self.scheduler.status.name

    @property
    def gap(self) -> float | None:
        """Smoothed gap, in nats per token."""
        return self.scheduler.state.gap

    def calibrate(self, closure: Callable[[], torch.Tensor]) -> None:
        """Measure div on the first batch, if the config asks for it."""
        if self.wants_calibration:
            self.scheduler.calibrate(closure)

    def step(self, loss: float) -> None:
        """Advance by one update."""
        self.scheduler.step(loss)

    def summary(self) -> dict[str, Any]:
        """Return how warm-up ended, and the gaps it went by."""
        state = self.scheduler.state
        return {
            "warmup_end_step": state.warmup_end_step,
            "warmup_ended_by": state.ended_by,
            "div": self.scheduler.div,
            "gap0": getattr(state, "gap0", None),  # rules that follow no gap have none
            "gap_peak": getattr(state, "gap_peak", None),
        }

    def state_dict(self) -> dict[str, Any]:
        """Return plain numbers, strings and lists."""
        return self.scheduler.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a saved state."""
        self.scheduler.load_state_dict(state)


class LinearRates:
    """Linear warm-up over a given number of updates, then the decay."""

    def __init__(self, config: TrainConfig, optimizer: torch.optim.Optimizer) -> None:
        self.warmup_steps = config.warmup_steps

        def factor(update: int) -> float:
            return linear_warmup(
                update,  # torch asks for one more than there are, which keeps the last factor
                warmup_steps=self.warmup_steps,
                total_steps=filled(config.steps),
                decay=config.decay,
                final_fraction=config.final_fraction,
            )

        self._factor = factor
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)

    @property
    def factor(self) -> float:
        """Share of the peak rate that the next update uses."""
        return self._factor(self.scheduler.last_epoch)

    @property
    def phase(self) -> str:
        """Phase of the next update."""
        return "warmup" if self.scheduler.last_epoch < self.warmup_steps - 1 else "decay"

    @property
    def status(self) -> str | None:
        """Nothing can happen to a fixed schedule."""
        return None

    @property
    def gap(self) -> float | None:
        """A fixed schedule looks at no gap."""
        return None

    def calibrate(self, closure: Callable[[], torch.Tensor]) -> None:
        """Nothing to measure."""

    def step(self, loss: float) -> None:
        """Advance by one update."""
        self.scheduler.step()

    def summary(self) -> dict[str, Any]:
        """Return when the ramp was over."""
        reached = self.scheduler.last_epoch > self.warmup_steps - 1
        return {
            "warmup_end_step": self.warmup_steps - 1 if reached else None,
            "warmup_ended_by": "linear",
            "div": None,
            "gap0": None,
            "gap_peak": None,
        }

    def state_dict(self) -> dict[str, Any]:
        """Return plain numbers and lists."""
        return self.scheduler.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a saved state."""
        self.scheduler.load_state_dict(state)


def build_rates(config: TrainConfig, optimizer: torch.optim.Optimizer) -> Rates:
    """Return the warm-up that a config asks for."""
    kind = AdaptiveRates if config.adaptive else LinearRates
    return kind(config, optimizer)

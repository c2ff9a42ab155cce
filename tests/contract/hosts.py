"""One small class per host of the schedule; `test_contract.py` asks the same of each.

A host is anything that turns losses into rates: the core by itself, the torch scheduler in several
loops, the frameworks. A new row is a subclass of `Host` in a list of hosts that `test_contract.py`
reads: add it to `HOSTS` here or, where it needs a library of its own, in a file beside this one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import nn

from autowarmup import AdaptiveWarmup
from autowarmup.rules import DEFAULT_RULE, Run, WarmupState, begin, rule_of, step
from autowarmup.rules.life import with_decay, with_end, with_ramp

STEPS = 60


def falling_loss(step: int) -> float:
    """Falls slowly enough to see every phase, with a ripple."""
    return 1.0 + 4.0 * math.exp(-step / 6) + 0.05 * math.sin(3 * step)


class Host:
    """What the contract asks of a host.

    Attributes:
        name: its row in the table.
        peaks: the peak rates of its parameter groups, all groups of all optimizers in one list.
        lag: updates by which a loss reaches the rate late.
        tolerance: relative; 0 means that rates are those of the core bit for bit. Anything else is
            the rounding of a mean over micro-batches, or of a float32 rate.
        skips: whether an update can be thrown away by mixed precision.
    """

    name = ""
    peaks: Sequence[float] = (0.5,)
    lag = 0
    tolerance = 0.0
    skips = True

    calls: ClassVar[tuple[str, ...]] = ("start_decay", "extend", "rewarm")

    def __init__(self, steps: int | None = STEPS, **options: Any) -> None:
        """Start a run; `options` are those of `AdaptiveWarmup` (rule, decay, ...)."""
        raise NotImplementedError

    def update(self, loss: float | None) -> None:
        """Make one update on a batch with this mean loss; `None`: nobody tells the loss."""
        raise NotImplementedError

    def skip(self, loss: float) -> None:
        """Go through the motions of an update that is thrown away (overflow of half precision)."""
        raise NotImplementedError

    def idle(self) -> None:
        """Call the scheduler although no update was made since the last call."""
        raise NotImplementedError

    def rates(self) -> list[float]:
        """Return the rates of the next update, as the optimizer holds them."""
        raise NotImplementedError

    def status(self) -> str:
        """Return the name of the `Status` after the last update."""
        raise NotImplementedError

    def ask(self, call: str, steps: int) -> None:
        """Make one of `calls` between two updates."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """Return all that a checkpoint needs; it must survive torch.load(weights_only=True)."""
        raise NotImplementedError

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        raise NotImplementedError


class Core(Host):
    """The rule by itself: no torch, no optimizer."""

    name = "core loop"

    def __init__(self, steps: int = STEPS, **options: Any) -> None:
        rule = rule_of(options.pop("rule", DEFAULT_RULE))
        self.state = begin(rule, Run(steps, **options))

    def update(self, loss: float | None) -> None:
        self.state = step(self.state, loss)

    def skip(self, loss: float) -> None:
        pass  # nothing was updated, so nothing is told

    def idle(self) -> None:
        pass

    def rates(self) -> list[float]:
        return [peak * self.state.factor for peak in self.peaks]

    def status(self) -> str:
        return self.state.status.name

    def ask(self, call: str, steps: int) -> None:
        life = {"start_decay": with_decay, "extend": with_end, "rewarm": with_ramp}
        self.state = life[call](self.state, steps)

    def state_dict(self) -> dict[str, Any]:
        return self.state.to_dict()

    def load(self, state: dict[str, Any]) -> None:
        self.state = WarmupState.from_dict(state, rule_of)


class PlainLoop(Host):
    """`optimizer.step()`, then `scheduler.step(loss)`."""

    name = "plain torch loop"
    own: ClassVar[dict[str, Any]] = {}

    def __init__(self, steps: int = STEPS, **options: Any) -> None:
        self.optimizers = self.build()
        given = self.optimizers if len(self.optimizers) > 1 else self.optimizers[0]
        self.scheduler = AdaptiveWarmup(given, steps, **{**self.own, **options})

    def build(self) -> list[torch.optim.Optimizer]:
        return [torch.optim.SGD([nn.Parameter(torch.ones(3))], lr=self.peaks[0])]

    def tell(self, loss: float | None) -> None:
        self.scheduler.step(loss)

    def backward(self) -> None:
        """Leave new gradients, as a backward pass does."""
        for weight in (p for o in self.optimizers for g in o.param_groups for p in g["params"]):
            weight.grad = torch.zeros_like(weight)

    def update(self, loss: float | None) -> None:
        self.backward()
        for optimizer in self.optimizers:
            optimizer.step()
        self.tell(loss)

    def skip(self, loss: float) -> None:
        self.tell(loss)  # GradScaler did not call optimizer.step(), the loop goes on all the same

    def idle(self) -> None:
        self.scheduler.step()

    def rates(self) -> list[float]:
        return [float(g["lr"]) for o in self.optimizers for g in o.param_groups]

    def status(self) -> str:
        return self.scheduler.status.name

    def ask(self, call: str, steps: int) -> None:
        said = getattr(self.scheduler, call)(steps)
        assert "update" in said

    def state_dict(self) -> dict[str, Any]:
        return {
            "optimizers": [o.state_dict() for o in self.optimizers],
            "scheduler": self.scheduler.state_dict(),
        }

    def load(self, state: dict[str, Any]) -> None:
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.scheduler.load_state_dict(state["scheduler"])


class TensorRate(PlainLoop):
    """A rate that is a tensor and is only ever filled."""

    name = "tensor rate"

    def build(self) -> list[torch.optim.Optimizer]:
        self.rate = torch.tensor(self.peaks[0], dtype=torch.float64)
        weight = nn.Parameter(torch.ones(3))
        return [torch.optim.Adam([weight], lr=self.rate, foreach=False)]


class MicroBatches(PlainLoop):
    """Two micro-batches through `observe`, then a bare `step()`."""

    name = "micro-batches"
    tolerance = 1e-12  # the mean of two losses is rounded

    def tell(self, loss: float | None) -> None:
        if loss is not None:
            for part in (loss - 0.25, loss + 0.25):
                self.scheduler.observe(torch.tensor(part, dtype=torch.float64, requires_grad=True))
        self.scheduler.step()


class UnequalMicroBatches(PlainLoop):
    """Micro-batches of 3 samples, 1 sample and none, whose loss is 0 / 0."""

    name = "unequal micro-batches"
    tolerance = 1e-12

    def tell(self, loss: float | None) -> None:
        if loss is not None:
            self.scheduler.observe(torch.tensor(loss - 0.25, dtype=torch.float64), weight=3)
            self.scheduler.observe(loss + 0.75, weight=torch.tensor(1))
            self.scheduler.observe(math.nan, weight=0)
        self.scheduler.step()


class LateLoss(PlainLoop):
    """The way of an accelerator: tensors are never read where they lie, the rate is one late."""

    name = "loss one update late"
    lag = 1
    own: ClassVar[dict[str, Any]] = {"lag": 1}

    def tell(self, loss: float | None) -> None:
        given = None if loss is None else torch.tensor(loss, dtype=torch.float64)
        self.scheduler.step(given)


class LateMicroBatches(UnequalMicroBatches):
    """The same with micro-batches, three updates late."""

    name = "micro-batches three updates late"
    lag = 3
    own: ClassVar[dict[str, Any]] = {"lag": 3}


class SeveralOptimizers(PlainLoop):
    """Muon beside AdamW as two objects, the second with two groups."""

    name = "list of optimizers"
    peaks = (0.5, 0.03, 0.2)

    def build(self) -> list[torch.optim.Optimizer]:
        hidden, head, bias = (nn.Parameter(torch.ones(2, 2)) for _ in range(3))
        groups = [{"params": [head], "lr": self.peaks[1]}, {"params": [bias], "lr": self.peaks[2]}]
        return [torch.optim.Muon([hidden], lr=self.peaks[0]), torch.optim.AdamW(groups)]


HOSTS: list[Callable[..., Host]] = [
    Core,
    PlainLoop,
    TensorRate,
    MicroBatches,
    UnequalMicroBatches,
    LateLoss,
    LateMicroBatches,
    SeveralOptimizers,
]

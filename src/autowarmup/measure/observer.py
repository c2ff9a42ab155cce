"""Measure curvature along any training loop, every few steps.

    observer = CurvatureObserver(model, optimizer, lambda: loss_of(model, batch), every=10)
    ...the loop as it was...
    observer.trace.write("trace.jsonl")

The observer hooks `optimizer.step`. Training goes on as if it were not there, bit for bit: weights,
gradients, buffers and random numbers are the same with and without it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from autowarmup.measure.blocks import count_parameters
from autowarmup.measure.determinism import TOLERANCE, Determinism, check_determinism, compare
from autowarmup.measure.hessian import hessian_extremes
from autowarmup.measure.passes import undisturbed
from autowarmup.measure.streaming import Gradients, NextBatch, StepProbe, own_gradient
from autowarmup.measured_start import is_trial_step
from autowarmup.records import Point, Trace


class CurvatureObserver:
    """Measures the curvature along every `every`-th update, on the batch of that update.

    A probe costs two forward and backward passes, or one if the loop calls `see` between backward
    and clipping. It holds one copy of the weights and one of the gradients while it runs, none
    between probes. At the first probe the loss is checked to be deterministic (two more passes).

    Args:
        model: its buffers are kept as they are; dropout must be off.
        optimizer: the optimizer, or several that step one after another.
        loss_closure: returns the mean loss of the current batch, with its graph, without backward.
        norm: "auto" (read from the optimizer), "spectral", "linf", "frobenius", "euclidean".
        every: updates between probes; the first update is probed.
        f_star: lower bound of the loss; `gap` of a point is its loss minus this.
        count: which parameters count, see `autowarmup.measure.blocks.count_parameters`.
        next_batch: also measure `K_next` and `K_noise` on the batch after a probe; it costs one
            more forward pass (and a backward pass without `see`), and a probe then lasts longer.
        hessian: also measure `H`, by Hessian-vector products (some 20 to 60 double backwards).

    Attributes:
        trace: one `Point` per probed update; see `Point` for the quantities.
        latest: the point of the last update, or `None` if it was not measured.
        determinism: how two evaluations differed, after the first probe.
        counted: which parameters count in which norm.

    Raises:
        ValueError: an optimizer without a known norm, `every` below 1; at the first probe, a loss
            that is not deterministic, or not that of the batch that `see` was told of.

    Example:
        On f = 2 |x|^2 every quantity is known: the curvature is 4.

        >>> import torch
        >>> model = nn.Linear(2, 1, bias=False)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.125)
        >>> loss_of = lambda: 2 * model.weight.square().sum()
        >>> observer = CurvatureObserver(model, optimizer, loss_of, every=1)
        >>> for _ in range(3):
        ...     optimizer.zero_grad()
        ...     loss_of().backward()
        ...     optimizer.step()
        >>> [round(point.K, 3) for point in observer.trace]
        [4.0, 4.0, 4.0]
        >>> [round(point.trust_ratio, 3) for point in observer.trace]
        [0.75, 0.75, 0.75]
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer | Sequence[Optimizer],
        loss_closure: Callable[[], Tensor],
        *,
        norm: str = "auto",
        every: int = 10,
        f_star: float = 0.0,
        count: str = "auto",
        next_batch: bool = False,
        hessian: bool = False,
    ) -> None:
        if every < 1:
            raise ValueError(f"every: expected a number of updates of at least 1, got {every}")
        if not math.isfinite(f_star):
            raise ValueError(f"f_star: expected a finite loss, got {f_star}")
        self.model, self.closure = model, loss_closure
        self.optimizers = (optimizer,) if isinstance(optimizer, Optimizer) else tuple(optimizer)
        self.counted = count_parameters(self.optimizers, norm=norm, count=count)
        self.every, self.f_star = every, f_star
        self.next_batch, self.hessian = next_batch, hessian
        self.trace = Trace()
        self.latest: Point | None = None
        self.determinism: Determinism | None = None
        self.step = 0
        self._seen: tuple[float, Gradients] | None = None
        self._ahead: dict[str, Any] = {}
        self._fields: dict[str, Any] = {}
        self._probe: StepProbe | None = None
        self._waiting: NextBatch | None = None
        self._stepped: set[int] = set()
        self._hooks = [
            hook
            for index, each in enumerate(self.optimizers)
            for hook in (
                each.register_step_pre_hook(lambda *_, index=index: self._before(index)),
                each.register_step_post_hook(lambda *_, index=index: self._after(index)),
            )
        ]

    @property
    def due(self) -> bool:
        """Whether the coming update takes part in a measurement."""
        return self.step % self.every == 0 or self._waiting is not None

    def see(self, loss: Tensor) -> None:
        """Take over the loss and the gradients of training: call it between backward and clipping.

        Saves the probe a forward and a backward pass. Does nothing when no probe is due. With a
        gradient scaler, or gradients averaged over processes, leave it out: the gradients that lie
        there are not those of the closure.
        """
        if not self.due:
            return
        value, present = float(loss.detach()), [p.grad for p in self.counted.parameters]
        if self._waiting is not None:  # at once, while the gradients lie there: no copy is needed
            self._ahead = self._begun(value) | self._next(value, present)
        if self.step % self.every == 0:
            self._seen = value, [None if g is None else g.detach().clone() for g in present]

    # -- around the step of the optimizer ------------------------------------------------------

    def _before(self, index: int) -> None:
        if is_trial_step():
            return  # `AdaptiveWarmup.calibrate` tries the first step out
        if self._stepped and index not in self._stepped:
            return  # a later optimizer of the same update
        self._stepped, self._fields, self._probe = set(), self._ahead, None
        if self.due:
            with undisturbed(self.model, self.counted.parameters):
                self._open()
        self._seen, self._ahead = None, {}

    def _open(self) -> None:
        if self.determinism is None:
            self.determinism = check_determinism(self.closure, self.counted.parameters, self.model)
            self._check_seen()
        loss, gradients = self._seen or own_gradient(self.closure, self.counted)
        self._fields = self._begun(loss) | self._next(loss, gradients) | self._ahead
        if self.step % self.every == 0:
            if self.hessian:
                seen = hessian_extremes([self.closure], self.counted.parameters)
                self._fields["H"] = seen.norm
            self._probe = StepProbe(self.counted, loss, gradients)

    def _begun(self, loss: float) -> dict[str, float]:
        lr = float(self.optimizers[0].param_groups[0]["lr"])
        return {"loss": loss, "gap": loss - self.f_star, "lr": lr}

    def _next(self, loss: float, gradients: Gradients) -> dict[str, float]:
        """Let a waiting step be judged by this batch, if there is one."""
        if self._waiting is None:
            return {}
        waiting, self._waiting = self._waiting, None
        with undisturbed(self.model, self.counted.parameters):
            return waiting.finish(self.closure, loss, gradients)

    def _check_seen(self) -> None:
        """The gradients that `see` took must be those of the closure, or nothing fits together."""
        if self._seen is None:
            return
        own = own_gradient(self.closure, self.counted)
        apart = compare(own, self._seen)
        if max(apart.loss, apart.gradient) > 100 * TOLERANCE:
            raise ValueError(
                f"see: expected the loss of the closure ({own[0]:.6g}) and its gradients, got a "
                f"loss of {self._seen[0]:.6g} and gradients {apart.gradient:.2g} of their norm "
                "apart; call it on the same batch, before clipping, with unscaled gradients, or "
                "leave it out"
            )

    def _after(self, index: int) -> None:
        if is_trial_step():
            return
        self._stepped.add(index)
        if len(self._stepped) < len(self.optimizers):
            return
        self._stepped = set()
        if self._probe is not None:
            with undisturbed(self.model, self.counted.parameters):
                measured, self._waiting = self._probe.finish(self.closure, keep=self.next_batch)
            self._fields |= measured
            self._probe = None
        self.latest = Point(self.step, **self._fields) if self._fields else None
        if self.latest is not None:
            self.trace.append(self.latest)
        self._fields = {}
        self.step += 1

    # -- keeping and leaving -------------------------------------------------------------------

    def facts(self) -> dict[str, Any]:
        """Return what was measured and how, as plain JSON values."""
        return {
            "norm": self.counted.name,
            "every": self.every,
            "f_star": self.f_star,
            "counted": self.counted.facts(),
            "determinism": None if self.determinism is None else self.determinism.to_dict(),
        }

    def state_dict(self) -> dict[str, Any]:
        """Return everything a resumed run needs: plain values, and tensors of a waiting probe.

        The tensors (`weights`, `gradients`) are there only with `next_batch`, between a probe and
        the batch after it.
        """
        waiting = self._waiting
        return {
            "step": self.step,
            "points": [point.to_dict() for point in self.trace],
            "determinism": None if self.determinism is None else self.determinism.to_dict(),
            "waiting": None if waiting is None else waiting.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a saved state; the probes go on where they would have."""
        self.step = state["step"]
        self.trace = Trace(Point.from_dict(values) for values in state["points"])
        saved, waiting = state["determinism"], state["waiting"]
        self.determinism = None if saved is None else Determinism(**saved)
        self._waiting = None if waiting is None else NextBatch.from_state(self.counted, waiting)

    def close(self) -> None:
        """Remove the hooks: from now on the optimizer steps as if there had been no observer."""
        for hook in self._hooks:
            hook.remove()
        self._probe = self._waiting = self._seen = None

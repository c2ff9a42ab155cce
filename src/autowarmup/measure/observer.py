"""Measure curvature along any training loop, every few steps.

    observer = CurvatureObserver(model, optimizer, lambda: loss_of(model, batch), every=10)
    ...the loop as it was...
    observer.trace.write("trace.jsonl")

The observer hooks `optimizer.step`. Training goes on as if it were not there, bit for bit: weights,
gradients, buffers and random numbers are the same with and without it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from autowarmup.calibrate import is_trial_step
from autowarmup.history import Point, Trace
from autowarmup.measure.blocks import count_parameters, same_parameters, unwrapped
from autowarmup.measure.determinism import Determinism, check_determinism
from autowarmup.measure.hessian import hessian_extremes
from autowarmup.measure.passes import undisturbed
from autowarmup.measure.streaming import Gradients, NextBatch, StepProbe, own_gradient
from autowarmup.measure.told import Told


class CurvatureObserver:
    """Measures the curvature along every `every`-th update, on the batch of that update.

    A probe costs two forward and backward passes, or one if the loop calls `see` between backward
    and clipping. It holds one copy of the weights and one of the gradients while it runs, none
    between probes. At the first probe the loss is checked to be deterministic (two more passes).
    Parameters that are added or frozen later are followed. Hooks on tensors and modules fire in the
    probe's passes too. Measure in float32: in bfloat16 the rounding of the gradients alone looks
    like curvature when steps are small.

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
        _check(every, f_star)
        self.model, self.closure = model, loss_closure
        self.optimizers = unwrapped(optimizer)
        self.counted = count_parameters(self.optimizers, norm=norm, count=count)
        self._words = {"norm": norm, "count": count}
        self.every, self.f_star = every, f_star
        self.next_batch, self.hessian = next_batch, hessian
        self.trace = Trace()
        self.latest: Point | None = None
        self.determinism: Determinism | None = None
        self.step = 0
        self._told: Told | None = None
        self._tellings = 0
        self._ahead: dict[str, float] = {}
        self._fields: dict[str, Any] = {}
        self._probe: StepProbe | None = None
        self._waiting: NextBatch | None = None
        self._stepped: set[int] = set()
        self._stepping = self._busy = self._closed = False
        self._hooks = [
            hook
            for index, each in enumerate(self.optimizers)
            for hook in (
                each.register_step_pre_hook(lambda *_, index=index: self._before(index)),
                each.register_step_post_hook(lambda *_, index=index: self._after(index)),
            )
        ]

    @property
    def probing(self) -> bool:
        """Whether the coming update is probed."""
        return self.step % self.every == 0

    def see(self, loss: Tensor) -> None:
        """Take over the loss and the gradients of training: call it between backward and clipping.

        Saves the probe a forward and a backward pass. Does nothing when no probe is due, or inside
        `optimizer.step(closure)`. With a gradient scaler, or gradients averaged over processes,
        leave it out: the gradients that lie there are not those of the closure. The first, second,
        fourth, eighth... time they are compared with the closure's.
        """
        wanted = self.probing or self._waiting is not None or self._ahead
        if self._closed or self._stepping or not wanted:
            return
        self._recount()
        value, present = float(loss.detach()), [p.grad for p in self.counted.parameters]
        if self._waiting is not None:  # at once, while the gradients lie there: no copy is needed
            with self._quiet():
                self._ahead = self._next(value, present)
        copies: Gradients | None = None
        if self.probing:
            copies = [None if g is None else g.detach().clone() for g in present]
        self._told = Told(value, copies)

    # -- around the step of the optimizer ------------------------------------------------------

    def _before(self, index: int) -> None:
        if is_trial_step():
            return  # `AdaptiveWarmup.calibrate` tries the first step out
        if self._stepped and index not in self._stepped:
            return  # a later optimizer of the same update
        if self._busy:
            raise ValueError(
                "the optimizer stepped inside a backward pass of the probe: expected an optimizer "
                "that steps after backward, got one that is called from a gradient hook"
            )
        self._stepped, self._fields, self._probe = set(), {}, None
        self._stepping = True
        if self.probing or self._waiting is not None:
            self._recount()
        told, ahead = self._told, self._ahead
        self._told, self._ahead = None, {}
        if self.probing or self._waiting is not None:
            with self._quiet():
                self._open(told, ahead)
        elif told is not None:
            self._fields = self._begun(told.loss) | ahead

    def _open(self, told: Told | None, ahead: dict[str, float]) -> None:
        if self.determinism is None:
            self.determinism = check_determinism(self.closure, self.counted.parameters, self.model)
        if told is None or told.gradients is None:
            loss, gradients = own_gradient(self.closure, self.counted)
        else:
            self._tellings += 1
            if self._tellings.bit_count() == 1:  # 1, 2, 4, 8, ...
                told.check(self.closure, self.counted)
            loss, gradients = told.loss, told.gradients
        self._fields = self._begun(loss) | ahead | self._next(loss, gradients)
        if self.probing:
            if self.hessian:
                self._fields["H"] = self._hessian(loss)
            self._probe = StepProbe(self.counted, loss, gradients)

    def _begun(self, loss: float) -> dict[str, float]:
        lr = float(self.optimizers[0].param_groups[0]["lr"])
        bound = {"f_star": self.f_star} if self.f_star else {}
        return {"loss": loss, "gap": loss - self.f_star, "lr": lr, **bound}

    def _next(self, loss: float, gradients: Gradients) -> dict[str, float]:
        """Let a waiting step be judged by this batch, if there is one."""
        if self._waiting is None:
            return {}
        waiting, self._waiting = self._waiting, None
        return waiting.finish(self.closure, loss, gradients)

    def _hessian(self, loss: float) -> float:
        """Return the operator norm of the Hessian; nan where it is not known to 1 %."""
        if not math.isfinite(loss):
            return math.nan
        try:
            seen = hessian_extremes([self.closure], self.counted.parameters)
        except ValueError:  # an infinite gradient; the run goes on, as it does without a probe
            return math.nan
        except RuntimeError as error:
            if "donated" not in str(error):
                raise
            raise ValueError(
                "hessian=True differentiates twice, which compiled models do not allow: expected a "
                "loss closure on the model as it was before torch.compile"
            ) from error
        return seen.norm if seen.converged or seen.residual <= 0.01 * seen.norm else math.nan

    def _after(self, index: int) -> None:
        if is_trial_step():
            return
        self._stepped.add(index)
        if len(self._stepped) < len(self.optimizers):
            return
        self._stepped, self._stepping = set(), False
        if self._probe is not None:
            with self._quiet():
                measured, self._waiting = self._probe.finish(self.closure, keep=self.next_batch)
            self._fields |= measured
            self._probe = None
        self.latest = Point(self.step, **self._fields) if self._fields else None
        if self.latest is not None:
            self.trace.append(self.latest)
        self._fields = {}
        self.step += 1

    @contextmanager
    def _quiet(self) -> Iterator[None]:
        self._busy = True
        try:
            with undisturbed(self.model, self.counted.parameters):
                yield
        finally:
            self._busy = False

    def _recount(self) -> None:
        """Follow parameters that were added, frozen or unfrozen since; an open probe is dropped."""
        if same_parameters(self.optimizers, self.counted.parameters):
            return
        self.counted = count_parameters(self.optimizers, **self._words)
        self._waiting, self._told, self._ahead = None, None, {}

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
        self._closed = True
        for hook in self._hooks:
            hook.remove()
        self._probe = self._waiting = self._told = None


def _check(every: int, f_star: float) -> None:
    if not isinstance(every, int) or every < 1:
        raise ValueError(f"every: expected a whole number of updates of at least 1, got {every!r}")
    if not isinstance(f_star, int | float) or not math.isfinite(f_star):
        raise ValueError(f"f_star: expected a finite loss, got {f_star!r}")

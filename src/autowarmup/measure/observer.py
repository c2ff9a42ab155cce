"""Measure curvature along any training loop, every few steps.

The observer hooks `optimizer.step`. Training goes on as if it were not there, bit for bit: weights,
gradients, buffers and random numbers are the same with and without it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.optim import Optimizer

from autowarmup.history import Point, Trace
from autowarmup.measure.blocks import choose_parameters, same_parameters
from autowarmup.measure.determinism import Determinism, check_determinism, check_seen
from autowarmup.measure.hessian import norm_on_batch
from autowarmup.measure.passes import Gradients, streamed_gradient, undisturbed
from autowarmup.measure.showing import draw_curvature, observed
from autowarmup.measure.step_probe import NextBatch, StepProbe
from autowarmup.measure.update_hooks import UpdateHooks
from autowarmup.pages import curvature_page
from autowarmup.wrappers import as_list

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Fields = dict[str, Any]  # of a `Point`


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
        norm: "auto" (read from the optimizer; l_inf for the Adam family), "spectral", "linf",
            "frobenius", "euclidean".
        every: updates between probes; the first update is probed.
        lower_bound: of the loss; `gap` of a point is its loss minus this.
        count: which parameters count, see `autowarmup.measure.blocks.choose_parameters`.
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
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer | Sequence[Optimizer],
        loss_closure: Callable[[], Tensor],
        *,
        norm: str = "auto",
        every: int = 10,
        lower_bound: float = 0.0,
        count: str = "auto",
        next_batch: bool = False,
        hessian: bool = False,
    ) -> None:
        if not isinstance(every, int) or every < 1:
            raise ValueError(
                f"every: expected a whole number of updates of at least 1, got {every!r}"
            )
        if not isinstance(lower_bound, int | float) or not math.isfinite(lower_bound):
            raise ValueError(f"lower_bound: expected a finite loss, got {lower_bound!r}")
        self.model, self.closure = model, loss_closure
        self.optimizers = as_list(optimizer)
        self._asked = {"norm": norm, "count": count}
        self.counted = choose_parameters(self.optimizers, **self._asked)
        self.every, self.lower_bound = every, lower_bound
        self.next_batch, self.hessian = next_batch, hessian
        self.trace = Trace()
        self.latest: Point | None = None
        self.determinism: Determinism | None = None
        self.step = 0
        self._seen: tuple[float, Gradients | None] | None = None  # taken over by `see`
        self._seen_next: Fields = {}  # what that batch said of the step before it
        self._times_seen = 0
        self._fields: Fields = {}
        self._probe: StepProbe | None = None
        self._waiting: NextBatch | None = None
        self._busy = self._closed = False
        self._hooks = UpdateHooks(self.optimizers, self._before, self._after)

    def __getstate__(self) -> dict[str, Any]:
        """Refuse a copy, which would watch nothing.

        Raises:
            ValueError: always.
        """
        raise ValueError(
            "a CurvatureObserver watches the optimizers that it was given: expected a new one for "
            "a copy of them, got a copy of the observer; its trace can be copied"
        )

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
        wanted = self.probing or self._waiting is not None or self._seen_next
        if self._closed or self._hooks.inside or not wanted:
            return
        self._recount()
        value, present = float(loss.detach()), [p.grad for p in self.counted.parameters]
        if self._waiting is not None:  # at once, while the gradients lie there: no copy is needed
            with self._undisturbed():
                self._seen_next = self._next(value, present)
        copies: Gradients | None = None
        if self.probing:
            copies = [None if g is None else g.detach().clone() for g in present]
        self._seen = value, copies

    def _before(self) -> None:
        if self._busy:
            raise ValueError(
                "the optimizer stepped inside a backward pass of the probe: expected an optimizer "
                "that steps after backward, got one that is called from a gradient hook"
            )
        self._fields, self._probe = {}, None
        if self.probing or self._waiting is not None:
            self._recount()
        (loss, gradients), known = self._seen or (None, None), self._seen_next
        self._seen, self._seen_next = None, {}
        if self.probing or self._waiting is not None:
            with self._undisturbed():
                self._open(loss, gradients, known)
        elif loss is not None:
            self._fields = self._begun(loss) | known

    def _open(self, loss: float | None, gradients: Gradients | None, known: Fields) -> None:
        """Begin the point of this update, and its probe where one is due."""
        parameters = self.counted.parameters
        if self.determinism is None:
            self.determinism = check_determinism(self.closure, parameters, self.model)
        if loss is None or gradients is None:
            loss, gradients = streamed_gradient(self.closure, parameters)
        else:
            self._times_seen += 1
            if self._times_seen.bit_count() == 1:  # 1, 2, 4, 8, ...
                check_seen((loss, gradients), self.closure, parameters)
        self._fields = self._begun(loss) | known | self._next(loss, gradients)
        if self.probing:
            if self.hessian:
                self._fields["H"] = norm_on_batch(self.closure, parameters, loss)
            self._probe = StepProbe(self.counted, loss, gradients)

    def _begun(self, loss: float) -> Fields:
        lr = float(self.optimizers[0].param_groups[0]["lr"])
        bound = {"lower_bound": self.lower_bound} if self.lower_bound else {}
        return {"loss": loss, "gap": loss - self.lower_bound, "lr": lr, **bound}

    def _next(self, loss: float, gradients: Gradients) -> Fields:
        """Let a waiting step be judged by this batch, if there is one."""
        if self._waiting is None:
            return {}
        waiting, self._waiting = self._waiting, None
        return waiting.finish(self.closure, loss, gradients)

    def _after(self) -> None:
        if self._probe is not None:
            with self._undisturbed():
                measured, self._waiting = self._probe.finish(self.closure, keep=self.next_batch)
            self._fields |= asdict(measured)
            del self._fields["slope"]  # a point keeps ratios and norms
            self._probe = None
        self.latest = Point(self.step, **self._fields) if self._fields else None
        if self.latest is not None:
            self.trace.append(self.latest)
        self._fields = {}
        self.step += 1

    @contextmanager
    def _undisturbed(self) -> Iterator[None]:
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
        self.counted = choose_parameters(self.optimizers, **self._asked)
        self._waiting, self._seen, self._seen_next = None, None, {}

    def facts(self) -> dict[str, Any]:
        """Return what was measured and how, as plain JSON values."""
        return {
            "norm": self.counted.name,
            "every": self.every,
            "lower_bound": self.lower_bound,
            "counted": self.counted.facts(),
            "determinism": None if self.determinism is None else asdict(self.determinism),
        }

    def report(self, out: str | Path | None = None) -> str:
        """Return in a few sentences what was measured, and what it says of the curvature.

        Args:
            out: a directory: also write the page OUT/measure.html, its data and figures; needs
                `autowarmup[report]`.

        Raises:
            ModuleNotFoundError: a package for pages is missing.
            ValueError: with `out`, nothing was measured yet, or OUT holds files of others.
        """
        said = observed(self.trace, self.step, self.counted.name, self.lower_bound)
        if out is None:
            return said
        optimizers = " and ".join(type(each).__name__ for each in self.optimizers)
        model = type(self.model).__name__
        page = curvature_page(
            out,
            self.trace,
            label=f"{model}, {optimizers}",
            about=f"{model} trained by {optimizers}, every {self.every}. update measured",
            config={"model": model, "optimizer": optimizers, "every": self.every},
            **{name: value for name, value in self.facts().items() if name != "every"},
        )
        return f"{said} {page}"

    def plot(self, axes: Axes | None = None) -> Axes:
        """Draw the measured K over the gap, and the fitted law; needs matplotlib.

        Args:
            axes: of matplotlib, to draw into; new ones if not given.

        Returns:
            The axes; `.figure.savefig("curvature.png")` writes them.

        Raises:
            ModuleNotFoundError: matplotlib is missing.
            ValueError: what is given is no axes.
        """
        return draw_curvature(self.trace, self.lower_bound, axes)

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs; tensors only while a probe waits for the next batch."""
        return {
            "step": self.step,
            "points": [point.to_dict() for point in self.trace],
            "determinism": self.facts()["determinism"],
            "waiting": None if self._waiting is None else self._waiting.state_dict(),
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
        self._hooks.remove()
        self._probe = self._waiting = self._seen = None

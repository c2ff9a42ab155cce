"""One probe inside a training loop, with one extra copy of weights and one of gradients at most.

before the step   the gradient on this batch is there; the weights are copied
after the step    one more forward and backward on the same batch; as backward hands over the
                  new gradients one by one, their differences go into the dual norm and are gone
next batch        (only if wanted) what that batch says of the step, see `NextBatch`
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from autowarmup.measure.blocks import CountedParameters, NormSum
from autowarmup.measure.passes import (
    Closure,
    Gradients,
    added_up,
    filled,
    inner,
    product,
    scalar_loss,
    stream_gradient,
)
from autowarmup.measure.probe import K_next_batch, K_secant, Probe


class StepProbe:
    """A step that is about to be taken; `gradients`, unclipped, are used up."""

    def __init__(self, counted: CountedParameters, loss: float, gradients: Gradients) -> None:
        self.counted, self.loss, self.gradients = counted, loss, gradients
        self.weights = [p.detach().clone() for p in counted.parameters]

    @torch.no_grad()
    def finish(self, closure: Closure, *, keep: bool) -> tuple[Probe, NextBatch | None]:
        """Measure the step that has been taken, on its own batch; with `keep` for the next one."""
        slope, slope_counted, step_norm, grad_dual = self._first_order(keep=keep)
        loss_after, difference = self._gradient_after(closure, keep=keep)
        losses = self.loss, loss_after
        probe = Probe.of(losses, slope, slope_counted, step_norm, grad_dual, difference)
        if not keep:
            return probe, None
        return probe, NextBatch(self.counted, self.weights, self.gradients, step_norm)

    def _first_order(self, *, keep: bool) -> tuple[float, float, float, float]:
        """Return <g, d> over all that moved and over what counts, ||d||, and ||g||_*."""
        counted = self.counted
        step, gradient = NormSum(counted, "norm"), NormSum(counted, "dual")
        counts, products = frozenset(counted.indices), ([], [])
        triples = zip(counted.parameters, self.weights, self.gradients, strict=True)
        for index, (p, x, g) in enumerate(triples):
            d = p.detach() - x if keep else difference_into(x, p.detach())
            step.add(index, d)
            gradient.add(index, filled(g, x))
            if g is not None:
                products[index in counts].append(product(g, d))
        rest, slope_counted = added_up(products[False]), added_up(products[True])
        return rest + slope_counted, slope_counted, step.total(), gradient.total()

    def _gradient_after(self, closure: Closure, *, keep: bool) -> tuple[float, float]:
        """Return the loss after the step and the dual norm of the change of the gradient."""
        difference = NormSum(self.counted, "dual")
        missing = set(range(len(self.gradients)))

        def take(index: int, after: Tensor) -> None:
            missing.discard(index)
            before, self.gradients[index] = self.gradients[index], after if keep else None
            difference.add(index, after if before is None else difference_into(before, after))

        loss = stream_gradient(closure, self.counted.parameters, take)
        for index in missing:  # the loss does not depend on it (any more)
            difference.add(index, filled(self.gradients[index], self.weights[index]))
            self.gradients[index] = None
        return loss, difference.total()


def difference_into(before: Tensor, after: Tensor) -> Tensor:
    """Return after - before in the memory of `before`: new pages cost ten times the arithmetic."""
    return before.neg_().add_(after)


class NextBatch:
    """A step that was taken and waits for the next batch, which it did not depend on.

    Holds the weights before the step and, on its batch, the gradients after it.
    """

    def __init__(
        self,
        counted: CountedParameters,
        weights: Sequence[Tensor],
        gradients: Gradients,
        step_norm: float,
    ) -> None:
        self.counted, self.weights = counted, list(weights)
        self.gradients, self.step_norm = gradients, step_norm

    @torch.no_grad()
    def finish(self, closure: Closure, loss: float, gradients: Gradients) -> dict[str, float]:
        """Return `K_next` and `K_noise` from the new batch, evaluated once more before the step."""
        triples = zip(gradients, self.counted.parameters, self.weights, strict=True)
        slope = inner((g, p.detach() - x) for g, p, x in triples if g is not None)
        noise = NormSum(self.counted, "dual")
        for i in self.counted.indices:
            new, old = filled(gradients[i], self.weights[i]), self.gradients[i]
            noise.add(i, new if old is None else new - old)
        self._swap()
        try:
            loss_before = float(scalar_loss(closure).detach())
        finally:
            self._swap()
        return {
            "K_next": K_next_batch(loss_before, loss, slope, self.step_norm),
            "K_noise": K_secant(noise.total(), self.step_norm),
        }

    def _swap(self) -> None:
        """Exchange the present weights with those before the step, bit for bit, one at a time."""
        for p, x in zip(self.counted.parameters, self.weights, strict=True):
            present = p.detach().clone()
            p.detach().copy_(x)
            x.copy_(present)

    def state_dict(self) -> dict[str, Any]:
        """Return copies of the tensors and the length of the step."""
        return {
            "weights": [x.clone() for x in self.weights],
            "gradients": [None if g is None else g.clone() for g in self.gradients],
            "step_norm": self.step_norm,
        }

    @classmethod
    @torch.no_grad()
    def from_state(cls, counted: CountedParameters, state: dict[str, Any]) -> NextBatch:
        """Build it again, on the devices of the parameters."""
        shapes = [None if x is None else tuple(x.shape) for x in state["weights"]]
        expected = [tuple(p.shape) for p in counted.parameters]
        if shapes != expected:
            raise ValueError(
                f"expected the state of a model with {len(expected)} parameters of these shapes, "
                f"got {len(shapes)} of other ones"
            )

        def placed(values: Sequence[Tensor | None]) -> Gradients:
            return [
                None if value is None else torch.empty_like(p).copy_(value).detach()
                for p, value in zip(counted.parameters, values, strict=True)
            ]

        weights = [x for x in placed(state["weights"]) if x is not None]
        return cls(counted, weights, placed(state["gradients"]), state["step_norm"])

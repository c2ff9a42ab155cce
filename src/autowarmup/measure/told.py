"""What a training loop told the observer of its own loss and gradients, and whether it is true."""

from __future__ import annotations

from dataclasses import dataclass

from autowarmup.measure.blocks import Counted
from autowarmup.measure.determinism import TOLERANCE, compare
from autowarmup.measure.passes import Closure
from autowarmup.measure.streaming import Gradients, own_gradient


@dataclass(frozen=True)
class Told:
    """The loss of the current batch and, where a probe is due, copies of its gradients."""

    loss: float
    gradients: Gradients | None

    def check(self, closure: Closure, counted: Counted) -> None:
        """Compare with the closure's own loss and gradients: one forward and backward pass.

        Raises:
            ValueError: they differ; another batch, clipped or scaled gradients, one micro-batch.
        """
        assert self.gradients is not None
        own = own_gradient(closure, counted)
        apart = compare(own, (self.loss, self.gradients))
        # The curvature along a step is a small difference of losses: 0.1 % is already too much.
        if apart.loss > 10 * TOLERANCE or apart.gradient > 100 * TOLERANCE:
            raise ValueError(
                f"see: expected the loss of the closure ({own[0]:.6g}) and its gradients, got a "
                f"loss of {self.loss:.6g} and gradients {apart.gradient:.2g} of their norm apart; "
                "call it on the same batch, before clipping, with unscaled gradients, or leave it "
                "out"
            )

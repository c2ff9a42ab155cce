"""The optimizers of the benchmark for stacked models: gradient in, update direction out.

The update of every optimizer here has the form

    x <- (1 - lr * weight_decay) x - lr * u(gradients so far),

in which the rate stands outside: u does not depend on it. So replicas with different rates share
one computation of u. Tests hold each of them to the optimizer of the same name that
`lab.train.optimizers` builds.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from autowarmup.norms.polar import newton_schulz

Stack = dict[str, Tensor]
BETA = {"muon": 0.999, "lion": 0.99, "signum": 0.9, "normsgd": 0.95, "adamw": 0.95, "sgd": 0.9}
"""The slowest memory of each optimizer of `lab.train.optimizers`: what `untuned` needs."""


class Direction:
    """One optimizer over a stack of replicas.

    Args:
        name: muon, lion, signum, normsgd, adamw or sgd.
        parameters: name -> tensor of shape (R, ...); one without a matrix in it is a vector. For
            Muon a kernel of a convolution, (outputs, inputs, k, k), is a matrix of `outputs` rows.
        weight_decay: as `lab.train.optimizers` would be given.
    """

    def __init__(self, name: str, parameters: Mapping[str, Tensor], *, weight_decay: float) -> None:
        if name not in BETA:
            raise ValueError(f"optimizer: expected one of {', '.join(BETA)}, got {name!r}")
        self.name, self.weight_decay = name, weight_decay
        self.first = {key: torch.zeros_like(p) for key, p in parameters.items()}
        self.second: Stack = {}
        self.step = 0
        self.spectral = {
            key
            for key, p in parameters.items()
            if p.ndim >= 3 and "embed" not in key and "head" not in key
        }
        if name == "adamw" or name == "muon":
            self.second = {
                key: torch.zeros_like(p)
                for key, p in parameters.items()
                if name == "adamw" or key not in self.spectral
            }

    def decay(self, key: str, x: Tensor) -> float:
        """Return the weight decay that lr multiplies for this parameter."""
        if self.name == "sgd":  # torch's SGD adds it to the gradient instead
            return 0.0
        return self.weight_decay if self.name == "muon" or x.ndim >= 3 else 0.0

    def __call__(self, gradients: Mapping[str, Tensor], parameters: Mapping[str, Tensor]) -> Stack:
        """Take in the gradients of one update and return u, parameter by parameter."""
        self.step += 1
        one = getattr(self, f"_{self.name}")
        return {key: one(key, g, parameters[key]) for key, g in gradients.items()}

    def _lion(self, key: str, g: Tensor, x: Tensor) -> Tensor:
        m = self.first[key]
        update = torch.lerp(g, m, 0.9).sign_()
        m.lerp_(g, 0.01)
        return update

    def _signum(self, key: str, g: Tensor, x: Tensor) -> Tensor:
        return self.first[key].mul_(0.9).add_(g).sign()

    def _normsgd(self, key: str, g: Tensor, x: Tensor) -> Tensor:
        m = self.first[key].lerp_(g, 0.05)
        norm = torch.linalg.vector_norm(m.flatten(1), dim=1)
        return m / per_replica(norm.clamp_min(torch.finfo(m.dtype).tiny ** 0.5), m)

    def _sgd(self, key: str, g: Tensor, x: Tensor) -> Tensor:
        if x.ndim >= 3:
            g = g + self.weight_decay * x
        return self.first[key].mul_(0.9 if self.step > 1 else 0.0).add_(g)

    def _adamw(self, key: str, g: Tensor, x: Tensor) -> Tensor:
        return self._adam(key, g, (0.9, 0.95))

    def _muon(self, key: str, g: Tensor, x: Tensor) -> Tensor:
        if key not in self.spectral:
            return self._adam(key, g, (0.8, 0.999))
        m = self.first[key].lerp_(g, 0.05)
        polar = newton_schulz(torch.lerp(g, m, 0.95).flatten(2), dtype=torch.float32)
        return (polar * (0.2 * max(polar.shape[-2:]) ** 0.5)).view_as(x)

    def _adam(self, key: str, g: Tensor, betas: tuple[float, float]) -> Tensor:
        b1, b2 = betas
        m, v = self.first[key], self.second[key]
        m.lerp_(g, 1 - b1)
        v.mul_(b2).addcmul_(g, g, value=1 - b2)
        denominator = (v / (1 - b2**self.step)).sqrt_().add_(1e-8)
        return (m / (1 - b1**self.step)) / denominator


def per_replica(values: Tensor, like: Tensor) -> Tensor:
    """Shape one value per replica so that it multiplies a stacked tensor."""
    return values.view(-1, *[1] * (like.ndim - 1))

"""The optimizers of arXiv 2602.05813 but Muon by name, each a setting of `LMOOptimizer`.

All compute in float32 at least and take float32, float64, bfloat16 and float16 weights in any
memory layout. With `masters` the weight after any number of steps is that of float32, rounded once
to its own type; without, every step is rounded once (docs/precision.md).
"""

from __future__ import annotations

import torch
from torch.optim.optimizer import ParamsT

from autowarmup.norms.optimizer import LMOOptimizer

Rate = float | torch.Tensor


class Lion(LMOOptimizer):
    """Lion: the sign of b1 m + (1 - b1) g, then m <- b2 m + (1 - b2) g (arXiv 2302.06675).

    Example:
        >>> x = torch.nn.Parameter(torch.tensor([1.0, 1.0]))
        >>> x.grad = torch.tensor([0.3, -7.0])
        >>> Lion([x], lr=0.25, weight_decay=0.0).step()
        >>> x.tolist()
        [0.75, 1.25]
    """

    def __init__(
        self,
        params: ParamsT,
        lr: Rate = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.1,
        masters: bool = True,
    ) -> None:
        super().__init__(
            params,
            lr,
            norm="linf",
            momentum_style="lion",
            betas=betas,
            weight_decay=weight_decay,
            masters=masters,
        )


class Signum(LMOOptimizer):
    """Signum: the sign of the momentum m <- b m + g (arXiv 1802.04434).

    Example:
        >>> x = torch.nn.Parameter(torch.tensor([1.0, 1.0]))
        >>> x.grad = torch.tensor([0.3, -7.0])
        >>> Signum([x], lr=0.25, weight_decay=0.0).step()
        >>> x.tolist()
        [0.75, 1.25]
    """

    def __init__(
        self,
        params: ParamsT,
        lr: Rate = 1e-4,
        momentum: float = 0.9,
        weight_decay: float = 0.1,
        masters: bool = True,
    ) -> None:
        super().__init__(
            params,
            lr,
            norm="linf",
            momentum=momentum,
            momentum_style="heavy_ball",
            weight_decay=weight_decay,
            masters=masters,
        )


class SignSGD(LMOOptimizer):
    """SignSGD: the sign of the gradient, without momentum (arXiv 1802.04434)."""

    def __init__(
        self,
        params: ParamsT,
        lr: Rate = 1e-4,
        weight_decay: float = 0.1,
        masters: bool = True,
    ) -> None:
        super().__init__(
            params,
            lr,
            norm="linf",
            momentum_style="none",
            weight_decay=weight_decay,
            masters=masters,
        )


class NormalizedSGD(LMOOptimizer):
    """Normalised SGD: m / ||m|| per parameter with m <- b m + (1 - b) g (arXiv 2002.03305).

    A parameter moves by lr in Euclidean length, however large its gradient is.

    Example:
        >>> x = torch.nn.Parameter(torch.tensor([1.0, 1.0]))
        >>> x.grad = torch.tensor([3.0, 4.0])
        >>> NormalizedSGD([x], lr=0.25, weight_decay=0.0).step()
        >>> [round(value, 6) for value in x.tolist()]
        [0.85, 0.8]
    """

    def __init__(
        self,
        params: ParamsT,
        lr: Rate = 1e-2,
        momentum: float = 0.95,
        weight_decay: float = 0.1,
        masters: bool = True,
    ) -> None:
        super().__init__(
            params,
            lr,
            norm="frobenius",
            momentum=momentum,
            momentum_style="ema",
            weight_decay=weight_decay,
            masters=masters,
        )

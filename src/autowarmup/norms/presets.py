"""The optimizers of arXiv 2602.05813 by name, each a setting of `LMOOptimizer`."""

from __future__ import annotations

import torch
from torch.optim.optimizer import ParamsT

from autowarmup.norms.groups import ModelOrParameters, assign
from autowarmup.norms.optimizer import LMOOptimizer

Rate = float | torch.Tensor


class Muon(LMOOptimizer):
    """Muon for the hidden matrices, AdamW for the rest, in one optimizer.

    The hybrid of the paper's experiments: with the default scale the update of an m x n matrix is
    multiplied by 0.2 sqrt(max(m, n)), which gives it the size of an AdamW update, so that both
    parts share one lr and one weight decay (arXiv 2502.16982, section 2.2).

    Args:
        model_or_named_parameters: a module, or (name, parameter) pairs; see `groups.assign`.
        lr: peak rate of the matrices; a float or a 1-element tensor.
        adamw_lr: peak rate of the rest; `lr` if not given.
        weight_decay: decoupled, for both parts.
        momentum: of the matrices' gradient average.
        nesterov: look ahead by one gradient, as torch.optim.Muon does.
        adamw_betas: of the AdamW part.
        adamw_eps: of the AdamW part.
        scale: "match_rms_adamw", "original" (sqrt(max(1, m / n))) or "none".
        method: "newton_schulz" or "exact" (SVD, slow).
        ns_steps: iterations of Newton-Schulz.
        masters: float32 state for 16-bit weights; see `LMOOptimizer`.

    Raises:
        ValueError: as `LMOOptimizer` and `groups.assign`.

    Example:
        >>> model = torch.nn.ModuleDict(
        ...     {"embed": torch.nn.Embedding(9, 4), "mix": torch.nn.Linear(4, 4)}
        ... )
        >>> [(g["norm"], g["param_names"]) for g in Muon(model, lr=1e-3).param_groups]
        [('spectral', ['mix.weight']), ('adamw', ['embed.weight', 'mix.bias'])]
    """

    def __init__(
        self,
        model_or_named_parameters: ModelOrParameters,
        lr: Rate = 1e-3,
        *,
        adamw_lr: Rate | None = None,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        adamw_betas: tuple[float, float] = (0.8, 0.999),
        adamw_eps: float = 1e-8,
        scale: str = "match_rms_adamw",
        method: str = "newton_schulz",
        ns_steps: int = 5,
        masters: bool = True,
    ) -> None:
        if adamw_lr is None:
            # Each group owns its rate: a scheduler would write into a shared tensor twice.
            adamw_lr = lr.clone() if isinstance(lr, torch.Tensor) else lr
        rates = {"spectral": lr, "adamw": adamw_lr}
        groups = assign(model_or_named_parameters)
        super().__init__(
            [{"params": groups[n], "norm": n, "lr": rates[n]} for n in rates if groups[n]],
            lr,
            momentum=momentum,
            momentum_style="nesterov" if nesterov else "ema",
            betas=adamw_betas,
            eps=adamw_eps,
            weight_decay=weight_decay,
            scale=scale,
            method=method,
            ns_steps=ns_steps,
            masters=masters,
        )


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

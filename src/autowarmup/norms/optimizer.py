"""One optimizer for all norms: momentum -> lmo -> decoupled weight decay -> move.

With gradient g, momentum m, rate lr and the norm of the group (arXiv 2602.05813):

    m, d <- momentum(m, g);   u = lmo(d);   x <- (1 - lr * weight_decay) x - lr * scale * u

Groups with norm "adamw" take the AdamW step of torch instead, so that a hybrid (hidden matrices
spectral, the rest AdamW) is one optimizer with one `state_dict` and one list of groups.
Parameters may be sharded over processes (FSDP2): see `autowarmup.norms.sharded`.
"""

# pyright: reportPrivateImportUsage=false
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from autowarmup.norms.moves import adamw_step, move
from autowarmup.norms.named import NORMS
from autowarmup.norms.norm import Norm
from autowarmup.norms.rows import Row, is_short, own_memory, row_of
from autowarmup.norms.settings import check_parameters, check_settings
from autowarmup.norms.spectral import Spectral


class LMOOptimizer(Optimizer):
    """Moves each block by the steepest step in the unit ball of its group's norm.

    Every argument but `params` is a default that a parameter group may override.

    Args:
        params: parameters, (name, parameter) pairs, or groups of either.
        lr: peak step length in units of the norm (times `scale`); a float or a 1-element tensor.
        norm: "spectral" (matrices), "linf", "frobenius", "adamw", or a `Norm` of your
            own (docs/add-a-norm.md); groups and saved states hold its name.
        momentum: the factor b of the styles below.
        momentum_style: "none" (d = g), "heavy_ball" (m <- b m + g, d = m), "ema" (m <- b m
            + (1 - b) g, d = m), "nesterov" (ema, then d = b m + (1 - b) g, as torch.optim.Muon),
            "lion" (d = b1 m + (1 - b1) g, then m <- b2 m + (1 - b2) g).
        betas: (b1, b2) of "lion" and of AdamW.
        eps: the epsilon of AdamW.
        weight_decay: decoupled, multiplied by lr.
        scale: factor on a spectral update of shape (m, n): "none", "match_rms_adamw"
            (0.2 sqrt(max(m, n)), arXiv 2502.16982), "original" (sqrt(max(1, m / n))).
        method: how the lmo of norm "spectral" is computed: "newton_schulz", "three_steps" (as
            near to the polar factor in less time), "polar_express" (its coefficients halve the
            distance) or "exact" (SVD, slow).
        ns_steps: iterations of "newton_schulz" and "polar_express".
        flatten: under norm "spectral", take kernels of shape (n, ...) as matrices (n, -1).
        masters: for bfloat16 and float16 weights, keep the momentum and what rounding takes from
            the weight in float32, so that a step is that of float32 (docs/precision.md). False
            stores everything in the weight's type: 6 bytes less per entry (AdamW: 8), and what is
            below half of the weight's last bit is lost.

    Raises:
        ValueError: an argument out of range, two norms of one name, a parameter that is not 2-D
            under a norm of matrices, a complex or expanded parameter or (in `step`) a sparse
            gradient.

    Example:
        >>> x = torch.nn.Parameter(torch.tensor([1.0, 1.0]))
        >>> optimizer = LMOOptimizer([x], lr=0.25, norm="frobenius", momentum_style="none")
        >>> x.grad = torch.tensor([3.0, 4.0])
        >>> optimizer.step()
        >>> [round(value, 6) for value in x.tolist()]
        [0.85, 0.8]
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        *,
        norm: str | Norm = "linf",
        momentum: float = 0.95,
        momentum_style: str = "ema",
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        scale: str = "none",
        method: str = "newton_schulz",
        ns_steps: int = 5,
        flatten: bool = False,
        masters: bool = True,
    ) -> None:
        self.norms: dict[str, Norm] = {}
        defaults = {
            "lr": lr, "norm": self._name(norm), "momentum": momentum,
            "momentum_style": momentum_style, "betas": betas, "eps": eps,
            "weight_decay": weight_decay, "scale": scale, "method": method, "ns_steps": ns_steps,
            "flatten": flatten, "masters": masters,
        }  # fmt: skip
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group; its values are checked together with the defaults they fall back to."""
        group = {**self.defaults, **param_group}
        group["norm"] = self._name(group["norm"])
        check_settings(group, [*NORMS, *self.norms, "adamw"])
        super().add_param_group(group)
        try:
            check_parameters(group, self.norm_of(group))
        except ValueError:
            self.param_groups.pop()
            raise

    def norm_of(self, group: Mapping[str, Any]) -> Norm | None:
        """Return the norm that constrains a parameter group, `None` for an AdamW group."""
        name = group["norm"]
        if name == "adamw":
            return None
        if name == "spectral" and name not in self.norms:
            return Spectral(group["method"], steps=group["ns_steps"], flatten=group["flatten"])
        if name not in self.norms and name not in NORMS:
            raise ValueError(f"norm: the saved state needs an optimizer with the norm {name!r}")
        return self.norms.get(name) or NORMS[name]()

    def _name(self, norm: str | Norm) -> str:
        """Return what groups call a norm, and remember the norm itself."""
        if not isinstance(norm, Norm):
            return norm
        kind = {**NORMS, "adamw": None}.get(norm.name, type(norm))  # names of ours are taken
        if kind is not type(norm) or self.norms.setdefault(norm.name, norm) != norm:
            raise ValueError(f"norm: expected one norm of the name {norm.name!r}, got two")
        return norm.name

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "norms": self.norms}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:  # those of an earlier version lack what came since
            for name, value in self.defaults.items():
                group.setdefault(name, value)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient; return the closure's loss if given."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group, norm, rows in self._work(compiled=torch.compiler.is_compiling()):
            if norm is None:
                adamw_step(group, rows)
            else:
                move(group, norm, rows)
        return loss

    @torch._disable_dynamo  # states begin here: a compiled step would be compiled once for each
    def _work(self, *, compiled: bool) -> list[tuple[dict[str, Any], Norm | None, list[Row]]]:
        """Return what there is to do: every group with the rows of its gradients.

        A compiled step would be compiled again for every new number: it gets a rate as a tensor.
        """
        work = []
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if params:
                rows = [row_of(p, self.state[p], group) for p in params]
                if compiled and not isinstance(group["lr"], Tensor):
                    rate = torch.full((), group["lr"], device=rows[0].weight.device)
                    group = {**group, "lr": rate}
                work.append((group, self.norm_of(group), rows))
        return work

    @torch._disable_dynamo
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a state; what is float32 beside a 16-bit weight stays so, in memory of its own."""
        final: list[dict[str, Any]] = []
        hook = self.register_load_state_dict_pre_hook(lambda _, loaded: final.append(loaded))
        try:
            super().load_state_dict(state_dict)
        finally:
            hook.remove()
        saved = final[-1]
        keys = [key for group in saved["param_groups"] for key in group["params"]]
        params = [p for group in self.param_groups for p in group["params"]]
        for key, p in zip(keys, params, strict=True):
            for name, value in saved["state"].get(key, {}).items():
                if isinstance(value, Tensor) and value.shape == p.shape:
                    dtype = value.dtype if is_short(p) and not is_short(value) else p.dtype
                    self.state[p][name] = own_memory(value.to(device=p.device, dtype=dtype))

"""One optimizer for all norms: momentum -> lmo -> decoupled weight decay -> move.

With gradient g, momentum m, rate lr and the norm of the group (arXiv 2602.05813):

    m, d <- momentum(m, g);   u = lmo(d);   x <- (1 - lr * weight_decay) x - lr * scale * u

Groups with norm "adamw" take the AdamW step of torch instead, so that a hybrid (hidden matrices
spectral, the rest AdamW) is one optimizer with one `state_dict` and one list of groups.
Parameters may be sharded over processes (FSDP2): see `autowarmup.norms.sharded`.
"""

# torch has its grouped ("foreach") operations under private names only.
# pyright: reportPrivateImportUsage=false
from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.adamw import adamw
from torch.optim.optimizer import ParamsT

from autowarmup.norms.named import NORMS
from autowarmup.norms.norm import Norm
from autowarmup.norms.settings import check_parameters, check_settings
from autowarmup.norms.sharded import shard_of, shards_of
from autowarmup.norms.spectral import Spectral

# Updates entry by entry on a CPU go through pieces of this many entries: those of parameter,
# gradient, momentum and update (4 x 512 KiB in float32) then stay in the second-level cache between
# the five or six operations, instead of passing through main memory each time.
_PIECE = 131072

Batch = tuple[list[Tensor], list[Tensor], list[Tensor]]


class LMOOptimizer(Optimizer):
    """Moves each block by the steepest step in the unit ball of its group's norm.

    Every argument but `params` is a default that a parameter group may override.

    Args:
        params: parameters, (name, parameter) pairs, or groups of either.
        lr: peak step length in units of the norm (times `scale`); a float or a 1-element tensor.
        norm: "spectral" (2-D parameters only), "linf", "frobenius", "adamw", or a `Norm` of your
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
        method: how the lmo of norm "spectral" is computed: "newton_schulz" or "exact" (SVD, slow).
        ns_steps: iterations of Newton-Schulz.

    Raises:
        ValueError: an argument out of range, two norms of one name, a parameter that is not 2-D
            under a norm of matrices, a complex parameter or (in `step`) a sparse gradient.

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
    ) -> None:
        self.norms: dict[str, Norm] = {}
        defaults = {
            "lr": lr, "norm": self._name(norm), "momentum": momentum,
            "momentum_style": momentum_style, "betas": betas, "eps": eps,
            "weight_decay": weight_decay, "scale": scale, "method": method, "ns_steps": ns_steps,
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
            return Spectral(group["method"], steps=group["ns_steps"])
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

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient; return the closure's loss if given."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            norm, params = self.norm_of(group), [p for p in group["params"] if p.grad is not None]
            if params and norm is None:
                self._adamw(group, params)
            elif params and norm is not None:
                self._move(group, norm, params)
        return loss

    def _move(self, group: dict[str, Any], norm: Norm, params: list[Tensor]) -> None:
        lr = float(group["lr"])
        for p in params:
            if not self.state[p] and group["momentum_style"] != "none":
                self.state[p]["momentum_buffer"] = torch.zeros_like(p)
        grads = _gradients(params)
        # Without momentum the third column is never touched: the gradients fill it.
        pairs = zip(params, grads, strict=True)
        buffers = [self.state[p].get("momentum_buffer", g) for p, g in pairs]
        for ps, gs, ms in _batches(norm, params, grads, buffers):
            direction = _direction(group, shards_of(gs), shards_of(ms))
            updates = norm.lmo_of_shards(direction, ps)
            factor = 1.0 if group["scale"] == "none" else _scale(group["scale"], ps[0])
            mine = shards_of(ps)
            if group["weight_decay"]:
                torch._foreach_mul_(mine, 1.0 - lr * group["weight_decay"])
            torch._foreach_add_(mine, updates, alpha=-lr * factor)

    def _adamw(self, group: dict[str, Any], params: list[Tensor]) -> None:
        for p in params:
            if not self.state[p]:
                self.state[p]["step"] = torch.zeros((), dtype=torch.float32)
                self.state[p]["exp_avg"] = torch.zeros_like(p)
                self.state[p]["exp_avg_sq"] = torch.zeros_like(p)
        states = [self.state[p] for p in params]
        adamw(
            shards_of(params),
            shards_of(_gradients(params)),
            shards_of([s["exp_avg"] for s in states]),
            shards_of([s["exp_avg_sq"] for s in states]),
            [],
            [s["step"] for s in states],
            # One pass over memory on a CPU; elsewhere torch chooses.
            fused=True if all(p.device.type == "cpu" for p in params) else None,
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=float(group["lr"]),
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )


def _gradients(params: list[Tensor]) -> list[Tensor]:
    grads = [p.grad for p in params if p.grad is not None]
    for g in grads:
        if g.is_sparse:
            raise ValueError(
                f"expected dense gradients, got a sparse one of shape {tuple(g.shape)}"
            )
    return grads


def _direction(group: dict[str, Any], grads: list[Tensor], ms: list[Tensor]) -> list[Tensor]:
    """Update the momentum in place and return what the lmo sees (never changed by it)."""
    style, b = group["momentum_style"], group["momentum"]
    if style == "none":
        return grads
    if style == "lion":
        b1, b2 = group["betas"]
        direction = list(torch._foreach_mul(ms, b1))
        torch._foreach_add_(direction, grads, alpha=1.0 - b1)
        torch._foreach_mul_(ms, b2)
        torch._foreach_add_(ms, grads, alpha=1.0 - b2)
        return direction
    if style == "heavy_ball":
        torch._foreach_mul_(ms, b)
        torch._foreach_add_(ms, grads)
        return ms
    torch._foreach_lerp_(ms, grads, 1.0 - b)
    return ms if style == "ema" else list(torch._foreach_lerp(grads, ms, b))


def _batches(
    norm: Norm, params: list[Tensor], grads: list[Tensor], buffers: list[Tensor]
) -> Iterator[Batch]:
    """Yield what is worth doing together: cache-sized pieces where entries are on their own."""
    columns = (params, grads, buffers)
    if norm.entrywise and all(p.device.type == "cpu" for p in params):
        for row in zip(*columns, strict=True):
            yield from _pieces(row)
        return
    for indices in norm.batches(params):
        ps, gs, ms = ([column[index] for index in indices] for column in columns)
        yield ps, gs, ms


def _pieces(whole: tuple[Tensor, Tensor, Tensor]) -> Iterable[Batch]:
    p, g, m = row = (shard_of(whole[0]), shard_of(whole[1]), shard_of(whole[2]))
    if p.numel() <= _PIECE or not all(tensor.is_contiguous() for tensor in row):
        return [([p], [g], [m])]
    # `detach` makes the pieces plain views, so that writing to them is writing to the parameter.
    pieces = (tensor.detach().view(-1).split(_PIECE) for tensor in row)
    return [([a], [b], [c]) for a, b, c in zip(*pieces, strict=True)]


def _scale(kind: str, p: Tensor) -> float:
    m, n = p.shape
    return 0.2 * math.sqrt(max(m, n)) if kind == "match_rms_adamw" else math.sqrt(max(1.0, m / n))

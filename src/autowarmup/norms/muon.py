"""Muon: hidden matrices in the spectral norm, AdamW for the rest, in one optimizer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from autowarmup.norms.groups import (
    ModelOrParameters,
    describe,
    members_of,
    named_members,
    parameter_groups,
    roles_of,
)
from autowarmup.norms.norm import Norm
from autowarmup.norms.optimizer import LMOOptimizer
from autowarmup.norms.roles import Chosen
from autowarmup.norms.spectral import Spectral

Rate = float | Tensor
Groups = Iterable[Mapping[str, Any]]


class Muon(LMOOptimizer):
    """Muon for the hidden matrices, AdamW for the rest, in one optimizer.

    The hybrid of the paper's experiments: with the default scale the update of an m x n matrix is
    multiplied by 0.2 sqrt(max(m, n)), which gives it the size of an AdamW update, so that both
    parts share one lr and one weight decay (arXiv 2502.16982, section 2.2). `print(optimizer)`
    shows what went where and why.

    Args:
        params: a module; (name, parameter) pairs, which tell less; or groups like torch's, dicts
            with "params" (a module, pairs or parameters) and settings of their own, each of them
            split as a model is.
        lr: peak rate of the matrices; a float or a 1-element tensor.
        adamw_lr: peak rate of the rest; `lr` if not given.
        weight_decay: decoupled, for both parts.
        momentum: of the matrices' gradient average.
        nesterov: look ahead by one gradient, as torch.optim.Muon does.
        adamw_betas: of the AdamW part.
        adamw_eps: of the AdamW part.
        scale: "match_rms_adamw", "original" (sqrt(max(1, m / n))) or "none".
        method: "newton_schulz", "three_steps" (the fastest), "polar_express" (nearer) or "exact"
            (SVD, slow); see `LMOOptimizer`.
        ns_steps: iterations of "newton_schulz" and "polar_express".
        masters: float32 state for 16-bit weights; see `LMOOptimizer`.
        heads: what the output is: names (of parameters or modules), modules or parameters. Looked
            for if not given, see `assign`; an empty list means none.
        embeddings: the same for tables that are no `nn.Embedding`.
        groups: beside the automatic groups, like torch's: dicts with "params" (names, modules or
            parameters of the model) and settings that differ: "lr", "weight_decay", "norm".
        decay_vectors: whether parameters with one dimension or none decay too.
        flatten: give hidden kernels of convolutions to the matrices, as (n, -1).
        orthogonalize: what computes the polar factor of a stack of matrices (..., m, n) instead of
            `method`: a function of yours, or `kernels()` where the package of that is installed.

    Raises:
        ValueError: as `LMOOptimizer` and `assign`; a parameter in two groups.

    Example:
        >>> model = torch.nn.ModuleDict(
        ...     {"embed": torch.nn.Embedding(9, 4), "mix": torch.nn.Linear(4, 4)}
        ... )
        >>> [(g["norm"], g["param_names"]) for g in Muon(model, lr=1e-3).param_groups]
        [('spectral', ['mix.weight']), ('adamw', ['embed.weight', 'mix.bias'])]
        >>> slow = {"params": ["embed"], "lr": 1e-4}
        >>> [g["lr"] for g in Muon(model, lr=1e-3, groups=[slow]).param_groups]
        [0.001, 0.001, 0.0001]
        >>> [g["weight_decay"] for g in Muon(model, decay_vectors=False).param_groups]
        [0.1, 0.1, 0.0]
    """

    def __init__(
        self,
        params: ModelOrParameters | Groups,
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
        heads: Chosen | None = None,
        embeddings: Chosen | None = None,
        groups: Groups = (),
        decay_vectors: bool = True,
        flatten: bool = False,
        orthogonalize: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        model, groups = members_of(params, groups)
        roles = roles_of(model, heads, embeddings)
        self.placed = {role.name: describe(role) for role in roles}
        self.by_type = isinstance(model, torch.nn.Module)
        self._decays_vectors, self._flattens = decay_vectors, flatten
        norm: Norm | str = "spectral"
        if orthogonalize is not None:
            norm = Spectral(method, steps=ns_steps, flatten=flatten, orthogonalize=orthogonalize)
        rates = {"spectral": lr, "adamw": lr if adamw_lr is None else adamw_lr}
        super().__init__(
            parameter_groups(roles, groups, rates, decay_vectors=decay_vectors, flatten=flatten),
            lr,
            norm=norm,
            momentum=momentum,
            momentum_style="nesterov" if nesterov else "ema",
            betas=adamw_betas,
            eps=adamw_eps,
            weight_decay=weight_decay,
            scale=scale,
            method=method,
            ns_steps=ns_steps,
            flatten=flatten,
            masters=masters,
        )

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group like torch's; without a "norm" it is split as a model is, into up to three.

        Parameters without names are called "added.0.0", "added.0.1", ...
        """
        if "norm" in param_group:
            super().add_param_group(param_group)
            return
        known = sum(name.startswith("added.") for name in self.placed)
        members = named_members(param_group, f"added.{known}")
        roles, groups = roles_of(members), [{**param_group, "params": [p for _, p in members]}]
        rates = {"spectral": self.defaults["lr"], "adamw": self.defaults["lr"]}
        for group in parameter_groups(
            roles, groups, rates, decay_vectors=self._decays_vectors, flatten=self._flattens
        ):
            super().add_param_group(group)
        self.placed |= {role.name: describe(role) for role in roles}

    def __getstate__(self) -> dict[str, Any]:
        kept = ("placed", "by_type", "_decays_vectors", "_flattens")
        return {**super().__getstate__(), **{name: getattr(self, name) for name in kept}}

    def __repr__(self) -> str:
        lines = [super().__repr__(), "What went where, by group:"]
        for index, group in enumerate(self.param_groups):
            places: dict[str, list[str]] = {}
            for name in group.get("param_names", ()):
                places.setdefault(self.placed.get(name, "as told"), []).append(name)
            for place, names in places.items():
                shown = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
                lines.append(f"  {index} {group['norm']}: {len(names)} {place}: {shown}")
        if not self.by_type:
            lines.append(
                "  Told by names and shapes, which do not tell an embedding from a layer, nor the "
                "head of a model of matrices alone: give the module, or heads= and embeddings=."
            )
        return "\n".join(lines)

"""Which parameter of a model goes to which norm.

The default is the split that the paper's Muon uses (arXiv 2602.05813, experiments): matrices inside
the network are spectral; embeddings, the output head, tied weights and everything that is not a
matrix go to AdamW. `norms/roles.py` says how each is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from autowarmup.norms.role_table import ParameterRole
from autowarmup.norms.roles import Chosen, find_chosen, roles_by_name, roles_in_module

ModelOrParameters = nn.Module | Iterable[tuple[str, Tensor]]


def is_hidden_matrix(role: ParameterRole) -> bool:
    """Whether this is a 2-D parameter that is neither an embedding nor in the head."""
    return role.parameter.ndim == 2 and not role.embedding and not role.head


def is_hidden_matrix_or_kernel(role: ParameterRole) -> bool:
    """Whether this is a hidden matrix, or a kernel that is one when flattened to (n, -1)."""
    return role.parameter.ndim >= 2 and not role.embedding and not role.head


def roles_of(
    model_or_named_parameters: ModelOrParameters,
    heads: Chosen | None = None,
    embeddings: Chosen | None = None,
) -> list[ParameterRole]:
    """Return the role of every parameter that is trained, a tied one once, in the model's order.

    Raises:
        ValueError: no parameters at all, two of one name, or heads and embeddings that are not
            among them.
    """
    find = roles_in_module if isinstance(model_or_named_parameters, nn.Module) else roles_by_name
    roles = find(model_or_named_parameters, heads, embeddings)  # pyright: ignore[reportArgumentType]
    trained = [role for role in roles if role.parameter.requires_grad]
    if not trained:
        raise ValueError("expected a model or named parameters to train, got none")
    return trained


def assign(
    model_or_named_parameters: ModelOrParameters,
    spectral: Callable[[ParameterRole], bool] = is_hidden_matrix,
    *,
    heads: Chosen | None = None,
    embeddings: Chosen | None = None,
) -> dict[str, list[tuple[str, Tensor]]]:
    """Return the (name, parameter) pairs for "spectral" and for "adamw", in the model's order.

    Frozen parameters (`requires_grad` false) are left out; a tied parameter counts once. Give the
    module where there is one: (name, parameter) pairs do not tell an embedding from a linear layer,
    so that names have to.

    Args:
        model_or_named_parameters: a module, or (name, parameter) pairs.
        spectral: whether a parameter goes to the spectral norm; it has to be 2-D.
        heads: names (of parameters or modules), modules or parameters that are the output; instead
            of looking for them.
        embeddings: the same for tables that are no `nn.Embedding`.

    Raises:
        ValueError: no parameters at all, two of one name, or heads and embeddings that are not
            among them.

    Example:
        >>> model = nn.Sequential()
        >>> model.add_module("embed", nn.Embedding(7, 4))
        >>> model.add_module("hidden", nn.Linear(4, 4))
        >>> model.add_module("out", nn.Linear(4, 7, bias=False))
        >>> groups = assign(model)
        >>> [name for name, _ in groups["spectral"]], [name for name, _ in groups["adamw"]]
        (['hidden.weight'], ['embed.weight', 'hidden.bias', 'out.weight'])
    """
    groups: dict[str, list[tuple[str, Tensor]]] = {"spectral": [], "adamw": []}
    for role in roles_of(model_or_named_parameters, heads, embeddings):
        groups["spectral" if spectral(role) else "adamw"].append((role.name, role.parameter))
    return groups


def members_of(
    params: ModelOrParameters | Iterable[Mapping[str, Any]],
    groups: Iterable[Mapping[str, Any]],
    prefix: str = "params",
) -> tuple[ModelOrParameters, list[dict[str, Any]]]:
    """Return what roles are read from, and the groups with the parameters that each holds.

    Args:
        params: a module, (name, parameter) pairs, or groups like torch's.
        groups: more groups, whose "params" are names, modules or parameters of `params`.
        prefix: what parameters without names are called, with a number.

    Raises:
        ValueError: a group without parameters, or with some that are not in the model; a parameter
            in two groups.
    """
    held: list[dict[str, Any]] = []
    source = params
    if not isinstance(params, nn.Module):
        items: list[Any] = list(params)
        source = items
        if items and all(isinstance(item, Mapping) for item in items):
            source = []
            for item in items:
                pairs = named_members(item, f"{prefix}.{len(source)}")
                source += pairs
                held.append({**item, "params": [p for _, p in pairs]})
    named = named_members({"params": source}, prefix)
    for group in groups:
        held.append({**group, "params": find_chosen("groups", _listed(group), named)})
    seen: set[int] = set()
    for group in held:
        for p in group["params"]:
            if id(p) in seen:
                shape = tuple(p.shape)
                raise ValueError(f"expected one group per parameter, got two for one of {shape}")
            seen.add(id(p))
    return source, held  # pyright: ignore[reportReturnType]


def parameter_groups(
    roles: Iterable[ParameterRole],
    groups: Iterable[dict[str, Any]],
    rates: Mapping[str, Any],
    *,
    decay_vectors: bool,
    flatten: bool,
) -> list[dict[str, Any]]:
    """Return torch's parameter groups: the automatic ones, then each given one, split alike.

    A group is split by norm, and off it go vectors that are not to decay. Every group owns its
    rate: a scheduler would write twice into a tensor that two share.
    """
    inside = is_hidden_matrix_or_kernel if flatten else is_hidden_matrix
    given = list(groups)
    owner = {id(p): index for index, group in enumerate(given) for p in group["params"]}
    made: dict[tuple[int, str, bool], dict[str, Any]] = {}
    for role in roles:
        index = owner.get(id(role.parameter), -1)
        settings = {k: v for k, v in (given[index] if index >= 0 else {}).items() if k != "params"}
        settings.pop("param_names", None)
        norm = settings.pop("norm", "spectral" if inside(role) else "adamw")
        spared = not decay_vectors and role.parameter.ndim < 2 and "weight_decay" not in settings
        key = (index, getattr(norm, "name", norm), spared)
        if key not in made:
            extra = {"weight_decay": 0.0} if spared else {}
            rate = settings.pop("lr", rates.get(key[1], rates["spectral"]))
            made[key] = {"params": [], "norm": norm, "lr": rate, **settings, **extra}
        made[key]["params"].append((role.name, role.parameter))
    order = ["spectral", *sorted({norm for _, norm, _ in made} - {"spectral"})]
    result = [made[key] for key in sorted(made, key=lambda k: (k[0], order.index(k[1]), k[2]))]
    rates_seen: set[int] = set()
    for group in result:
        if isinstance(group["lr"], Tensor) and id(group["lr"]) in rates_seen:
            group["lr"] = group["lr"].clone()
        rates_seen.add(id(group["lr"]))
    return result


def describe(role: ParameterRole) -> str:
    """Return what a parameter is and how that is known, in words."""
    if role.embedding or role.head:
        kind = "tied to the head" if role.embedding and role.head else "head"
        return f"{'embedding' if role.embedding and not role.head else kind} ({role.why})"
    return (
        ("scalar", "vector", "matrix")[role.parameter.ndim] if role.parameter.ndim < 3 else "kernel"
    )


def _listed(group: Mapping[str, Any]) -> list[Any]:
    if "params" not in group:
        raise ValueError("groups: expected dicts with 'params', got one without")
    params = group["params"]
    return [params] if isinstance(params, str | Tensor | nn.Module) else list(params)


def named_members(group: Mapping[str, Any], prefix: str) -> list[tuple[str, Tensor]]:
    """Return (name, parameter) pairs of what torch takes as the parameters of a group."""
    named: list[tuple[str, Tensor]] = []
    for index, item in enumerate(_listed(group)):
        if isinstance(item, nn.Module):
            named += item.named_parameters()
        elif isinstance(item, Tensor):
            named.append((f"{prefix}.{index}", item))
        else:
            named.append(item)
    return named

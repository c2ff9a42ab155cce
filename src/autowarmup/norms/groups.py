"""Which parameter of a model goes to which norm.

The default is the split that the paper's Muon uses (arXiv 2602.05813, experiments): matrices inside
the network are spectral; embeddings, the output head, tied weights and everything that is not a
matrix go to AdamW.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from torch import Tensor, nn

HEAD_NAMES = ("lm_head", "head", "output", "classifier")
_EMBEDDING_NAMES = ("wte", "wpe", "tok_emb", "pos_emb")

ModelOrParameters = nn.Module | Iterable[tuple[str, Tensor]]


@dataclass(frozen=True, slots=True, eq=False)
class ParameterRole:
    """A parameter and its place in the model.

    Attributes:
        name: its dotted name; the first one where a tied parameter has several.
        parameter: the parameter itself.
        embedding: whether it is the weight of an embedding (also where a head is tied to it).
        head: whether it belongs to the output head.
    """

    name: str
    parameter: Tensor
    embedding: bool
    head: bool


def is_hidden_matrix(role: ParameterRole) -> bool:
    """Whether this is a 2-D parameter that is neither an embedding nor in the head."""
    return role.parameter.ndim == 2 and not role.embedding and not role.head


def assign(
    model_or_named_parameters: ModelOrParameters,
    spectral: Callable[[ParameterRole], bool] = is_hidden_matrix,
) -> dict[str, list[tuple[str, Tensor]]]:
    """Return the (name, parameter) pairs for "spectral" and for "adamw", in the model's order.

    Frozen parameters (`requires_grad` false) are left out; a tied parameter counts once. With a
    module, embeddings are found by type and the head by name: the last `nn.Linear` outside numbered
    layers whose name ends in lm_head, head, output or classifier. With named parameters both are
    found by name.

    Args:
        model_or_named_parameters: a module, or (name, parameter) pairs.
        spectral: whether a parameter goes to the spectral norm; it has to be 2-D.

    Raises:
        ValueError: no parameters at all, or two of one name.

    Example:
        >>> model = nn.Sequential()
        >>> model.add_module("embed", nn.Embedding(7, 4))
        >>> model.add_module("hidden", nn.Linear(4, 4))
        >>> model.add_module("head", nn.Linear(4, 7, bias=False))
        >>> groups = assign(model)
        >>> [name for name, _ in groups["spectral"]], [name for name, _ in groups["adamw"]]
        (['hidden.weight'], ['embed.weight', 'hidden.bias', 'head.weight'])
    """
    if isinstance(model_or_named_parameters, nn.Module):
        roles = _roles_in_module(model_or_named_parameters)
    else:
        roles = _roles_by_name(model_or_named_parameters)
    groups: dict[str, list[tuple[str, Tensor]]] = {"spectral": [], "adamw": []}
    for role in roles:
        if role.parameter.requires_grad:
            groups["spectral" if spectral(role) else "adamw"].append((role.name, role.parameter))
    if not any(groups.values()):
        raise ValueError("expected a model or named parameters to train, got none")
    return groups


def _roles_in_module(model: nn.Module) -> list[ParameterRole]:
    embeddings: set[int] = set()
    head: nn.Linear | None = None
    for name, module in model.named_modules():
        if isinstance(module, nn.Embedding | nn.EmbeddingBag):
            embeddings.add(id(module.weight))
        elif isinstance(module, nn.Linear) and _is_head_name(name):
            head = module
    in_head = {id(p) for p in head.parameters()} if head is not None else set()
    return [
        ParameterRole(name, parameter, id(parameter) in embeddings, id(parameter) in in_head)
        for name, parameter in model.named_parameters()
    ]


def _roles_by_name(named_parameters: Iterable[tuple[str, Tensor]]) -> list[ParameterRole]:
    names: dict[str, Tensor] = {}
    roles: dict[int, ParameterRole] = {}
    for pair in named_parameters:
        if not (isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str)):
            got = type(pair).__name__
            raise ValueError(f"expected a module or (name, parameter) pairs, got {got} items")
        name, parameter = pair
        if names.setdefault(name, parameter) is not parameter:
            raise ValueError(f"expected one parameter per name, got two named {name!r}")
        tied = roles.get(id(parameter)) or ParameterRole(name, parameter, False, False)
        roles[id(parameter)] = ParameterRole(
            tied.name,
            parameter,
            tied.embedding or _is_embedding_name(name),
            tied.head or _is_head_name(name.rpartition(".")[0]),
        )
    return list(roles.values())


def _is_head_name(module_name: str) -> bool:
    *above, last = module_name.split(".")
    # A projection called "output" inside layers.3.attention is hidden, not the head.
    return last.endswith(HEAD_NAMES) and not any(part.isdigit() for part in above)


def _is_embedding_name(name: str) -> bool:
    parts = name.split(".")[:-1]
    return any("embed" in part or part in _EMBEDDING_NAMES for part in parts)

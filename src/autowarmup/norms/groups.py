"""Which parameter of a model goes to which norm.

The default is the split that the paper's Muon uses (arXiv 2602.05813, experiments): matrices inside
the network are spectral; embeddings, the output head, tied weights and everything that is not a
matrix go to AdamW.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
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


Belongs = Callable[[ParameterRole], bool]


def is_hidden_matrix(role: ParameterRole) -> bool:
    """Whether this is a 2-D parameter that is neither an embedding nor in the head."""
    return role.parameter.ndim == 2 and not role.embedding and not role.head


MUON_SPLIT: Mapping[str, Belongs] = {
    "spectral": is_hidden_matrix,
    "adamw": lambda role: not is_hidden_matrix(role),
}


def assign(
    model_or_named_parameters: ModelOrParameters, split: Mapping[str, Belongs] = MUON_SPLIT
) -> dict[str, list[tuple[str, Tensor]]]:
    """Return for each norm in `split` its (name, parameter) pairs, in the model's order.

    Frozen parameters (`requires_grad` false) are left out; a tied parameter counts once. With a
    module, embeddings are found by type and the head by name: the last `nn.Linear` outside numbered
    layers whose name ends in lm_head, head, output or classifier. With named parameters both are
    found by name.

    Args:
        model_or_named_parameters: a module, or (name, parameter) pairs.
        split: norm -> does this parameter belong to it? Each parameter needs exactly one yes.

    Raises:
        ValueError: a parameter that belongs to no norm or to several, or no parameters at all.

    Example:
        >>> model = nn.Sequential()
        >>> model.add_module("embed", nn.Embedding(7, 4))
        >>> model.add_module("hidden", nn.Linear(4, 4))
        >>> model.add_module("head", nn.Linear(4, 7, bias=False))
        >>> groups = assign(model)
        >>> [name for name, _ in groups["spectral"]], [name for name, _ in groups["adamw"]]
        (['hidden.weight'], ['embed.weight', 'hidden.bias', 'head.weight'])
    """
    of = _roles_in_module if isinstance(model_or_named_parameters, nn.Module) else _roles_by_name
    roles = [role for role in of(model_or_named_parameters) if role.parameter.requires_grad]
    if not roles:
        raise ValueError("expected a model or named parameters to train, got none")
    groups: dict[str, list[tuple[str, Tensor]]] = {norm: [] for norm in split}
    wrong = []
    for role in roles:
        norms = [norm for norm, belongs in split.items() if belongs(role)]
        if len(norms) == 1:
            groups[norms[0]].append((role.name, role.parameter))
        else:
            shape = tuple(role.parameter.shape)
            wrong.append(f"{' and '.join(norms) or 'none'} for {role.name} {shape}")
    if wrong:
        raise ValueError(f"expected exactly one norm per parameter, got {', '.join(wrong)}")
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

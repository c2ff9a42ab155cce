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
class Site:
    """One parameter and what its place in the model says about it.

    Attributes:
        name: its dotted name; the first one where a tied parameter has several.
        parameter: the parameter itself.
        embedding: it is the weight of an embedding (also where a head is tied to it).
        head: it belongs to the output head.
    """

    name: str
    parameter: Tensor
    embedding: bool
    head: bool


Rule = Callable[[Site], bool]


def is_hidden_matrix(site: Site) -> bool:
    """Say whether this is a 2-D parameter that is neither an embedding nor in the head."""
    return site.parameter.ndim == 2 and not site.embedding and not site.head


def is_other(site: Site) -> bool:
    """Say whether this is anything but a hidden matrix: 1-D, a convolution, embedding, head."""
    return not is_hidden_matrix(site)


HYBRID: Mapping[str, Rule] = {"spectral": is_hidden_matrix, "adamw": is_other}


def assign(
    model_or_named_parameters: ModelOrParameters, rules: Mapping[str, Rule] = HYBRID
) -> dict[str, list[tuple[str, Tensor]]]:
    """Return for each norm in `rules` its (name, parameter) pairs, in the model's order.

    Frozen parameters (`requires_grad` false) are left out; a tied parameter counts once. With a
    module, embeddings are found by type and the head by name: the last `nn.Linear` outside numbered
    layers whose name ends in lm_head, head, output or classifier. With named parameters both are
    found by name.

    Args:
        model_or_named_parameters: a module, or (name, parameter) pairs.
        rules: norm name -> does this parameter belong to it? Each parameter needs exactly one yes.

    Raises:
        ValueError: a parameter that no rule or several rules claim, or no parameters at all.

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
        sites = _sites_of_module(model_or_named_parameters)
    else:
        sites = _sites_of_names(model_or_named_parameters)
    sites = [site for site in sites if site.parameter.requires_grad]
    if not sites:
        raise ValueError("expected a model or named parameters to train, got none")
    groups: dict[str, list[tuple[str, Tensor]]] = {norm: [] for norm in rules}
    unclaimed, doubly = [], []
    for site in sites:
        claims = [norm for norm, rule in rules.items() if rule(site)]
        if len(claims) == 1:
            groups[claims[0]].append((site.name, site.parameter))
        elif claims:
            doubly.append(f"{site.name} ({', '.join(claims)})")
        else:
            unclaimed.append(f"{site.name} {tuple(site.parameter.shape)}")
    if unclaimed or doubly:
        got = [f"none for {', '.join(unclaimed)}"] if unclaimed else []
        got += [f"several for {', '.join(doubly)}"] if doubly else []
        raise ValueError(f"expected exactly one norm per parameter, got {'; '.join(got)}")
    return groups


def _sites_of_module(model: nn.Module) -> list[Site]:
    embeddings: set[int] = set()
    head: nn.Linear | None = None
    for name, module in model.named_modules():
        if isinstance(module, nn.Embedding | nn.EmbeddingBag):
            embeddings.add(id(module.weight))
        elif isinstance(module, nn.Linear) and _is_head_name(name):
            head = module
    in_head = {id(p) for p in head.parameters()} if head is not None else set()
    return [
        Site(name, parameter, id(parameter) in embeddings, id(parameter) in in_head)
        for name, parameter in model.named_parameters()
    ]


def _sites_of_names(named_parameters: Iterable[tuple[str, Tensor]]) -> list[Site]:
    names: dict[str, Tensor] = {}
    sites: dict[int, Site] = {}
    for pair in named_parameters:
        if not (isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str)):
            got = type(pair).__name__
            raise ValueError(f"expected a module or (name, parameter) pairs, got {got} items")
        name, parameter = pair
        if names.setdefault(name, parameter) is not parameter:
            raise ValueError(f"expected one parameter per name, got two named {name!r}")
        seen = sites.get(id(parameter))
        sites[id(parameter)] = Site(
            seen.name if seen else name,
            parameter,
            _is_embedding_name(name) or (seen is not None and seen.embedding),
            _is_head_name(name.rpartition(".")[0]) or (seen is not None and seen.head),
        )
    return list(sites.values())


def _is_head_name(module_name: str) -> bool:
    *above, last = module_name.split(".")
    # A projection called "output" inside layers.3.attention is hidden, not the head.
    return last.endswith(HEAD_NAMES) and not any(part.isdigit() for part in above)


def _is_embedding_name(name: str) -> bool:
    parts = name.split(".")[:-1]
    return any("embed" in part or part in _EMBEDDING_NAMES for part in parts)

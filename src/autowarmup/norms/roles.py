"""What each parameter of a model is: embedding, head, vector, kernel, or a matrix inside.

Told by what is known, in this order: what the caller says; the type of the module (an embedding,
also where a head is tied to it); what the model says of itself (`get_output_embeddings`, sizes in
its `config`); shapes (`norms/shapes.py`); and names where nothing else speaks. The same reading of
shapes and names serves for (name, parameter) pairs, which lack the types.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable

from torch import Tensor, nn

from autowarmup.norms.role_table import ParameterRole, RoleTable
from autowarmup.norms.shapes import find_heads, find_tables, is_table_name

_SIZES = ("vocab_size", "num_labels", "num_classes", "n_classes", "n_vocab")

Chosen = Iterable[str | nn.Module | Tensor]


def roles_in_module(
    model: nn.Module, heads: Chosen | None = None, embeddings: Chosen | None = None
) -> list[ParameterRole]:
    """Return the role of every parameter of a model, in the model's order.

    Args:
        model: the model.
        heads: names (of parameters or of modules), modules or parameters that are the heads; none
            is looked for then.
        embeddings: the same for tables that are not of an embedding type; names are not asked then.

    Raises:
        ValueError: a name or an object that is not in the model.

    Example:
        >>> model = nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))
        >>> [(role.name, role.head) for role in roles_in_module(model)]
        [('0.weight', False), ('0.bias', False), ('2.weight', True), ('2.bias', True)]
    """
    table = RoleTable(model.named_parameters(remove_duplicate=False))
    for name, module in model.named_modules(remove_duplicate=False):
        kind = type(module).__name__
        typed = isinstance(module, nn.Embedding | nn.EmbeddingBag) or "Embedding" in kind
        for key, p in module.named_parameters(prefix=name, recurse=False):
            if typed and p.ndim == 2:
                table.set(p, embedding=True, why=kind)
            if isinstance(module, nn.RNNBase | nn.MultiheadAttention):
                table.inside.add(key)
    places = (model, getattr(model, "config", None))
    sizes = [getattr(place, size, None) for place in places for size in _SIZES]
    table.outputs |= {size for size in sizes if isinstance(size, int) and size > 1}
    ask = getattr(model, "get_output_embeddings", None)
    said = ask() if callable(ask) and heads is None else None
    if isinstance(said, nn.Module) and any(id(p) in table.roles for p in said.parameters()):
        return _finish(table, [said], embeddings, whole=True, why="output embeddings")
    return _finish(table, heads, embeddings, whole=True, why="as told")


def roles_by_name(
    pairs: Iterable[tuple[str, Tensor]],
    heads: Chosen | None = None,
    embeddings: Chosen | None = None,
) -> list[ParameterRole]:
    """Return the role of every parameter of (name, parameter) pairs, in their order.

    A head is looked for by shape only where the pairs are those of a whole model: matrices alone
    may be a choice, and then names decide; a warning says where they cannot.

    Raises:
        ValueError: items that are no pairs, two parameters of one name, or as `roles_in_module`.
    """
    table = RoleTable(pairs)
    whole = any(p.ndim != 2 for p in table.named.values())
    roles = _finish(table, heads, embeddings, whole=whole, why="as told")
    if heads is None and not whole:
        _warn_of_heads(table)
    return roles


def _warn_of_heads(table: RoleTable) -> None:
    """Say so where a matrix would be the head if these were all that the model has."""
    guess = RoleTable(table.named.items())
    find_heads(guess, whole=True)
    found = [r.name for r in guess.roles.values() if r.head and r.why.startswith("output")]
    outside = {r.name for r in table.roles.values() if r.head or r.embedding}
    if found and not outside & set(found):
        warnings.warn(
            f"names and shapes cannot tell whether {found[-1]} is the output: expected the module, "
            "or heads= (heads=[] for none), got (name, parameter) pairs of matrices alone",
            stacklevel=5,
        )


def find_chosen(what: str, chosen: Chosen, named: Iterable[tuple[str, Tensor]]) -> list[Tensor]:
    """Return the parameters that names, modules or parameters stand for.

    Raises:
        ValueError: one that stands for none of them; `what` begins the message.
    """
    pairs = list(named)
    known, found = {id(p) for _, p in pairs}, dict[int, Tensor]()
    for one in chosen:
        if isinstance(one, str):
            inside = [p for n, p in pairs if n == one or n.startswith(f"{one}.")]
        else:
            own = one.parameters() if isinstance(one, nn.Module) else [one]
            inside = [p for p in own if id(p) in known]
        if not inside:
            got = repr(one) if isinstance(one, str) else type(one).__name__
            raise ValueError(f"{what}: expected parts of what is trained, got {got}")
        found |= {id(p): p for p in inside}
    return list(found.values())


def _finish(
    table: RoleTable, heads: Chosen | None, embeddings: Chosen | None, *, whole: bool, why: str
) -> list[ParameterRole]:
    if embeddings is not None:
        for p in find_chosen("embeddings", embeddings, table.named.items()):
            table.set(p, embedding=True, why="as told")
    else:
        for name, p in table.named.items():
            if p.ndim == 2 and not table.roles[id(p)].embedding and is_table_name(name):
                table.set(p, embedding=True, why="by its name")
    if heads is not None:
        for p in find_chosen("heads", heads, table.named.items()):
            table.set(p, head=True, why=why)
    else:
        find_heads(table, whole)
    if embeddings is None and whole:
        find_tables(table)
    return list(table.roles.values())

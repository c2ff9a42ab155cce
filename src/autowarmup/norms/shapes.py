"""What shapes and names say of the place of a matrix in a model.

The *widths* of a model are the sizes that something inside takes in: the second dimension of its
matrices and kernels, the length of its normalisations; not what the first layer takes, which are
the data. A layer that puts out a size that is no width puts out the result. The last one that does
so outside of repeated blocks is the head, with those of the same input right before it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from torch import Tensor

from autowarmup.norms.role_table import RoleTable

HEAD_NAMES = ("lm_head", "head", "output", "classifier", "logits", "score", "unembed")
_TABLE_WORDS = {
    "codebook", "emb", "embed", "embeddings", "embedding", "embeds", "latents", "pe", "pos",
    "position", "positional", "positions", "queries", "relative", "table", "tok", "token",
    "tokens", "vocab", "wpe", "wte",
}  # fmt: skip


def find_heads(table: RoleTable, whole: bool) -> None:
    """Mark the weights and biases of the heads."""
    layers = [(n, p) for n, p in table.named.items() if p.ndim >= 2 and _is_layer(n, table)]
    outer = [(n, p) for n, p in layers if not table.is_repeated(n)]
    tables = [r.parameter for r in table.roles.values() if r.embedding]
    widths = _widths(table, layers)
    found: list[tuple[str, Tensor]] = []
    if whole and len(layers) + len(tables) > 1:
        ends = [(n, p) for n, p in outer if p.shape[0] not in widths]
        outputs = table.outputs | {p.shape[0] for p in tables}
        found = [(n, p) for n, p in ends if p.ndim == 2 and p.shape[0] in outputs]
        last = outer[-1][1].shape[0] if outer else 0
        if not found and outer and (last not in widths or last in table.outputs):
            found = _last(outer, {name for name, _ in ends})
        if not found and ends[:1] == layers[:1]:
            found = ends[:1]  # tied: the head is the table, and has one name here
    by_name = not found
    if by_name:
        found = _heads_by_name(table)
    for name, head in found:
        owner = name.rpartition(".")[0]
        why = "by its name" if by_name else f"output of {head.shape[0]}"
        for key, p in table.named.items():
            if p is head or (owner and key.rpartition(".")[0] == owner and p.ndim < 2):
                table.set(p, head=True, why=why)


def _is_layer(name: str, table: RoleTable) -> bool:
    """Whether this is the weight of a layer that has an input and an output."""
    typed = name in table.inside or table.roles[id(table.named[name])].embedding
    return name.rpartition(".")[2] == "weight" and not typed


def _last(outer: Sequence[tuple[str, Tensor]], ends: set[str]) -> list[tuple[str, Tensor]]:
    """Return the last layer, and those right before it that read the same: policy and value."""
    heads = [outer[-1]]
    for name, p in reversed(outer[:-1]):
        if name not in ends or p.shape[1:] != heads[0][1].shape[1:]:
            break
        heads.append((name, p))
    return heads


def find_tables(table: RoleTable) -> None:
    """Mark the tables that neither type nor name gives away, in a model whose head is known.

    What has the shape of the head is one: nothing takes what it would put out. So is a bare matrix
    outside of blocks whose rows are no size of anything else, and whose columns are a width.
    """
    layers = [(n, p) for n, p in table.named.items() if p.ndim >= 2 and _is_layer(n, table)]
    heads = [r.parameter for r in table.roles.values() if r.head and r.parameter.ndim >= 2]
    widths, shapes = _widths(table, layers), {head.shape for head in heads if head.ndim == 2}
    rows = [p.shape[0] for p in table.named.values() if p.ndim]
    for role in list(table.roles.values()):
        p, last = role.parameter, role.name.rpartition(".")[2]
        if p.ndim != 2 or role.head or role.embedding or table.is_repeated(role.name):
            continue
        if p.shape in shapes and p.shape[0] not in widths:
            table.set(p, embedding=True, why="of the head's shape")
            continue
        bare = heads and "weight" not in last and not last.isdigit()
        alone = p.shape[0] not in widths and rows.count(p.shape[0]) == 1
        if bare and alone and p.shape[1] in widths:
            table.set(p, embedding=True, why="nothing takes its rows")


def _widths(table: RoleTable, layers: Sequence[tuple[str, Tensor]]) -> set[int]:
    """Return the sizes that something inside takes in; see the module's text."""
    with_matrix = {name.rpartition(".")[0] for name, _ in layers}
    known = {id(p) for _, p in layers}
    widths = {p.shape[1] for _, p in layers[1:]}
    for name, p in table.named.items():
        owner, _, last = name.rpartition(".")
        if p.ndim == 2 and id(p) not in known:
            widths.add(p.shape[1])
        elif p.ndim == 1 and last == "weight" and owner not in with_matrix:
            widths.add(p.shape[0])
    return widths


def _heads_by_name(table: RoleTable) -> list[tuple[str, Tensor]]:
    """Return the matrices that are called heads, or else the last inside something called so."""
    own: list[tuple[str, Tensor]] = []
    above: list[tuple[str, Tensor]] = []
    for name, p in table.named.items():
        parts = _parts(name)
        # A projection called "output" inside layers.3.attention is hidden, not the head.
        if p.ndim != 2 or table.roles[id(p)].embedding or any(x.isdigit() for x in parts[:-1]):
            continue
        if parts[-1].endswith(HEAD_NAMES):
            own.append((name, p))
        elif any(part in HEAD_NAMES for part in parts[:-1]):
            above.append((name, p))
    return own or above[-1:]


def is_table_name(name: str) -> bool:
    """Whether a matrix is called a table."""
    return bool(set(re.split(r"[_\d]+", _parts(name)[-1].lower())) & _TABLE_WORDS)


def _parts(name: str) -> list[str]:
    """Return the parts of a name that say what it is: of a layer's weight the layer's."""
    parts = name.split(".")
    return parts[:-1] if parts[-1] == "weight" and len(parts) > 1 else parts

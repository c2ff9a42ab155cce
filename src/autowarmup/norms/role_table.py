"""The parameters of a model by name, and what is known of each so far."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class ParameterRole:
    """A parameter and its place in the model.

    Attributes:
        name: its dotted name; the first one where a tied parameter has several.
        parameter: the parameter itself.
        embedding: whether it is a table that is looked up or added: the weight of an embedding
            (also where a head is tied to it), positions.
        head: whether it belongs to the output head.
        why: how that was known, in words.
    """

    name: str
    parameter: Tensor
    embedding: bool = False
    head: bool = False
    why: str = "inside"


class RoleTable:
    """The parameters by name, what is known of each, and the sizes that mean an output."""

    def __init__(self, pairs: Iterable[tuple[str, Tensor]]) -> None:
        self.named: dict[str, Tensor] = {}
        self.roles: dict[int, ParameterRole] = {}
        self.outputs: set[int] = set()
        self.inside: set[str] = set()
        self.blocks: dict[str, dict[str, list[tuple[str, int]]]] = {}
        for pair in pairs:
            if not (isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str)):
                got = type(pair).__name__
                raise ValueError(f"expected a module or (name, parameter) pairs, got {got} items")
            name, p = pair
            if self.named.setdefault(name, p) is not p:
                raise ValueError(f"expected one parameter per name, got two named {name!r}")
            self.roles.setdefault(id(p), ParameterRole(name, p))

    def set(self, p: Tensor, **changes: Any) -> None:
        """Write down what is known of a parameter."""
        self.roles[id(p)] = replace(self.roles[id(p)], **changes)

    def is_repeated(self, name: str) -> bool:
        """Whether a name lies in a numbered block that has a twin: the same names and sizes."""
        parts = name.split(".")
        for k, part in enumerate(parts[:-2]):
            if part.isdigit():
                blocks = self._blocks(".".join([*parts[:k], ""]))
                if sum(block == blocks[part] for block in blocks.values()) > 1:
                    return True
        return False

    def _blocks(self, above: str) -> dict[str, list[tuple[str, int]]]:
        """Return what is in each part of a module: names and sizes."""
        if above not in self.blocks:
            blocks = self.blocks.setdefault(above, {})
            for name, p in self.named.items():
                if name.startswith(above):
                    part, _, rest = name[len(above) :].partition(".")
                    blocks.setdefault(part, []).append((rest, p.numel()))
        return self.blocks[above]

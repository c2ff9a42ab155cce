"""The one-way flow: a room imports only from rooms to its left."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import autowarmup

SOURCE = Path(autowarmup.__file__).parent
ROOMS = (
    "rules",
    "history",
    "optimizer_class",
    "snapshot",
    "calibrate",
    "agreement",
    "rates",
    "updates",
    "scheduler",
    "norms",
    "measure",
    "integrations",
    "lab",
    "__main__",
)
FILES = sorted(path for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py")


def room_of(module: str) -> str:
    return module.split(".")[1]


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_room_imports_only_from_its_left(path):
    here = room_of("autowarmup." + ".".join(path.relative_to(SOURCE).with_suffix("").parts))
    assert here in ROOMS
    allowed = ROOMS[: ROOMS.index(here) + 1]
    ours = {name for name in imported(path) if name.startswith("autowarmup.")}
    assert {room_of(name) for name in ours} <= set(allowed)


@pytest.mark.parametrize("path", [p for p in FILES if "rules" in p.parts], ids=lambda p: p.name)
def test_rules_need_neither_torch_nor_a_framework(path):
    outside = {name.split(".")[0] for name in imported(path)}
    assert not outside & {"torch", "jax", "transformers", "matplotlib", "accelerate"}


def test_search_and_descent_do_not_know_each_other():
    assert not any("norms" in name for name in imported(SOURCE / "scheduler.py"))
    for path in (SOURCE / "norms").glob("*.py"):
        assert not any("scheduler" in name for name in imported(path))

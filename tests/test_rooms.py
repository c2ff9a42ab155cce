"""Who may import whom: the library never the lab; and what importing costs."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest

import autowarmup
from autowarmup.rules import DEFAULT_RULE

SOURCE = Path(autowarmup.__file__).parent
LIBRARY = {
    "rules": set(),
    "picture": set(),
    "pages": set(),
    "history": {"pages", "picture"},
    "optimizer_class": {"rules"},
    "snapshot": set(),
    "calibrate": {"rates", "snapshot"},
    "agreement": set(),
    "rates": set(),
    "wrappers": set(),
    "updates": set(),
    "notices": {"rules"},
    "group_rules": {"optimizer_class", "rules"},
    "saved": {"rules"},
    "showing": {"history", "notices", "picture", "rules"},
    "standing": {"group_rules", "history", "pages", "rates", "rules", "showing"},
    "steering": {"agreement", "calibrate", "group_rules", "rules", "saved", "standing", "updates"},
    "scheduler": {
        "agreement",
        "group_rules",
        "history",
        "notices",
        "optimizer_class",
        "rates",
        "rules",
        "saved",
        "steering",
        "updates",
        "wrappers",
    },
    "recorded": {"history", "rules"},
    "factory": {"rules", "scheduler"},
    "norms": {"optimizer_class"},
    "measure": {
        "calibrate",
        "history",
        "norms",
        "pages",
        "picture",
        "rules",
        "snapshot",
        "wrappers",
    },
    "integrations": {"factory", "history", "notices", "rules", "saved", "scheduler"},
}  # fmt: skip
"""Room of the library -> rooms that it may import."""
DOOR = "pages"
"""The one room of the library that may load the lab, inside its functions."""
LAB = {
    "files": set(),
    "environment": set(),
    "reading": set(),
    "owner": set(),
    "claim": {"owner"},
    "extras": set(),
    "help_text": set(),
    "report": {"files"},
    "train": {"claim", "environment", "files", "reading"},
    "problems": {"files", "train"},
    "bench": {"claim", "environment", "files", "problems", "reading", "report", "train"},
    "curvature": {"claim", "environment", "files", "problems", "reading", "report", "train"},
    "run_page": {"claim", "files", "report"},
    "theory": {"environment", "files", "problems", "report"},
    "replay": {"files", "report"},
    "rule_list": set(),
    "compare": {"bench", "claim", "environment", "files", "report", "rule_list", "train"},
    "verbs": {
        "bench",
        "claim",
        "compare",
        "curvature",
        "extras",
        "reading",
        "replay",
        "report",
        "rule_list",
        "theory",
        "train",
    },
    "cli": {"extras", "help_text", "train", "verbs"},
}
"""Room of the lab -> other rooms of the lab that it may import; all may import the library."""
FILES = sorted(path for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py")


def module_of(path: Path) -> list[str]:
    parts = list(path.relative_to(SOURCE).with_suffix("").parts)
    return parts[:-1] if parts[-1] == "__init__" else parts


def imported(path: Path) -> set[str]:
    """Return every module that a file imports, also inside functions and for types only."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names.add(node.module or "")
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


def rooms_of(path: Path) -> set[tuple[str, ...]]:
    """Return the rooms that a file imports: ("rules",), or ("lab", "bench") inside the lab."""
    found = set()
    for name in imported(path):
        parts = name.split(".")
        if parts[0] == "autowarmup" and len(parts) > 1 and parts[1] in {*LIBRARY, "lab"}:
            found.add(tuple(parts[1:3]) if parts[1] == "lab" and len(parts) > 2 else (parts[1],))
    return found - {("lab",)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_every_import_is_an_edge_of_the_table(path):
    room, *inner = module_of(path)
    if room == "__main__":
        return
    if room == "lab":
        if not inner:
            assert not rooms_of(path)
            return
        allowed = {(name,) for name in LIBRARY}
        allowed |= {("lab", name) for name in LAB[inner[0]] | {inner[0]}}
    else:
        allowed = {(name,) for name in LIBRARY[room] | {room}}
        if room == DOOR:
            allowed |= {("lab", "curvature"), ("lab", "run_page")}
    assert rooms_of(path) <= allowed


def test_the_table_has_no_circle_and_no_room_that_is_gone():
    for table, root in ((LIBRARY, SOURCE), (LAB, SOURCE / "lab")):
        left = dict(table)
        while left:
            free = {room for room, needs in left.items() if not needs & set(left)}
            assert free, f"a circle among {sorted(left)}"
            left = {room: needs for room, needs in left.items() if room not in free}
        for room in table:
            assert (root / room).is_dir() or (root / f"{room}.py").is_file()


def test_the_library_needs_every_edge_and_names_the_lab_in_no_string():
    used = {room: set() for room in LIBRARY}
    for path in FILES:
        room = module_of(path)[0]
        if room in used:
            used[room] |= {name for name, *_ in rooms_of(path)} - {room}
            assert room == DOOR or not re.search(r"autowarmup[./]lab", path.read_text())
    assert used.pop(DOOR) == {"lab"}
    assert used == {room: needs for room, needs in LIBRARY.items() if room != DOOR}


def test_the_door_to_the_lab_opens_inside_functions_only():
    tree = ast.parse((SOURCE / f"{DOOR}.py").read_text())
    outside = [node for node in tree.body if isinstance(node, ast.ImportFrom | ast.Import)]
    assert all("autowarmup" not in ast.unparse(node) for node in outside)


@pytest.mark.parametrize(
    "path", [p for p in FILES if module_of(p)[0] == "rules"], ids=lambda p: p.name
)
def test_rules_need_neither_torch_nor_a_framework(path):
    outside = {name.split(".")[0] for name in imported(path)}
    assert not outside & {"torch", "jax", "transformers", "matplotlib", "accelerate"}


def test_the_default_is_named_in_one_place():
    """No signature and no field has a rule of its own as its default."""
    words = "paced|watched|flat|accurate|published|h0h1|untuned|autowu|doubling|linear[^\"']*"
    default = re.compile(rf"(:\s*[\w\[\], |.\"]+|_RULE) = [\"']({words})[\"']")
    found = [
        f"{path.relative_to(SOURCE)}: {line.strip()}"
        for path in FILES
        for line in path.read_text().splitlines()
        if default.search(line) and not line.strip().startswith((">>>", "...", "word"))
    ]
    law = 'rules/gap_law/rule.py: end: str | float = "flat"'
    assert found == [law, f'rules/registry.py: DEFAULT_RULE = "{DEFAULT_RULE}"']


IMPORTS = """
import sys, time
marks = [time.process_time()]
import autowarmup
marks.append(time.process_time())
import torch
marks.append(time.process_time())
from autowarmup import AdaptiveWarmup
marks.append(time.process_time())
from autowarmup import CurvatureObserver, Muon
import json
seconds = [after - before for before, after in zip(marks, marks[1:])]
print(json.dumps({"seconds": seconds, "modules": list(sys.modules)}))
"""


@pytest.fixture(scope="module")
def imports() -> list[dict]:
    """What three fresh interpreters say; processor time, because others may be busy."""
    command = [sys.executable, "-c", IMPORTS]
    runs = [subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(3)]
    return [json.loads(done.stdout) for done in runs]


def test_imports_cost_next_to_nothing(imports):
    package, torch, scheduler = map(median, zip(*(run["seconds"] for run in imports), strict=True))
    assert package < 0.02  # measured: 0.003
    assert scheduler < 0.15 * torch  # measured: 0.04


def test_nothing_is_loaded_that_only_the_lab_needs(imports):
    loaded = set(imports[0]["modules"])
    heavy = {"transformers", "scipy", "rich", "tyro", "matplotlib", "accelerate", "jinja2", "jax"}
    assert not loaded & heavy
    assert not {name for name in loaded if name.startswith("autowarmup.lab")}

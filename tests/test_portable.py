"""What must hold where the tests do not run: Windows, macOS, other locales."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ["src", "tools", "studies", "benchmarks", "tests/rules", "tests/norms", "tests/scheduler"]
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


def says_no_encoding(node: ast.AST) -> bool:
    """Return whether this opens text without naming its encoding, which is then the locale's."""
    if not isinstance(node, ast.Call) or any(each.arg == "encoding" for each in node.keywords):
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    if name in ("read_text", "write_text"):
        return len(node.args) < (1 if name == "read_text" else 2)
    if isinstance(node.func, ast.Name) and node.func.id == "open":
        modes = node.args[1:2]
    elif name == "open" and len(node.args) + len(node.keywords) > 0:  # of a path
        modes = node.args[:1]
    else:
        return False
    modes = modes + [each.value for each in node.keywords if each.arg == "mode"]
    mode = getattr(modes[0], "value", None) if modes else "r"  # None: known when it runs
    return isinstance(mode, str) and set(mode) <= set("rwaxt+")


def test_every_text_file_is_opened_in_a_named_encoding():
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if says_no_encoding(node)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("code", "wanting"),
    [
        ("path.read_text()", True),
        ("path.read_text('utf-8')", False),
        ("path.write_text(words, encoding='utf-8')", False),
        ("path.write_text(words)", True),
        ("open('file')", True),
        ("open('file', mode='w')", True),
        ("open('file', 'rb')", False),
        ("path.open('a')", True),
        ("path.open('wb')", False),
        ("os.open(path, os.O_RDWR)", False),
    ],
)
def test_it_is_noticed(code, wanting):
    assert any(map(says_no_encoding, ast.walk(ast.parse(code)))) is wanting


# The library and its pages on a system that has nothing of this: imports, a run, its page, a claim
# that is held, one that was left behind, and a file that is written whole.
ELSEWHERE = """
import importlib, os, pkgutil, sys
import matplotlib.figure, jinja2, torch

for name in ("fcntl", "grp", "pty", "pwd", "resource", "syslog", "termios"):
    sys.modules[name] = None
GONE = ("fork", "getuid", "geteuid", "pwrite", "pread", "sched_getaffinity", "register_at_fork",
        "fdatasync", "killpg", "getpgid", "setsid", "mkfifo", "uname", "WTERMSIG")
for name in GONE:
    if hasattr(os, name):
        delattr(os, name)


class Windows:
    name = "nt"

    def __getattr__(self, name):
        return getattr(os, name)

    def kill(self, process, number):
        raise AssertionError("there a signal 0 is Ctrl-C")

    def open(self, path, *arguments):
        if os.path.isdir(path):
            raise PermissionError(13, "Permission denied")
        return os.open(path, *arguments)


import autowarmup
from autowarmup import AdaptiveWarmup

hosts = ("autowarmup.integrations.", "autowarmup.__main__")
for room in pkgutil.walk_packages(autowarmup.__path__, "autowarmup."):
    if not room.name.startswith(hosts):
        try:
            importlib.import_module(room.name)
        except ModuleNotFoundError as error:  # of an extra
            assert error.name and not sys.modules.get(error.name, True) is None, error
for module in [m for n, m in sys.modules.items() if n.startswith("autowarmup.lab")]:
    if getattr(module, "os", None) is os:
        module.os = Windows()

optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=0.5)
scheduler = AdaptiveWarmup(optimizer, total_steps=20)
for _ in range(20):
    optimizer.step()
    scheduler.step(3.0)
print(scheduler.report("out"))

from autowarmup.lab import claim

claim.BEAT, claim.PATIENCE = 0.1, 0.4
with claim.claimed("mine"):
    owner = claim._read(__import__("pathlib").Path("mine") / f"{claim.NAME}.owner")
    assert owner["pid"] == os.getpid(), owner
    assert not claim.runs_here(owner)  # nobody is asked
assert not os.path.exists("mine")
os.mkdir("left")
with open(f"left/{claim.NAME}.owner", "w", encoding="utf-8") as file:
    file.write('{"pid": 1, "host": "gone"}')
with claim.claimed("left"):
    pass
print(os.listdir("left") if os.path.exists("left") else "empty")
"""


def test_the_library_and_its_pages_need_nothing_that_only_unix_has(tmp_path):
    pytest.importorskip("tyro", reason="the command needs it")
    command = [sys.executable, "-c", ELSEWHERE]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report, left = done.stdout.splitlines()
    assert report.endswith(f"The page is {Path('out') / 'report.html'}.")
    assert left in ("empty", "[]")
    assert (tmp_path / "out" / "report.html").stat().st_size > 10_000

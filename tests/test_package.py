"""What people install: the wheel alone, beside torch and numpy, and once with each extra.

Nothing is downloaded. The wheel is unpacked into an empty folder, and what it asks for is linked in
from the environment of the tests: exactly that, found by following the requirements.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """A wheel, built as `make dist` builds it, from a copy of what it is built from."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    left_out = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "src", source / "src", ignore=left_out)
    for name in ("pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"):
        shutil.copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(folder)]
    done = subprocess.run([*command, str(source)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    return built


def required(dist: Distribution, extras: set[str]) -> Iterator[tuple[str, set[str]]]:
    """Yield (name, extras) of what a distribution asks for here."""
    for text in dist.requires or ():
        need = Requirement(text)
        environments = [{"extra": extra} for extra in extras] or [{"extra": ""}]
        if need.marker is None or any(need.marker.evaluate(each) for each in environments):
            yield need.name, need.extras


def closure(first: list[tuple[str, set[str]]]) -> dict[str, Distribution]:
    """Return every distribution that these ask for, and those that they ask for."""
    found, left, seen = {}, list(first), set()
    while left:
        name, extras = left.pop()
        key = (canonicalize_name(name), frozenset(extras))
        if key in seen:
            continue
        seen.add(key)
        try:
            dist = distribution(name)
        except PackageNotFoundError:  # of another platform
            continue
        found[key[0]] = dist
        left += required(dist, extras)
    return found


def unpacked(wheel: Path, folder: Path, *extras: str) -> Path:
    """Unpack the wheel and link in what it asks for, nothing else."""
    with zipfile.ZipFile(wheel) as held:
        held.extractall(folder)
    (meta,) = folder.glob("*.dist-info")
    own = Distribution.at(meta)
    wanted = set(extras)
    while (
        more := {  # "all" and the like name further extras of the package itself
            extra for name, named in required(own, wanted) if name == own.name for extra in named
        }
        - wanted
    ):
        wanted |= more
    asked = [item for item in required(own, wanted) if item[0] != own.name]
    for dist in closure(asked).values():
        for top in {Path(str(file)).parts[0] for file in dist.files or ()}:
            target = Path(str(dist.locate_file(top)))
            if top not in ("..", "bin", "__pycache__") and not (folder / top).exists():
                (folder / top).symlink_to(target)
    return folder


@pytest.fixture(scope="module")
def alone(wheel, tmp_path_factory) -> Path:
    return unpacked(wheel, tmp_path_factory.mktemp("alone"))


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python with this folder as all that is installed."""
    starts = f"import sys; sys.path[:] = [p for p in sys.path if 'site-packages' not in p]; \
sys.path.insert(0, {str(folder)!r}); sys.argv = ['autowarmup', *{list(words[1:])!r}]\n"
    command = [sys.executable, "-I", "-c", starts + words[0]]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


LOOP = re.search(r"```python\n(.*?)```", README, re.DOTALL)[1]
PREPARED = """
import torch
from torch import nn

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.hidden, self.head = nn.Embedding(9, 8), nn.Linear(8, 8), nn.Linear(8, 9)
    def forward(self, batch):
        return nn.functional.cross_entropy(self.head(self.hidden(self.embed(batch))), batch)

torch.manual_seed(0)
model, loader = Model(), [torch.randint(0, 9, (16,)) for _ in range(20)]
before = model(loader[0]).item()
"""
COMMAND = "from autowarmup.lab.cli import main; raise SystemExit(main())"


def test_the_wheel_alone_runs_the_loop_of_the_readme(alone):
    check = "print(scheduler.state.step, model(loader[0]).item() < before)"
    done = run(alone, f"{PREPARED}\n{LOOP}\n{check}")
    assert done.stdout.split() == ["20", "True"], done.stderr
    where = run(alone, "import autowarmup; print(autowarmup.__file__, autowarmup.__version__)")
    assert where.stdout.startswith(str(alone))


def test_nothing_else_came_with_it(alone):
    for name in ("rich", "tyro", "transformers", "matplotlib", "scipy", "jax", "pytest"):
        assert "No module named" in run(alone, f"import {name}").stderr


def test_the_command_says_what_to_install(alone):
    done = run(alone, COMMAND, "schedule")
    assert done.returncode != 0
    assert len(done.stderr.strip().splitlines()) == 1
    assert "pip install" in done.stderr


def test_a_page_says_what_to_install(alone):
    done = run(alone, f"{PREPARED}\n{LOOP}\nscheduler.report('out')")
    assert done.stderr.strip().splitlines()[-1] == (
        "ModuleNotFoundError: a page needs matplotlib: expected pip install 'autowarmup[report]'"
    )


PROMISES = {
    "scipy": "from autowarmup import GapLaw; print(GapLaw(end='published').name)",
    "lightning": "import autowarmup.integrations.lightning as l; print(l.AdaptiveWarmupCallback())",
    "jax": "from autowarmup.integrations.optax import scale_by_adaptive_warmup as s; print(s(10))",
    "tracking": "from torch.utils.tensorboard import SummaryWriter as w; print(w('logs'))",
    "ray": "import ray; import autowarmup.lab.bench.ray_pool as pool; print(pool.RayOptions())",
    "report": f"{PREPARED}\n{LOOP}\nprint(scheduler.report('out'), scheduler.plot())",
    "objects": "from autowarmup.lab.problems.data import digits; print(digits(9).x.shape)",
    "cli": COMMAND,
    "pretrain": "from autowarmup.lab.train.train import train; print(train)",
    "all": COMMAND,
}
"""Extra -> what it is for."""


@pytest.mark.parametrize("extra", PROMISES)
def test_an_extra_brings_what_it_is_for(wheel, extra, tmp_path):
    done = run(unpacked(wheel, tmp_path, extra), PROMISES[extra], "schedule", "--rule", "linear 5%")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_wheel_is_small_and_holds_the_package_alone(wheel):
    assert wheel.stat().st_size < 1_000_000
    with zipfile.ZipFile(wheel) as held:
        names = held.namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"autowarmup"}
    assert "autowarmup/py.typed" in names

"""A host that is not installed: the integration names the extra that brings it."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest

CODE = """
import sys
sys.modules[{module!r}] = None
try:
    import autowarmup.integrations.{name}
except ModuleNotFoundError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [
        ("lightning", "lightning.pytorch", "lightning"),
        ("huggingface", "transformers", "pretrain"),
        ("optax", "optax", "jax"),
        ("optax", "jax", "jax"),
    ],
)
def test_the_extra_is_named(name, module, extra):
    code = CODE.format(module=module, name=name)
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f"expected pip install 'autowarmup[{extra}]'" in said.stdout


@pytest.mark.parametrize("name", ["axolotl", "llamafactory"])
def test_a_trainer_that_is_not_there_is_named(name):
    if find_spec(name):
        pytest.skip(f"{name} is installed")
    code = CODE.format(module="no_such_module", name=name)
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f"this integration needs {name}: expected pip install {name}" in said.stdout

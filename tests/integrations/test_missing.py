"""A host that is not installed: the integration names the extra that brings it."""

from __future__ import annotations

import subprocess
import sys

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

"""Reads the loops out of the pages on hosts and the scripts out of `examples`."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parent.parent.parent


def loop(page: str, number: int = 0) -> str:
    """Return a block of code of a page on a host; it has at most 12 lines."""
    text = (ROOT / "docs" / "hosts" / f"{page}.md").read_text()
    code = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[number]
    assert len([line for line in code.splitlines() if line.strip()]) <= 12
    return code


def example(name: str) -> ModuleType:
    """Import a script of `examples`."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

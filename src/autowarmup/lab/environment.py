"""Where a result comes from: every stored record says it in the same words."""

from __future__ import annotations

import contextlib
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import torch


def environment() -> dict[str, Any]:
    """Return where a run took place: versions, machine, threads."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        **_versions("transformers"),
        "platform": platform.platform(),
        "cpu": _cpu(),
        "threads": torch.get_num_threads(),
        **({"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {}),
        "autowarmup": metadata.version("autowarmup"),
    }


def _versions(*packages: str) -> dict[str, str]:
    """Return the versions of those that are installed."""
    held = {}
    for name in packages:
        with contextlib.suppress(metadata.PackageNotFoundError):
            held[name] = metadata.version(name)
    return held


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()} ({os.cpu_count()} cores)"

"""Training functions that cost nothing, for the engine's tests (imported by its processes)."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any


def good(config: dict[str, Any], scratch: Path) -> dict[str, Any]:
    scratch.mkdir(parents=True)
    (scratch / "checkpoint").write_text("big")
    print("a line of training output")
    environment = {"threads": os.environ["OMP_NUM_THREADS"], "pid": os.getpid()}
    return {
        "status": "finished",
        "config": {"batch_size": 16, "seed": config["seed"]},
        "val_loss": 2.0 + config["lr"],
        "environment": environment,
        "trace": {"step": [0, 1], "loss": [3.0, float("nan")]},
    }


def exit_on_no_warmup(config: dict[str, Any], scratch: Path) -> dict[str, Any]:
    if config["warmup"] == "1":
        os._exit(7)
    return good(config, scratch)


def killed_on_no_warmup(config: dict[str, Any], scratch: Path) -> dict[str, Any]:
    if config["warmup"] == "1":
        os.kill(os.getpid(), signal.SIGKILL)
    return good(config, scratch)


def mixed(config: dict[str, Any], scratch: Path) -> dict[str, Any]:
    record = good(config, scratch)
    if config["warmup"] == "1":
        return record | {"status": "diverged", "message": "the loss is nan at step 3"}
    if config["warmup"] == "50%" and config["optimizer"] == "lion":
        raise ValueError("expected a smaller rate, got 9")
    if config["warmup"] == "50%":
        return record | {"val_loss": float("inf")}
    return record


def slow(config: dict[str, Any], scratch: Path) -> dict[str, Any]:
    record = good(config, scratch)
    time.sleep(0.5)
    return record


def nonsense(config: dict[str, Any], scratch: Path) -> Any:
    return {"status": "marvellous"}


def dies_once(config: dict[str, Any], scratch: Path) -> dict[str, Any]:
    """The first run to find the marker kills its process, or the Ray worker that started it."""
    marker = Path(config["marker"])
    try:
        victim = marker.read_text()
        marker.unlink()
    except FileNotFoundError:
        return good(config, scratch)
    os.kill(os.getpid() if victim == "training" else os.getppid(), signal.SIGKILL)
    time.sleep(60)
    raise AssertionError("should have ended with its worker")

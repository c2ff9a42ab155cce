"""Crash-safe checkpoints: written aside, flushed to the disk, renamed; the last two are kept.

A checkpoint is one file, `checkpoint-<updates done>.pt`, of plain values and tensors only, so that
it loads with `torch.load(weights_only=True)`.
"""

from __future__ import annotations

import io
import re
import warnings
from pathlib import Path
from typing import Any

import torch

from autowarmup.lab.files import write_aside
from autowarmup.lab.reading import Shape, mismatch

KEPT = 2
_NAME = re.compile(r"checkpoint-(\d+)\.pt")


def save_checkpoint(out: Path, step: int, payload: dict[str, Any]) -> Path:
    """Write a checkpoint after `step` updates and drop all but the last two."""
    buffer = io.BytesIO()
    torch.save(payload, buffer)
    path = out / f"checkpoint-{step}.pt"
    try:
        write_aside(path, buffer.getbuffer())
    except OSError as error:
        earlier = checkpoints(out)
        kept = f"{earlier[-1].name} is intact" if earlier else "no earlier checkpoint exists"
        raise OSError(f"{error}; {kept}, and the run can be resumed once there is room") from error
    for old in checkpoints(out)[:-KEPT]:
        old.unlink(missing_ok=True)
    return path


def checkpoints(out: Path) -> list[Path]:
    """Return the checkpoints in a directory, the latest last."""
    found = ((_NAME.fullmatch(path.name), path) for path in out.glob("checkpoint-*.pt"))
    return [path for _, path in sorted((int(name[1]), path) for name, path in found if name)]


def load_checkpoint(out: Path, shape: Shape = dict) -> dict[str, Any] | None:
    """Return the latest checkpoint on the CPU that can be read, `None` where there is none.

    Its values are of `shape`, see `autowarmup.lab.reading`. A damaged one, or one of another kind,
    is passed over with a warning, and the one before it is used.
    """
    found = checkpoints(out)
    for path in reversed(found):
        try:
            saved = torch.load(path, map_location="cpu", weights_only=True)
            if not (reason := mismatch(saved, shape)):
                return saved
        except Exception as error:  # a damaged archive raises many kinds
            reason = (str(error).strip() or type(error).__name__).partition("\n")[0]
        warnings.warn(
            f"resume: expected a checkpoint of autowarmup in {path}, got a file that cannot be "
            f"read ({reason}); trying the one before it",
            stacklevel=2,
        )
    if found:
        names = ", ".join(path.name for path in found)
        raise ValueError(
            f"resume: expected a readable checkpoint in {out}, got only damaged ones ({names}); "
            "choose another directory to start anew"
        )
    return None


def random_state() -> dict[str, Any]:
    """Return the state of every random generator that training and measuring may draw from."""
    on_gpu = {"cuda": torch.cuda.get_rng_state()} if torch.cuda.is_available() else {}
    return {"torch": torch.get_rng_state(), **on_gpu}


def set_random_state(state: dict[str, Any]) -> None:
    """Put every random generator back to a saved state."""
    torch.set_rng_state(state["torch"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])

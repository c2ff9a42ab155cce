"""Losses for rules where nothing is trained: a typical curve, or those of a log."""

from __future__ import annotations

import math
from pathlib import Path

from autowarmup.history import Trace
from autowarmup.lab.reading import read_text


def typical_losses(steps: int, loss0: float, lower_bound: float) -> list[float]:
    """Return a power law of the time that ends at a third of the first gap.

    Example:
        >>> [round(loss, 2) for loss in typical_losses(5, 6.0, 0.0)]
        [6.0, 2.8, 2.37, 2.15, 2.0]
    """
    if not loss0 > lower_bound:
        raise ValueError(
            f"lower_bound must lie below loss0: expected less than {loss0:g}, got {lower_bound:g}"
        )
    gap0 = loss0 - lower_bound
    return [lower_bound + gap0 * (1 + 100 * k / steps) ** -0.25 for k in range(steps)]


def losses_of(path: Path) -> list[float | None]:
    """Return the loss of each update of a log, `None` where it has none.

    A trace of ours and a text with a number a line have to be whole: nothing is passed over.
    """
    if _is_plain(path):
        return [*_plain_losses(path)]
    from autowarmup.lab.replay.read import read_logs

    log = read_logs([path])
    losses: list[float | None] = [None] * (int(log.steps[-1]) + 1)
    for at, loss in zip(log.steps.tolist(), log.losses.tolist(), strict=True):
        losses[at] = loss
    return losses


def _is_plain(path: Path) -> bool:
    """Return whether a file is, or should be, a trace of ours or a number a line."""
    try:
        with path.open(encoding="utf-8") as file:
            first = file.readline().strip()
    except (OSError, UnicodeDecodeError):
        return path.suffix in (".txt", ".jsonl")
    if path.suffix == ".jsonl":
        return first.startswith('{"step"')
    try:
        return not first or math.isfinite(float(first))
    except ValueError:
        return False


def _plain_losses(path: Path) -> list[float]:
    what = "a loss per update"
    if path.suffix == ".jsonl":
        found = Trace.read(path).column("loss")
    else:
        text = read_text(path, what)
        try:
            found = [float(word) for word in text.split()]
        except ValueError as error:
            raise ValueError(f"{path}: expected {what}, a number a line, got {error}") from None
    if not found:
        raise ValueError(f"{path}: expected {what}, got none")
    return found

"""What was odd about a log, a sentence each."""

from __future__ import annotations

import numpy as np

from autowarmup.lab.report.numbers import count

GAP = 20
"""Times the usual distance of two losses from which a gap is spoken of."""


def negative_steps(number: int) -> str:
    """Say how many losses come before the first update."""
    return f"{_losses(number)} before step 0: left out."


def not_in_order(name: str) -> str:
    """Say that the rows of a file were sorted."""
    return f"{name} is not in the order of its steps: its rows were sorted by them."


def said_of(name: str, *, without: int, counted: bool) -> list[str]:
    """Say what a file lacks: steps, or in some rows a training loss."""
    said = []
    if counted:
        said.append(
            f"{name} has no steps that are read: its losses are counted, one for each update."
        )
    if without:
        verb = "holds" if without == 1 else "hold"
        rows = count(without, "row")
        said.append(f"{rows} of {name} {verb} no training loss (evaluations and their like).")
    return said


def _losses(number: int) -> str:
    return f"{number:,} loss{'es' * (number != 1)}"


def restarts(steps: np.ndarray, kept: np.ndarray) -> list[str]:
    """Say where steps go back, and what that replaces."""
    dropped = len(steps) - len(kept)
    if not dropped:
        return []
    back = np.flatnonzero(np.diff(steps) < 0)
    losses = _losses(dropped)
    if not len(back):
        return [f"{losses} came again at the same step: the last of each counts."]
    to = ", ".join(f"{step:,}" for step in steps[back[:3] + 1])
    more = f" and {len(back) - 3:,} more" if len(back) > 3 else ""
    text = f"The steps go back to {to}{more}: what was logged from there on before is replaced, "
    text += f"{losses} in all."
    if len(back) > 1 and (steps[back + 1] == steps[0]).all():
        text += " If the steps count within an epoch, --step row counts losses instead."
    return [text]


def spacing(steps: np.ndarray, losses: np.ndarray) -> list[str]:
    """Say how often losses come, what is missing, and which are no numbers."""
    said, apart = [], np.diff(steps)
    every = int(np.median(apart)) if len(apart) else 1
    if every > 1:
        said.append(
            f"There is a loss every {every:,} updates. A rule sees none at the others, so it "
            "notices later than it would in training, and less surely."
        )
    if steps[0] >= max(GAP, 2 * every):
        said.append(f"The log begins at update {steps[0]:,}: the rule saw no loss before it.")
    wide = np.flatnonzero(apart > GAP * every)
    if len(wide):
        widest = wide[np.argmax(apart[wide])]
        number = "One gap" if len(wide) == 1 else f"{len(wide):,} gaps"
        said.append(
            f"{number} in the log, the widest between updates {steps[widest]:,} and "
            f"{steps[widest + 1]:,}: the rule saw no loss there."
        )
    if strange := int((~np.isfinite(losses)).sum()):
        verb = "loss is no number and counts" if strange == 1 else "losses are no numbers and count"
        said.append(f"{strange:,} {verb} as not seen.")
    return said

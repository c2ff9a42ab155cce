"""One run as it was logged: the loss of some updates, the rates beside them, and what was odd."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autowarmup.lab.replay.columns import ROWS, Columns, chosen, no_losses
from autowarmup.lab.report.numbers import count

GAP = 20
"""Times the usual distance of two losses from which a gap is spoken of."""


@dataclass(frozen=True)
class Piece:
    """What one file holds, in the order of its rows.

    Attributes:
        kind: the format in words.
        steps: of the losses, int64 of shape (n,), as the file counts.
        losses: float64 of shape (n,).
        rate_steps: of the rates, shape (m,).
        rates: float64 of shape (m,).
        without: rows that hold no training loss.
        total: updates of the whole run, if the file says so.
        counted: whether rows were counted because the file has no steps.
        columns: names of what was taken as the step, the loss and the rate, empty for none.
    """

    kind: str
    steps: np.ndarray
    losses: np.ndarray
    rate_steps: np.ndarray
    rates: np.ndarray
    without: int = 0
    total: int | None = None
    counted: bool = False
    columns: tuple[str, str, str] = ("", "", "")


@dataclass(frozen=True)
class Log:
    """A run, ready to be replayed.

    Attributes:
        steps: index of the update (from 0) of each loss, rising.
        losses: float64, one each.
        rates: the rate of each of these updates, nan where it is not known; `None`: of none.
        total: updates of the whole run, if the log says so.
        notes: what was odd, a sentence each.
        sources: (name of the file, its format in words).
    """

    steps: np.ndarray
    losses: np.ndarray
    rates: np.ndarray | None
    total: int | None
    notes: tuple[str, ...]
    sources: tuple[tuple[str, str], ...]

    @property
    def every(self) -> int:
        """Updates from one loss to the next, usually."""
        return int(np.median(np.diff(self.steps))) if len(self.steps) > 1 else 1


def piece_of(columns: Columns, kind: str, *, total: int | None = None) -> Piece:
    """Return the piece that a table holds.

    Raises:
        ValueError: no column, or several, could be the loss; or a named one is not there.
    """
    wanted = columns.wanted
    loss = chosen("loss", columns.cells, wanted) if columns.cells or wanted.loss else None
    if loss is None:
        raise no_losses(columns.names)
    counted = wanted.step == ROWS
    step = None if counted else chosen("step", columns.cells, wanted)
    rate = chosen("rate", columns.cells, wanted)
    rows, losses = (np.array(side) for side in columns.cells[loss])
    rate_rows, rates = (np.array(side) for side in columns.cells[rate]) if rate else (rows[:0],) * 2
    if step is None:
        steps, rate_steps = np.arange(len(rows)), np.searchsorted(rows, rate_rows)
    else:
        at, numbers = (np.array(side) for side in columns.cells[step])
        at, numbers = at[np.isfinite(numbers)], numbers[np.isfinite(numbers)]
        known, known_rates = np.isin(rows, at), np.isin(rate_rows, at)
        rows, losses = rows[known], losses[known]
        rate_rows, rates = rate_rows[known_rates], rates[known_rates]
        numbers = np.round(numbers).astype(np.int64)
        steps = numbers[np.searchsorted(at, rows)]
        rate_steps = numbers[np.searchsorted(at, rate_rows)]
    without = columns.rows - len(rows)
    names = step or "", loss, rate or ""
    return Piece(kind, steps, losses, rate_steps, rates, without, total, step is None, names)


def joined(pieces: Sequence[tuple[str, Piece]]) -> Log:
    """Return the run that files hold one after the other; where steps repeat the later ones count.

    A file that counts rows goes on where the one before it ended.

    Args:
        pieces: (name of the file, what it holds), in the order of the run.

    Raises:
        ValueError: there is no loss in them.
    """
    notes: list[str] = []
    steps, losses, rate_steps, rates, start = [], [], [], [], 0
    for name, piece in pieces:
        shift = start if piece.counted else 0
        steps.append(piece.steps + shift)
        losses.append(piece.losses)
        rate_steps.append(piece.rate_steps + shift)
        rates.append(piece.rates)
        start = int(steps[-1].max(initial=-1)) + 1
        notes += _said_of(name, piece)
    at, values = np.concatenate(steps), np.concatenate(losses)
    if not len(at):
        raise ValueError(
            f"expected training losses in {', '.join(name for name, _ in pieces)}, got none"
        )
    negative = at < 0
    if negative.any():
        notes.append(f"{_losses(int(negative.sum()))} before step 0: left out.")
        at, values = at[~negative], values[~negative]
    kept = latest(at)
    notes += _restarts(at, kept)
    at, values = at[kept], values[kept]
    if _counts_from_one(at):
        at, first = at - 1, 1
    else:
        first = 0
    found = _rates_at(at + first, np.concatenate(rate_steps), np.concatenate(rates))
    notes += _spacing(at, values)
    totals = [piece.total for _, piece in pieces if piece.total]
    sources = tuple((name, piece.kind) for name, piece in pieces)
    return Log(at, values, found, totals[-1] if totals else None, tuple(notes), sources)


def latest(steps: np.ndarray) -> np.ndarray:
    """Return the indices of the rows that count: those after which all steps are larger.

    A run that goes back to a step, as after a crash, replaces everything from there on.

    Example:
        >>> latest(np.array([0, 1, 2, 3, 2, 3, 4, 4])).tolist()
        [0, 1, 4, 5, 7]
    """
    if not len(steps):
        return np.arange(0)
    later = np.append(np.minimum.accumulate(steps[::-1])[::-1][1:], np.iinfo(np.int64).max)
    return np.flatnonzero(steps < later)


def _rates_at(steps: np.ndarray, at: np.ndarray, rates: np.ndarray) -> np.ndarray | None:
    """Return the last rate that was logged at or before each step; nan before the first."""
    kept = latest(at)
    at, rates = at[kept], rates[kept]
    if not len(at):
        return None
    where = np.searchsorted(at, steps, side="right") - 1
    return np.where(where >= 0, rates[where.clip(0)], np.nan)


def _counts_from_one(steps: np.ndarray) -> bool:
    """Return whether step k is the k-th update, as where losses come at n, 2n, 3n, ..."""
    if steps[0] == 1:
        return True
    return len(steps) > 1 and steps[0] > 0 and bool(steps[0] == np.median(np.diff(steps)))


def _said_of(name: str, piece: Piece) -> list[str]:
    said = []
    if piece.counted and not piece.columns[0] and len(piece.steps):
        said.append(f"{name} has no steps: its losses are counted, one for each update.")
    if piece.without:
        rows = count(piece.without, "row")
        verb = "holds" if piece.without == 1 else "hold"
        said.append(f"{rows} of {name} {verb} no training loss (evaluations and their like).")
    return said


def _losses(number: int) -> str:
    return f"{number:,} loss{'es' * (number != 1)}"


def _restarts(steps: np.ndarray, kept: np.ndarray) -> list[str]:
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


def _spacing(steps: np.ndarray, losses: np.ndarray) -> list[str]:
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

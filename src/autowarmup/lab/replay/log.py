"""One run as it was logged: the loss of some updates, the rates beside them, and what was odd."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autowarmup.lab.replay.columns import ROWS, Columns, chosen, no_losses, no_numbers
from autowarmup.lab.replay.notes import negative_steps, not_in_order, restarts, said_of, spacing
from autowarmup.lab.replay.order import in_order, latest

MOST_UPDATES = 20_000_000
"""Beyond which steps are taken for tokens, samples or seconds; a rule walks a million a second."""
_LARGEST = 2.0**53


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
        sources: (name of the file, its format in words, columns of step, loss and rate).
    """

    steps: np.ndarray
    losses: np.ndarray
    rates: np.ndarray | None
    total: int | None
    notes: tuple[str, ...]
    sources: tuple[tuple[str, str, tuple[str, str, str]], ...]


def piece_of(columns: Columns, kind: str, *, total: int | None = None) -> Piece:
    """Return the piece that a table holds.

    Raises:
        ValueError: no column, or several, could be the loss; or a named one is not there.
    """
    wanted = columns.wanted
    loss = None if wanted.loss else chosen("loss", columns.cells, wanted)
    loss = loss or chosen("loss", columns.names, wanted)
    if loss is None:
        raise no_losses(columns.names)
    if loss not in columns.cells:
        raise no_numbers(loss, columns)
    counted = wanted.step == ROWS
    step = None if counted else chosen("step", columns.cells, wanted)
    rate = chosen("rate", columns.cells, wanted)
    rows, losses = (np.array(side) for side in columns.cells[loss])
    rate_rows, rates = (np.array(side) for side in columns.cells[rate]) if rate else (rows[:0],) * 2
    if step is None:
        steps, rate_steps = np.arange(len(rows)), np.searchsorted(rows, rate_rows)
    else:
        at, numbers = (np.array(side) for side in columns.cells[step])
        whole = np.abs(numbers) < _LARGEST  # and no nan
        at, numbers = at[whole], numbers[whole]
        known, known_rates = np.isin(rows, at), np.isin(rate_rows, at)
        rows, losses = rows[known], losses[known]
        rate_rows, rates = rate_rows[known_rates], rates[known_rates]
        numbers = np.round(numbers).astype(np.int64)
        steps = numbers[np.searchsorted(at, rows)]
        rate_steps = numbers[np.searchsorted(at, rate_rows)]
    without = columns.rows - len(rows)
    names = step or "", loss, rate or ""
    return Piece(kind, steps, losses, rate_steps, rates, without, total, step is None, names)


def joined(pieces: Sequence[tuple[str, Piece]], per_update: float = 1.0) -> Log:
    """Return the run that files hold one after the other; where steps repeat the later ones count.

    A file that counts rows goes on where the one before it ended.

    Args:
        pieces: (name of the file, what it holds), in the order of the run.
        per_update: how far the step counts in an update, above 0: 1, or the tokens of a batch.

    Raises:
        ValueError: there is no loss in them, or the steps cannot be updates.
    """
    notes: list[str] = []
    steps, losses, rate_steps, rates, start = [], [], [], [], 0
    for name, piece in pieces:
        shift = start if piece.counted else 0
        own, of_each, moved = in_order(piece.steps, piece.losses)
        steps.append(_updates(own, piece, per_update) + shift)
        losses.append(of_each)
        own, of_each, _ = in_order(piece.rate_steps, piece.rates)
        rate_steps.append(_updates(own, piece, per_update) + shift)
        rates.append(of_each)
        if moved:
            notes.append(not_in_order(name))
        start = int(steps[-1].max(initial=-1)) + 1
        notes += said_of(
            name, without=piece.without, counted=not piece.columns[0] and piece.counted
        )
    at, values = np.concatenate(steps), np.concatenate(losses)
    if not len(at):
        raise ValueError("expected training losses with a step, got none")
    negative = at < 0
    if negative.any():
        notes.append(negative_steps(int(negative.sum())))
        at, values = at[~negative], values[~negative]
    kept = latest(at)
    notes += restarts(at, kept)
    at, values = at[kept], values[kept]
    if _counts_from_one(at):
        at, first = at - 1, 1
    else:
        first = 0
    if at[-1] >= MOST_UPDATES:
        raise ValueError(
            f"expected steps that count updates, at most {MOST_UPDATES:,}, got {at[-1]:,} for "
            f"{len(at):,} losses: say --per-update N where they count tokens or samples, N of "
            "them in an update, or --step row"
        )
    found = _rates_at(at + first, np.concatenate(rate_steps), np.concatenate(rates))
    notes += spacing(at, values)
    totals = [piece.total for _, piece in pieces if piece.total]
    sources = tuple((name, piece.kind, piece.columns) for name, piece in pieces)
    return Log(at, values, found, totals[-1] if totals else None, tuple(notes), sources)


def _updates(steps: np.ndarray, piece: Piece, per_update: float) -> np.ndarray:
    """Return steps in updates."""
    if piece.counted or per_update == 1.0:
        return steps
    return np.floor(steps / per_update + 1e-9).astype(np.int64)


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

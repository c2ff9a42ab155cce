"""Which columns of a log are the step, the training loss and the rate: by their names.

Names are compared in small letters with every other sign as a space, so that "train/loss",
"train_loss" and "Train Loss" are one. What W&B puts before a name, "RUN - ", does not count.
"""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

STEPS = ("train global step", "trainer global step", "global step", "step", "steps", "iter",
         "iters", "iteration", "iterations", "update", "updates", "num updates", "it")  # fmt: skip
LOSSES = ("loss", "train loss", "training loss", "loss train", "train loss step", "loss step",
          "lm loss", "train lm loss")  # fmt: skip
RATES = ("lr", "learning rate", "train lr", "train learning rate")
"""Names that are chosen before others, in this order."""

EVALUATION = frozenset(("val", "valid", "validation", "eval", "evaluation", "test", "dev"))
"""Words before a loss that is not that of training."""
_NOT_ONE_UPDATE = EVALUATION | {"min", "max", "std", "best", "epoch"}

ROWS = "row"
"""The step that counts rows."""


@dataclass(frozen=True)
class Wanted:
    """What the user said of a log; empty where nothing.

    Attributes:
        step: name of the column of steps, or "row" to count rows.
        loss: name of the column of losses.
        rate: name of the column of rates.
        run: name of the run, in files that hold several.
        pattern: regular expression for text, with groups step, loss and lr by name.
        per_update: how far the step counts in an update, > 0.

    Raises:
        ValueError: `per_update` is out of its range.
    """

    step: str = ""
    loss: str = ""
    rate: str = ""
    run: str = ""
    pattern: str = ""
    per_update: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.per_update < math.inf:
            raise ValueError(f"--per-update: expected a number above 0, got {self.per_update}")


def plain(name: str) -> str:
    """Return a name as it is compared.

    Example:
        >>> plain("train/Loss_step"), plain("lr-AdamW/pg1"), plain("test 3 - loss")
        ('train loss step', 'lr adamw pg1', 'loss')
    """
    return " ".join(re.findall(r"[a-z0-9]+", name.rpartition(" - ")[2].lower()))


def may_matter(name: str, wanted: Wanted) -> bool:
    """Return whether a column could be chosen."""
    words = plain(name)
    asked = [plain(known) for known in (wanted.step, wanted.loss, wanted.rate) if known]
    return words in (*STEPS, *asked) or "loss" in words.split() or _is_rate(words)


def chosen(role: str, names: Iterable[str], wanted: Wanted) -> str | None:
    """Return the column of a role ("step", "loss" or "rate"), `None` where there is none.

    Raises:
        ValueError: the one that is asked for is not there, or several could be the loss.

    Example:
        >>> chosen("loss", ["step", "eval_loss", "train/loss"], Wanted())
        'train/loss'
    """
    names, asked = list(names), getattr(wanted, role)
    if asked:
        found = [n for n in names if n == asked] or [n for n in names if plain(n) == plain(asked)]
        if not found:
            raise ValueError(f"--{role}: expected one of {_listed(names)}, got {asked!r}")
        return found[0]
    known = {"step": STEPS, "loss": LOSSES, "rate": RATES}[role]
    same = ([n for n in names if plain(n) == word] for word in known)
    found = next((each for each in same if each), [])
    if not found and role != "step":
        found = [n for n in names if (_is_loss if role == "loss" else _is_rate)(plain(n))]
    if role == "loss" and len(found) > 1:
        raise ValueError(f"expected one column of losses, got {_listed(found)}: choose with --loss")
    return found[0] if found else None


def _is_loss(words: str) -> bool:
    return "loss" in words.split() and not _NOT_ONE_UPDATE & set(words.split())


def _is_rate(words: str) -> bool:
    return "lr" in words.split() or "learning rate" in words


def _listed(names: list[str]) -> str:
    shown = ", ".join(sorted(names)[:12]) or "no column"
    return shown + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def no_losses(names: Iterable[str]) -> ValueError:
    """Return the sentence for a log in which no column is the training loss."""
    return ValueError(
        f"expected a column of training losses such as 'loss' or 'train/loss', got "
        f"{_listed(list(names))}: name it with --loss"
    )


def no_numbers(loss: str, columns: Columns) -> ValueError:
    """Return the sentence for a log whose column of losses has no number in it."""
    got = columns.odd.get(loss, "empty ones" if columns.rows else "no row")
    return ValueError(f"expected numbers in the column {loss!r}, got {got}")


class Columns:
    """The columns of a table that may matter, filled row by row: 16 bytes a cell.

    Attributes:
        rows: how many rows there were.
        names: of all columns that were seen.
        odd: by column, the first cell that is no number.
    """

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.rows = 0
        self.names: dict[str, bool] = {}
        self.cells: dict[str, tuple[array[int], array[float]]] = {}
        self.odd: dict[str, str] = {}

    def add(self, row: Mapping[str, Any]) -> None:
        """Take in a row; what is no number is left out."""
        for name, value in row.items():
            matters = self.names.get(name)
            if matters is None:
                if isinstance(value, dict):
                    self._nested(name, value)
                    continue
                matters = self.names[name] = may_matter(name, self.wanted)
            if matters and value is not None and value != "":
                self.put(name, value)
        self.rows += 1

    def _nested(self, name: str, inside: Mapping[str, Any]) -> None:
        rows = self.rows
        self.add({f"{name}/{key}": value for key, value in inside.items()})
        self.rows = rows

    def put(self, name: str, value: Any) -> None:
        """Fill a cell of the current row."""
        try:
            number = float(value)
        except (TypeError, ValueError):
            self.odd.setdefault(name, f"{value!r:.40}")
            return
        held = self.cells.get(name)
        if held is None:
            held = self.cells[name] = array("q"), array("d")
        held[0].append(self.rows)
        held[1].append(number)

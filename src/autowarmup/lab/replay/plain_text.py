"""Text logs: "step 10 loss 3.2" and its like, one line at a time.

Known are lines of nanoGPT (`iter 10: loss 3.2, time ...`), modded-nanogpt (`step:10/1000
train_loss:3.2`), llm.c (`step 10/1000 | loss 3.2 | lr 1e-4`), Megatron (`iteration 10/ 1000 |
learning rate: 1e-4 | lm loss: 3.2E+00`), the Trainer's printed dicts, progress bars of tqdm, and
files with nothing but a loss, or a step and a loss, a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TextIO

from autowarmup.lab.replay.columns import EVALUATION, Columns, Wanted
from autowarmup.lab.replay.log import Piece, piece_of

# All of these are for lines in small letters.
_NUMBER = r"([-+]?(?:\d+\.?\d*(?:e[-+]?\d+)?|\.\d+(?:e[-+]?\d+)?|nan|inf(?:inity)?))"
_WHOLE = r"(\d{1,3}(?:,\d{3})+|\d+)"
_IS = r"""["']?\s*[:=]?\s*["']?"""
_STEP = re.compile(
    r"(?<![a-z])(?:global[_ ]?step|step|iter(?:ation)?|update|it)s?"
    rf"{_IS}\[?\s*{_WHOLE}(?:\s*/\s*{_WHOLE})?(?![\d.])",
)
_COLOUR = re.compile(r"\x1b\[[\d;]*m")
_BETWEEN = re.compile(r"\s*[,;\s]\s*")
_BAR = re.compile(r"\|\s*(\d+)/(\d+)\s*\[")
_LOSS = re.compile(rf"loss{_IS}{_NUMBER}")
_BEFORE = re.compile(r"([a-z0-9]+)[ _/.-]$")
_PLAIN = ("", "train", "training", "lm", "total", "mean", "avg", "average", "running")
"""Words before the loss that count before others where a line has several."""
_RATE = re.compile(rf"(?<![a-z])(?:lr|learning[_ ]rate){_IS}{_NUMBER}")


def read_text(file: TextIO, wanted: Wanted) -> Piece:
    """Return what a text holds; lines without a loss are passed over.

    Raises:
        ValueError: a pattern that is none, or that names no loss; no line with a loss.
    """
    columns, beside, totals = Columns(wanted), Columns(wanted), set()
    if wanted.pattern:
        _by_pattern(file, _compiled(wanted.pattern), columns)
    else:
        totals = _by_habit(file, columns, beside)
        if not columns.cells:
            columns = beside
    if not columns.cells:
        raise ValueError(
            "expected lines such as 'step 10 loss 3.2', got none: give --pattern, a regular "
            "expression with the groups (?P<step>...) and (?P<loss>...)"
        )
    total = int(totals.pop()) if len(totals) == 1 else None
    return piece_of(columns, "text", total=total)


def says_loss(line: str) -> bool:
    """Return whether a line names a loss and its value.

    Example:
        >>> says_loss("iter 3, loss 2.5"), says_loss("iter,loss,lr")
        (True, False)
    """
    return _LOSS.search(_small(line)) is not None


def _by_habit(lines: Iterable[str], columns: Columns, beside: Columns) -> set[str]:
    """Fill columns from lines as people print them; return the totals of their steps.

    Args:
        lines: of the log.
        columns: for the lines of training.
        beside: for training losses that stand beside those of an evaluation.
    """
    totals: set[str] = set()
    for line in lines:
        text = _small(line)
        if "loss" not in text:
            if row := _bare(text):
                columns.add(row)
            continue
        losses = [(found.start(), found[1]) for found in _LOSS.finditer(text)]
        losses = [(at, value) for at, value in losses if not text[at - 1 : at].isalpha()]
        if not losses:
            continue
        words = [_word_before(text, at) for at, _ in losses]
        training = [k for k, word in enumerate(words) if word not in EVALUATION]
        target = columns
        if len(training) < len(words) or "train_runtime" in text:
            columns.rows += 1
            if not training:
                beside.rows += 1
                continue
            target = beside
        plain = (k for k in training if words[k] in _PLAIN or words[k].isdigit())
        main = next(plain, training[0])
        row, step = {"loss": losses[main][1]}, _STEP.search(text) or _BAR.search(text)
        if step:
            row["step"] = step[1].replace(",", "")
            if step[2]:
                totals.add(step[2].replace(",", ""))
        if rate := _RATE.search(text):
            row["lr"] = rate[1]
        target.add(row)
    return totals


def _small(line: str) -> str:
    """Return a line in small letters, without the colours of a terminal."""
    text = line.strip().lower()
    return _COLOUR.sub("", text) if "\x1b" in text else text


def _word_before(text: str, at: int) -> str:
    before = _BEFORE.search(text[max(0, at - 20) : at])
    return before[1] if before else ""


def _by_pattern(lines: Iterable[str], pattern: re.Pattern[str], columns: Columns) -> None:
    for line in lines:
        if found := pattern.search(line):
            columns.add({name: value for name, value in found.groupdict().items() if value})


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"--pattern: expected a regular expression, got {error}") from None
    if "loss" not in compiled.groupindex:
        raise ValueError(f"--pattern: expected a group (?P<loss>...), got {pattern!r}")
    return compiled


def _bare(text: str) -> dict[str, str]:
    """Return the row of a line of nothing but a loss, or a step and a loss."""
    parts = _BETWEEN.split(text) if text[:1].isdigit() or text[:1] in "+-.ni" else []
    if len(parts) > 2 or not all(map(is_number, parts)):
        return {}
    return dict(zip(("step", "loss")[2 - len(parts) :], parts, strict=True))


def is_number(text: str) -> bool:
    """Return whether a text is a number as Python reads it, nan and inf too."""
    try:
        float(text)
    except ValueError:
        return False
    return True

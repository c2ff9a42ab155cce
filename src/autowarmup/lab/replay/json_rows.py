"""Logs in JSON: a row a line, a list of rows, the Trainer's state, traces of this library."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from typing import Any, TextIO

from autowarmup.lab.replay.columns import Columns, Wanted
from autowarmup.lab.replay.log import Piece, piece_of

HISTORY = "log_history"
"""Where the Trainer of Hugging Face keeps its rows in `trainer_state.json`."""


def read_json(file: TextIO, wanted: Wanted) -> Piece:
    """Return what a JSON file holds; a half-written last line is dropped.

    Raises:
        ValueError: a line before the last is not JSON.
    """
    filled = (line for line in file if line.strip())
    first, second = next(filled, ""), next(filled, "")
    row = _parsed(first)
    if isinstance(row, dict) and second:
        return piece_of(
            _filled(_lines(row, itertools.chain([second], filled)), wanted), "JSON lines"
        )
    text = "".join([first, second, *filled])
    try:
        whole = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"expected JSON, or a JSON object a line, got {error}") from None
    if isinstance(whole, dict) and HISTORY in whole:
        total = whole.get("max_steps")
        total = total if isinstance(total, int) and total > 0 else None
        rows, kind = whole[HISTORY], "the Trainer's state"
        return piece_of(_filled(rows, wanted), kind, total=total)
    if isinstance(whole, dict):
        inside = [rows for rows in whole.values() if _has_rows(rows)]
        whole = inside[0] if len(inside) == 1 else _rows(whole) or [whole]
    return piece_of(_filled(whole, wanted), "JSON")


def _lines(first: Any, rest: Iterable[str]) -> Iterable[Any]:
    yield first
    bad = ""
    for line in rest:
        if bad:
            raise ValueError(f"expected a JSON object a line, got {bad[:60]!r}")
        row = _parsed(line)
        if row is None:
            bad = line.strip()  # the last line may be cut short
        else:
            yield row


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError:
        return None


def _has_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _rows(table: dict[str, Any]) -> list[Any]:
    """Return the rows of a table that holds a list for each column."""
    lists = {name: values for name, values in table.items() if isinstance(values, list)}
    longest = max(map(len, lists.values()), default=0)
    return [
        {name: values[at] for name, values in lists.items() if at < len(values)}
        for at in range(longest)
    ]


def _filled(rows: Any, wanted: Wanted) -> Columns:
    columns = Columns(wanted)
    if not isinstance(rows, Iterable):
        raise ValueError(f"expected rows of a log in JSON, got {rows!r:.60}")
    for row in rows:
        if isinstance(row, int | float):
            row = {"loss": row}
        if not isinstance(row, dict):
            raise ValueError(f"expected a JSON object for each row, got {row!r:.60}")
        columns.add(row)
    return columns

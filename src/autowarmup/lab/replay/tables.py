"""Logs as tables: CSV of Lightning, of W&B and of everybody, TSV, parquet."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from autowarmup.lab.replay.columns import Columns, Wanted, may_matter, plain
from autowarmup.lab.replay.log import Piece, piece_of
from autowarmup.lab.replay.plain_text import is_number, says_loss

SPACES = " "
"""The delimiter of a table that has no other one; any number of them is one."""
EXPORTED = ["wall time", "step", "value"]
"""Columns of the CSV that TensorBoard exports, of one tag that it does not name."""
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(,\d{3})+(\.\d*)?")


def is_table(line: str, next_line: str, wanted: Wanted) -> bool:
    """Return whether the first line is a header, one of whose names may matter, and the next a row.

    Example:
        >>> is_table("step loss", "0 3.2", Wanted()), is_table("Loss of step 0", "3 more", Wanted())
        (True, False)
    """
    delimiter = _delimiter(line)
    names, row = (_cells(each, delimiter) for each in (line, next_line))
    if says_loss(line) or says_loss(next_line) or any(map(is_number, names)):
        return False
    if not any(may_matter(name, wanted) for name in names):
        return False
    if delimiter == SPACES and next_line:
        return len(row) == len(names) and all(map(is_number, row))
    return not next_line or len(row) == len(names) or any(map(is_number, row))


def read_table(file: TextIO, wanted: Wanted) -> Piece:
    """Return what a table with a header holds; its delimiter is the one of the header.

    Of columns with the same name the first counts; losses that have the same name are refused.
    """
    header = file.readline()
    delimiter = _delimiter(header)
    names, columns = _cells(header, delimiter), Columns(wanted)
    if [plain(name) for name in names] == EXPORTED and not wanted.loss:
        columns.wanted = wanted = replace(wanted, loss=names[2])
    columns.names = {name: may_matter(name, wanted) for name in names}
    cells = [(names.index(name), name) for name, matters in columns.names.items() if matters]
    try:
        for row in _rows(file, delimiter):
            for at, name in cells:
                if at < len(row) and row[at]:
                    columns.put(name, _with_point(row[at], delimiter))
            columns.rows += 1
    except csv.Error as error:
        raise ValueError(f"expected a table, got {error} in row {columns.rows + 1:,}") from None
    piece = piece_of(columns, "CSV" if delimiter == "," else "a table")
    loss = piece.columns[1]
    if (same := names.count(loss)) > 1:
        raise ValueError(f"expected one column {loss!r}, got {same} of that name")
    return piece


def read_parquet(path: Path, wanted: Wanted) -> Piece:
    """Return what a parquet file holds.

    Raises:
        ModuleNotFoundError: pyarrow is not installed.
    """
    try:
        from pyarrow import ArrowException, parquet
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "parquet needs pyarrow: expected `pip install pyarrow`, or the log as CSV"
        ) from error
    columns = Columns(wanted)
    try:
        file = parquet.ParquetFile(path)
        names = file.schema_arrow.names
        columns.names = {name: may_matter(name, wanted) for name in names}
        held = [name for name in names if columns.names[name]]
        for batch in file.iter_batches(columns=held):
            for row in batch.to_pylist():
                columns.add(row)
    except (ArrowException, OSError) as error:
        raise ValueError(f"expected a parquet file, got one that is damaged: {error}") from None
    return piece_of(columns, "parquet")


def _delimiter(line: str) -> str:
    found = max(",\t;|", key=line.count)
    return found if found in line else SPACES


def _rows(lines: Iterable[str], delimiter: str) -> Iterator[list[str]]:
    return csv.reader(lines, delimiter=delimiter, skipinitialspace=delimiter == SPACES)


def _cells(line: str, delimiter: str) -> list[str]:
    return [cell.strip() for cell in next(_rows([line.strip("\r\n")], delimiter), [])]


def _with_point(cell: str, delimiter: str) -> str:
    """Return a number as Python reads it: "1,234" in quotes, "3,25" where commas do not delimit."""
    if "," not in cell:
        return cell
    if delimiter == "," or "." in cell:
        return cell.replace(",", "") if _THOUSANDS.fullmatch(cell.strip()) else cell
    return cell.replace(",", ".")

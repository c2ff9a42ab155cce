"""Logs as tables: CSV of Lightning, of W&B and of everybody, TSV, parquet."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TextIO

from autowarmup.lab.replay.columns import Columns, Wanted, may_matter
from autowarmup.lab.replay.log import Piece, piece_of
from autowarmup.lab.replay.plain_text import says_loss


def is_table(line: str, wanted: Wanted) -> bool:
    """Return whether a first line is a header: names with a delimiter, one of which may matter."""
    names = _cells(line)
    if says_loss(line):
        return False
    return not any(map(_is_number, names)) and any(may_matter(name, wanted) for name in names)


def read_table(file: TextIO, wanted: Wanted) -> Piece:
    """Return what a table with a header holds; its delimiter is the one of the header."""
    header = file.readline()
    delimiter = _delimiter(header)
    names, columns = _cells(header), Columns(wanted)
    columns.names = {name: may_matter(name, wanted) for name in names}
    cells = [(at, name) for at, name in enumerate(names) if columns.names[name]]
    try:
        for row in csv.reader(file, delimiter=delimiter):
            for at, name in cells:
                if at < len(row) and row[at]:
                    columns.put(name, row[at])
            columns.rows += 1
    except csv.Error as error:
        raise ValueError(f"expected a table, got {error} in row {columns.rows + 1:,}") from None
    return piece_of(columns, "CSV" if delimiter == "," else "a table")


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
    return max(",\t;|", key=line.count)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([line], delimiter=_delimiter(line)), [])]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

"""Any log: its first bytes say what it is, whatever it is called, packed by gzip or not."""

from __future__ import annotations

import codecs
import contextlib
import gzip
import io
import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from autowarmup.lab.replay.columns import Wanted
from autowarmup.lab.replay.event_files import read_events
from autowarmup.lab.replay.json_rows import read_json
from autowarmup.lab.replay.log import Log, Piece, joined
from autowarmup.lab.replay.plain_text import read_text
from autowarmup.lab.replay.tables import is_table, read_parquet, read_table
from autowarmup.lab.replay.trackio_file import read_trackio

EVENTS = "events.out.tfevents"
"""How the names of TensorBoard's files begin."""
_JSON = re.compile(r"\s*(\{(?!')|\[\s*($|\{|\[|[-+\d.eE]+\s*[,\]]))")
"""How JSON begins, and neither the printed dicts of Python nor a date in brackets."""
_INSIDE = ("trainer_state.json", "metrics.csv", "trace.jsonl")
"""What is looked for in a directory, beside events and checkpoints of the Trainer."""


def read_logs(paths: Sequence[Path], wanted: Wanted | None = None) -> Log:
    """Return the run that files or directories hold, one going on where the one before ended.

    Raises:
        ValueError: a log that cannot be read, in one sentence that names it.
        OSError: a file that is not there.
    """
    wanted = wanted or Wanted()
    pieces = []
    for path in paths:
        try:
            pieces.append((path.name or str(path), _piece(path, wanted)))
        except (ValueError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"{path}: {' '.join(str(error).split())}") from None
        except FileNotFoundError:
            raise FileNotFoundError(
                f"{path}: expected a log, got no file or directory of that name"
            ) from None
    try:
        return joined(pieces, wanted.per_update)
    except ValueError as error:
        raise ValueError(f"{', '.join(map(str, paths))}: {error}") from None


def _piece(path: Path, wanted: Wanted) -> Piece:
    if path.is_dir():
        return _inside(path, wanted)
    if EVENTS in path.name:
        return _events([path], wanted)
    with _unpacked(path) as file:
        head = file.peek(64)[:64]
        if not head:
            raise ValueError("expected a log, got an empty file")
        if head.startswith(b"SQLite format 3\0"):
            return read_trackio(path, wanted)
        if head.startswith(b"PAR1"):
            return read_parquet(path, wanted)
        if head.startswith(b":W&B"):
            raise ValueError(
                "expected the CSV that W&B exports (or run.history().to_csv()), got its own file"
            )
        wide = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # PowerShell's `>`
        if b"\0" in head and not wide:
            raise ValueError("expected a log in text, got binary data")
        encoding = "utf-16" if wide else "utf-8-sig"
        with io.TextIOWrapper(file, encoding=encoding, errors="replace") as text:
            return _text(text, wanted)


def _text(file: io.TextIOWrapper, wanted: Wanted) -> Piece:
    """Return what a text holds: JSON, a table, or lines as people print them."""
    if wanted.pattern:
        return read_text(file, wanted)
    at, start = _filled_line(file)
    table = is_table(start, _filled_line(file)[1], wanted)
    file.seek(at)
    if _JSON.match(start):
        return read_json(file, wanted)
    return (read_table if table else read_text)(file, wanted)


def _filled_line(file: io.TextIOWrapper) -> tuple[int, str]:
    """Return the next line that is neither empty nor a comment, and where it begins."""
    at = file.tell()
    line = file.readline(1 << 16)
    while line and (not line.strip() or line.startswith("#")):
        at = file.tell()
        line = file.readline(1 << 16)
    return at, line


def _inside(directory: Path, wanted: Wanted) -> Piece:
    """Return what a directory of a run holds.

    Raises:
        ValueError: nothing that is known, or several runs.
    """
    if events := sorted(directory.glob(f"{EVENTS}*")):
        return _events(events, wanted)
    for name in _INSIDE:
        if (directory / name).is_file():
            return _piece(directory / name, wanted)
    states = list(directory.glob("checkpoint-*/trainer_state.json"))
    if states:  # the last one holds the whole history
        return _piece(max(states, key=lambda path: int(path.parent.name.split("-")[-1])), wanted)
    below = sorted({path.parent for path in directory.rglob(f"{EVENTS}*")})
    below += sorted({p.parent for name in _INSIDE for p in directory.rglob(name)} - {*below})
    if len(below) == 1:
        return _inside(below[0], wanted)
    known = ", ".join([*_INSIDE, f"{EVENTS}.*"])
    got = ", ".join(str(path.relative_to(directory)) for path in below[:6]) or "none of them"
    several = f"expected one run, got {got}: give one of these" if below else ""
    raise ValueError(several or f"expected a directory with {known}, got {got}")


def _events(paths: Sequence[Path], wanted: Wanted) -> Piece:
    with contextlib.ExitStack() as stack:
        return read_events([stack.enter_context(_unpacked(path)) for path in paths], wanted)


@contextlib.contextmanager
def _unpacked(path: Path) -> Iterator[io.BufferedReader]:
    """Open a file to read its bytes, through gzip where its first bytes say so."""
    with path.open("rb") as raw:
        packed = raw.peek(2)[:2] == b"\x1f\x8b"
        yield io.BufferedReader(cast(Any, gzip.GzipFile(fileobj=raw))) if packed else raw

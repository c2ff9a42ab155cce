"""The directory of one run: who may write into it, and files that a crash cannot leave half-made.

config.json    written first; says whose directory this is
trace.jsonl    one line per update, free of wall-clock times, so two equal runs give equal bytes
result.json    written last
checkpoint-*   see `autowarmup.lab.train.checkpoint`
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import fields
from pathlib import Path
from typing import Any

from autowarmup.history import Point
from autowarmup.lab.files import write_aside
from autowarmup.lab.train.config import TrainConfig

FORMAT = "autowarmup-run-1"
# They change what is kept on disk or who shares the work, never what the run is.
_FREE = ("checkpoint_every", "save_model", "parallel")
_DEFAULTS = {field.name: field.default for field in fields(TrainConfig)}


def check_directory(out: Path, config: TrainConfig, *, resume: bool) -> dict[str, Any] | None:
    """Return the result of this very run if it is already there, `None` if it is to be run.

    Raises:
        ValueError: not a directory of ours, another config, or an unfinished run that would be
            overwritten because `resume` is off.
    """
    if out.exists() and not out.is_dir():
        raise ValueError(f"out: expected a directory, got the file {out}")
    if not out.exists() or not any(out.iterdir()):
        return None
    path = out / "config.json"
    try:
        held = json.loads(path.read_text())
    except (OSError, ValueError):
        held = {}
    if not isinstance(held, dict) or held.get("format") != FORMAT:
        raise ValueError(
            f"out: expected an empty directory or one made by autowarmup, got {out} with other "
            f"files in it; choose another directory"
        )
    if _is_blank(out):
        return None
    # A run from before a field existed has what is now its default.
    wanted, saved = config.to_dict(), {**_DEFAULTS, **held["config"]}
    differing = sorted(
        key
        for key in wanted.keys() | saved.keys()
        if key not in _FREE and wanted.get(key) != saved.get(key)
    )
    if differing:
        shown = "; ".join(
            f"{key}: there {saved.get(key)}, now {wanted.get(key)}" for key in differing
        )
        raise ValueError(f"out: {out} holds a run with another config ({shown})")
    if (out / "result.json").exists():
        result = json.loads((out / "result.json").read_text())
        if result.get("status") in ("finished", "diverged"):
            return result
    if not resume and any(out.glob("checkpoint-*")):
        raise ValueError(
            f"out: {out} holds an unfinished run with a checkpoint; "
            f"continue it with --resume (resume=True) or choose another directory"
        )
    return None


def _is_blank(out: Path) -> bool:
    """Whether a run was begun here and stopped before its first update was written down."""
    trace = out / "trace.jsonl"
    return not (
        (out / "result.json").exists()
        or any(out.glob("checkpoint-*"))
        or (trace.exists() and trace.stat().st_size)
    )


def claim_directory(out: Path, config: TrainConfig) -> None:
    """Make the directory and write `config.json`, which marks it as ours."""
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"format": FORMAT, "config": config.to_dict()}, indent=2)
    write_aside(out / "config.json", text.encode())


class TraceFile:
    """`trace.jsonl`, written in lots; `length` is what a checkpoint must remember.

    Args:
        path: the file; `None` keeps nothing, for all processes but the first.
        length: bytes to keep of the file that is there.

    Raises:
        ValueError: the file is shorter than that.
    """

    def __init__(self, path: Path | None, *, length: int = 0) -> None:
        self.path, self.length = path, length
        self._lines: list[str] = []
        self._file = None
        if path is None:
            return
        held = path.stat().st_size if length and path.exists() else 0
        if held < length:
            raise ValueError(
                f"resume: expected at least {length} bytes in {path}, as at the checkpoint, "
                f"got {held}"
            )
        self._file = path.open("r+b" if length else "wb")
        # Lines after the checkpoint belong to updates that will be made again.
        self._file.truncate(length)
        self._file.seek(length)

    def __enter__(self) -> TraceFile:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        # Where something else has gone wrong already (a full disk), that is the news.
        with contextlib.suppress(*([OSError] if kind else [])):
            self.close()

    def append(self, point: Point) -> None:
        """Add a line; it reaches the disk with the next lot."""
        self._lines.append(point.to_json())
        if len(self._lines) >= 25:
            self.flush()

    def flush(self, *, durable: bool = False) -> None:
        """Write what is waiting; `durable` waits for the disk itself.

        Raises:
            OSError: with one sentence, e.g. for a full disk.
        """
        lot = "".join(line + "\n" for line in self._lines).encode()
        self._lines.clear()
        if self._file is None:
            return
        try:
            self._file.write(lot)
            self._file.flush()
            if durable:
                os.fsync(self._file.fileno())
        except OSError as error:
            raise OSError(f"could not write {self.path} ({error.strerror or error})") from error
        self.length += len(lot)

    def close(self) -> None:
        """Write what is waiting and close."""
        try:
            self.flush(durable=True)
        finally:
            # After a failed flush closing fails for the same reason, which is being reported.
            with contextlib.suppress(OSError):
                if self._file is not None:
                    self._file.close()

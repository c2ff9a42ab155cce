"""The trace of a run while it is written: a line an update, cut back where a run goes on."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from autowarmup.history import Point


class TraceFile:
    """`trace.jsonl`; `length` counts its bytes, which is what a checkpoint must remember.

    Args:
        path: the file; `None` keeps nothing, for all processes but the first.
        length: bytes to keep of the file that is there.
    """

    def __init__(self, path: Path | None, *, length: int = 0) -> None:
        self.path, self.length = path, length
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
        if length:
            self._file.seek(length - 1)
            if self._file.read(1) != b"\n":
                self._file.close()
                raise ValueError(
                    f"resume: expected the end of a line after {length} bytes of {path}, as at the "
                    "checkpoint, got another trace"
                )
        # Lines after the checkpoint belong to updates that will be made again.
        self._file.truncate(length)
        self._file.seek(length)

    def __enter__(self) -> TraceFile:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        # Where something else has gone wrong already (a full disk), that is the news.
        with contextlib.suppress(*([OSError] if kind else [])):
            try:
                self.flush()
            finally:
                # After a failed flush closing fails for the same reason, which is being reported.
                with contextlib.suppress(OSError):
                    if self._file is not None:
                        self._file.close()

    def append(self, point: Point) -> None:
        """Add a line; it reaches the disk with the next lines, or with `flush`."""
        line = (point.to_json() + "\n").encode()
        self.length += len(line)
        self._write(line)

    def flush(self) -> None:
        """Write what is waiting and wait for the disk."""
        self._write(b"", durable=True)

    def _write(self, line: bytes, *, durable: bool = False) -> None:
        if self._file is None:
            return
        try:
            self._file.write(line)
            if durable:
                self._file.flush()
                os.fsync(self._file.fileno())
        except OSError as error:
            raise OSError(f"could not write {self.path} ({error.strerror or error})") from error

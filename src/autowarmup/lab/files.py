"""Files that a crash cannot leave half-made, and values that JSON has words for."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from autowarmup.history import strict_json


def write_aside(path: Path, content: bytes | memoryview) -> None:
    """Write a file so that it is there completely or not at all, also after a power cut.

    Raises:
        OSError: with one sentence, e.g. for a full disk; what was at `path` before is untouched.
    """
    aside = path.with_name(f"{path.stem}.tmp-{os.getpid()}")
    try:
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
        _sync_directory(path.parent)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise OSError(f"could not write {path} ({error.strerror or error})") from error


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8, at once or not at all; a name of a file that is none becomes "?".

    Raises:
        OSError: with one sentence, e.g. for a full disk.
    """
    write_aside(path, text.encode("utf-8", "replace"))


def _sync_directory(directory: Path) -> None:
    if os.name == "nt":  # Windows opens no directory
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: Path, values: Any) -> None:
    """Write strict JSON for people and machines, at once or not at all.

    Raises:
        OSError: with one sentence, e.g. for a full disk.
    """
    write_text(path, json.dumps(strict_json(values), indent=1, allow_nan=False) + "\n")

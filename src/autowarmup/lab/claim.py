"""One directory, one process that writes to it: claimed at once or refused in one sentence.

The claim is a lock of the operating system on OUT/.autowarmup.lock, which ends with its process
however that ends; containers on one machine and NFS with locks share it. Where locks do not reach,
as on Windows, on file systems without them or with locks of each machine's own, the file says who
holds it, and a beat every few seconds that the holder is alive.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from autowarmup.lab.owner import ended_here, machine, me, runs_here

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

NAME = ".autowarmup.lock"
BEAT = 3.0
"""Seconds between two signs of life."""
PATIENCE = 4 * BEAT
"""How long a holder elsewhere may be silent before it counts as gone."""

_to_the_server = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync

_held: dict[Path, tuple[int, int]] = {}  # directory -> thread and process that hold it
_handles: set[int] = set()


@contextlib.contextmanager
def claimed(out: str | Path) -> Iterator[None]:
    """Hold a directory, which is made if it is missing; inside a claim of the same again for free.

    What was made is removed at the end where it is still empty.

    Raises:
        ValueError: another process (or thread) holds it, or it is a file.
        OSError: nothing can be written there.
    """
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise ValueError(f"out: expected a directory, got the file {out}")
    place, us = out.resolve(), (threading.get_ident(), os.getpid())
    if _held.get(place) == us:
        yield
        return
    made = [folder for folder in (out, *out.parents) if not folder.exists()]
    try:
        out.mkdir(parents=True, exist_ok=True)
        handle, file = _take(out)
    except OSError as error:
        _remove(made)
        reason = error.strerror or error
        raise OSError(f"out: expected a directory to write to, got {out} ({reason})") from error
    _held[place] = us
    over = threading.Event()
    beat = threading.Thread(target=_beat, args=(handle, over), daemon=True)
    beat.start()
    try:
        yield
    finally:
        over.set()
        beat.join()
        _held.pop(place, None)
        if file.name != NAME:  # no lock to lose, and Windows removes no open file
            _close(handle)
        with contextlib.suppress(OSError):
            file.unlink()
        _close(handle)
        _remove(made)


def others(out: Path) -> list[Path]:
    """Return what a directory holds beside the claim; nothing where there is none."""
    return (
        [path for path in out.iterdir() if not path.name.startswith(NAME)] if out.exists() else []
    )


def _take(out: Path) -> tuple[int, Path]:
    """Return the open file that is the claim, and its path."""
    file = out / NAME
    while True:
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        locked = _lock(handle)
        if locked is None:
            os.close(handle)
            file.unlink(missing_ok=True)
            return _take_without_locks(out, out / f"{NAME}.owner")
        owner = _read(file)
        if not locked:
            os.close(handle)
            raise _in_use(out, owner)
        with contextlib.suppress(FileNotFoundError):
            if os.fstat(handle).st_ino == os.stat(file).st_ino:
                break
        os.close(handle)  # whoever held it has just removed it
    # A lock that was free says that the holder is gone, unless locks end at this machine.
    if owner and owner.get("machine") != machine() and _beats(file, owner):
        os.close(handle)
        raise _in_use(out, owner)
    return _write_first(handle), file


def _lock(handle: int) -> bool | None:
    """Return whether the lock is ours now; `None` where there are no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError as error:
        return False if error.errno in (errno.EAGAIN, errno.EACCES) else None


def _take_without_locks(out: Path, file: Path) -> tuple[int, Path]:
    """Only one process can be the one that makes a file."""
    while True:
        try:
            return _write_first(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)), file
        except FileExistsError:
            pass
        owner = _read(file)
        if runs_here(owner) or (not ended_here(owner) and _beats(file, owner)):
            raise _in_use(out, owner)
        aside = file.with_name(f"{NAME}.gone-{os.getpid()}-{time.monotonic_ns()}")
        try:
            file.rename(aside)  # of several, one succeeds
            aside.unlink()
        except FileNotFoundError:
            pass
        except PermissionError:  # Windows: its holder has it open, silent as it is
            raise _in_use(out, owner) from None


def _write_first(handle: int) -> int:
    _handles.add(handle)
    _write(handle, 0)
    return handle


def _write(handle: int, beats: int) -> None:
    text = json.dumps({**me(), "beats": beats}).encode()
    with contextlib.suppress(OSError):  # a full disk; the lock itself needs no room
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, text)
        os.ftruncate(handle, len(text))
        _to_the_server(handle)


def _beat(handle: int, over: threading.Event) -> None:
    beats = 0
    while not over.wait(BEAT):
        beats += 1
        _write(handle, beats)


def _beats(file: Path, owner: dict[str, Any]) -> bool:
    """Wait for a sign of life; clocks of different machines need not agree."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        time.sleep(BEAT / 4)
        if _read(file) != owner:
            return True
    return False


def _read(file: Path) -> dict[str, Any]:
    try:
        held = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return held if isinstance(held, dict) else {}


def _in_use(out: Path, owner: dict[str, Any]) -> ValueError:
    who = "another process"
    if {"pid", "host"} <= set(owner):
        who = f"process {owner['pid']} on {owner['host']}"
    return ValueError(
        f"out: expected a directory that nobody else writes to, got {out}, which is in use by "
        f"{who}; wait for its end or choose another directory"
    )


def _close(handle: int) -> None:
    if handle in _handles:
        _handles.discard(handle)
        with contextlib.suppress(OSError):
            os.close(handle)


def _remove(folders: list[Path]) -> None:
    """Remove folders that are empty, the innermost first."""
    with contextlib.suppress(OSError):
        for folder in folders:
            folder.rmdir()


def _forget() -> None:
    """Leave the lock to the parent after a fork, or it would outlive its process."""
    for handle in list(_handles):
        _close(handle)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)

"""A process by what tells it from every other: its machine, its number there, when it began."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any


def me() -> dict[str, Any]:
    """Return what others can know this process by."""
    pid = os.getpid()
    return {"machine": machine(), "host": platform.node(), "pid": pid, "space": _space(),
            "began": _began(pid)}  # fmt: skip


def machine() -> str:
    """Return a name of the running kernel: containers on it share its locks."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:
        return platform.node()


def _space() -> str:
    """Return in which space process numbers count: each container has its own."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _began(pid: int) -> str:
    """Return when a process began: numbers are used again."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _same_space(owner: dict[str, Any]) -> bool:
    if os.name == "nt":  # there a signal 0 is Ctrl-C: the beat alone says who lives
        return False
    return (owner.get("machine"), owner.get("space")) == (machine(), _space())


def runs_here(owner: dict[str, Any]) -> bool:
    """Return whether such a process runs where its number counts as ours does."""
    if not _same_space(owner) or not isinstance(owner.get("pid"), int):
        return False
    try:
        os.kill(owner["pid"], 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return _began(owner["pid"]) == owner.get("began")


def ended_here(owner: dict[str, Any]) -> bool:
    """Return whether it ran there and does no longer."""
    return _same_space(owner) and not runs_here(owner)

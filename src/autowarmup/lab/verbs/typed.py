"""What was typed after `autowarmup`, for records and for sentences about it."""

from __future__ import annotations

import shlex

words: list[str] = []


def verb() -> str:
    """Return the first word, empty where there is none."""
    return words[0] if words else ""


def command() -> str:
    """Return the command line that was typed."""
    return shlex.join(["autowarmup", *words])

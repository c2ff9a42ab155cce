"""Thin shells around the scheduler for the frameworks people train with.

Each module imports its framework, so none of them is imported here.
"""

from __future__ import annotations


def missing(library: str, extra: str = "") -> ModuleNotFoundError:
    """Return what to raise where the library of a host is not installed."""
    asked = f"'autowarmup[{extra}]'" if extra else library
    return ModuleNotFoundError(f"this integration needs {library}: expected pip install {asked}")

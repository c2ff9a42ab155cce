"""The only thing that rooms hand each other: one `Point` per update, kept in a `Trace`.

A `History` is the bounded memory of a long run.

Example:
    >>> trace = Trace([Point(step=0, loss=5.5, lr=1e-4), Point(step=1, loss=5.25, lr=2e-4)])
    >>> trace.column("loss")
    [5.5, 5.25]
"""

from __future__ import annotations

from autowarmup.history.history import History
from autowarmup.history.point import MEASURED, Point, strict_json
from autowarmup.history.trace import Trace

__all__ = ["MEASURED", "History", "Point", "Trace", "strict_json"]

"""The bounded memory of a long run: points at an even stride that doubles when needed."""

from __future__ import annotations

from typing import Any

from autowarmup.history.point import Point
from autowarmup.history.trace import Trace


class History:
    """At most `most` points of a run of any length, evenly spaced.

    Rows are kept as plain lists, the fields of `Point` in order, because one comes in every step.

    Example:
        >>> history = History(most=4)
        >>> for step in range(10):
        ...     history.add(step, 1.0)
        >>> history.trace.column("step")
        [0, 4, 8]
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.stride = 1
        self.rows: list[list[Any]] = []

    @property
    def trace(self) -> Trace:
        """The points that are kept."""
        return Trace(Point(*row) for row in self.rows)

    def add(self, step: int, *values: Any) -> None:
        """Keep a row, if its step is a multiple of `stride`: ask before making one that is not.

        With too many rows every other one goes, and the stride doubles.
        """
        if step % self.stride:
            return
        self.rows.append([step, *values])
        if len(self.rows) > self.most:
            del self.rows[1::2]
            self.stride *= 2

    def state_dict(self) -> dict[str, Any]:
        """Return the rows and the stride as plain JSON values."""
        return {"rows": [list(row) for row in self.rows], "stride": self.stride}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a saved history."""
        self.rows = [list(row) for row in state["rows"]]
        self.stride = state["stride"]

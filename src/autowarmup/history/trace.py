"""The updates of a run, in order; as a file they are JSON Lines.

One object per line, absent quantities left out. A line that was cut short by a crash can only be
the last one, and reading drops it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autowarmup.history.point import Point, checked
from autowarmup.pages import curvature_page, run_page
from autowarmup.picture import draw_run, told

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Trace:
    """An ordered list of points with JSON Lines in and out."""

    def __init__(self, points: Iterable[Point] = ()) -> None:
        self.points: list[Point] = list(points)

    def __len__(self) -> int:
        return len(self.points)

    def __iter__(self) -> Iterator[Point]:
        return iter(self.points)

    def __getitem__(self, index: int) -> Point:
        return self.points[index]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Trace) and self.points == other.points

    def __repr__(self) -> str:
        return f"Trace({len(self)} points)"

    def append(self, point: Point) -> None:
        """Add a point at the end."""
        self.points.append(point)

    def column(self, name: str) -> list[Any]:
        """Return one field of every point, `None` where it was not recorded."""
        return [getattr(point, name) for point in self.points]

    def write(self, path: str | Path) -> None:
        """Write the whole trace as JSON Lines."""
        Path(path).write_text(
            "".join(point.to_json() + "\n" for point in self.points), encoding="utf-8"
        )

    @classmethod
    def read(cls, path: str | Path) -> Trace:
        """Read JSON Lines; a half-written last line is dropped.

        Raises:
            ValueError: the file is no text, or a line before the last is not a JSON object with
                `step` and `loss` and numbers where `Point` has numbers.
        """
        try:
            lines = Path(path).read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            raise ValueError(f"{path}: expected JSON Lines, got a file that is not text") from None
        points = []
        for number, line in enumerate(lines, start=1):
            try:
                points.append(checked(Point.from_dict(json.loads(line))))
            except (ValueError, TypeError, AttributeError, RecursionError) as error:
                if number == len(lines) and isinstance(error, json.JSONDecodeError):
                    break  # cut short
                raise ValueError(
                    f"{path}, line {number}: expected a JSON object with the numbers step and "
                    f"loss, got {line[:80]!r}"
                ) from None
        return cls(points)

    def to_pandas(self) -> Any:
        """Return a `pandas.DataFrame`: a row per point, a column per field that some point has.

        Raises:
            ModuleNotFoundError: pandas is not installed.
        """
        try:
            import pandas  # pyright: ignore[reportMissingImports]
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "to_pandas needs pandas: expected pip install pandas"
            ) from error
        return pandas.DataFrame([point.to_dict() for point in self.points])

    def report(self, out: str | Path | None = None) -> str:
        """Return in a few sentences what the points show.

        Args:
            out: a directory: also write its page, OUT/measure.html where curvature was measured,
                else OUT/report.html; needs `autowarmup[report]`.

        Raises:
            ModuleNotFoundError: a package for pages is missing.
            ValueError: OUT is a file or holds files of others.

        Example:
            >>> Trace([Point(0, 5.5, lr=1e-4), Point(1, 5.25, lr=2e-4)]).report()
            '2 points of updates 0 to 1. The loss went from 5.5 to 5.25. The rate was highest at
            update 1, at 0.0002.'
        """
        said = told(self.points)
        if out is None:
            return said
        if any(point.K is not None for point in self.points):
            bounds = (point.lower_bound for point in self.points)
            bound = next((each for each in bounds if each is not None), 0.0)
            return f"{said} {curvature_page(out, self, lower_bound=bound)}"
        return f"{said} {run_page(out, self, said, {}, self.plot)}"

    def plot(self, axes: Axes | None = None) -> Axes:
        """Draw rate and loss over the updates; needs matplotlib (`autowarmup[report]`).

        Args:
            axes: of matplotlib, to draw into; new ones if not given.

        Returns:
            The axes; `.figure.savefig("run.png")` writes them.

        Raises:
            ModuleNotFoundError: matplotlib is missing.
            ValueError: what is given is no axes.
        """
        return draw_run(self.points, [], f"{len(self):,} points of a run", axes)

    def thinned(self, most: int) -> Trace:
        """Return at most about `most` points, evenly spaced, the last one kept."""
        stride = max(1, math.ceil(len(self) / most))
        kept = self.points[::stride]
        if self.points and kept[-1] is not self.points[-1]:
            kept.append(self.points[-1])
        return Trace(kept)

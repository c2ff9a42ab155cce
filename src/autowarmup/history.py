"""The only thing that rooms hand each other: one `Point` per step, kept in a `Trace`.

A `History` is the bounded memory of a long run: points at an even stride that doubles when needed.

A trace is a JSON Lines file: one object per line, absent quantities left out. A line that was cut
short by a crash can only be the last one, and reading drops it.

Example:
    >>> trace = Trace([Point(step=0, loss=5.5, lr=1e-4), Point(step=1, loss=5.25, lr=2e-4)])
    >>> trace.column("loss")
    [5.5, 5.25]
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autowarmup.pages import curvature_page, run_page
from autowarmup.picture import draw_run, told

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, slots=True)
class Point:
    """What was seen at one optimizer step (`step` counts updates from 0).

    Attributes:
        step: index of the update.
        loss: loss at the weights before the update (mean over the batch); may be non-finite.
        gap: smoothed loss minus the lower bound, in units of the loss.
        lr: rate of the first parameter group used by this update.
        factor: share of the peak rate used by this update.
        phase: "warmup", "decay" or "done".
        status: name of the schedule's status after it saw the loss.
        val_loss: validation loss after this update, where it was measured.
        grad_norm: Euclidean norm of the gradient before clipping.
        K: measured curvature ||g(after) - g(before)||_* / ||x(after) - x(before)||, both gradients
            on the batch of this update, in the dual and the primal norm of the optimizer.
        loss_after: loss on the same batch at the weights after the update.
        K_dir: curvature along the update, from the two losses and one slope (same batch).
        K_next: curvature along the update before this one, seen on this update's batch, which
            that update did not depend on.
        K_noise: what batch noise alone would give for K of the update before this one: dual norm
            of the difference of two batches' gradients at one point, per length of that update.
        trust_ratio: actual over first-order decrease of the loss on the batch of this update.
        alignment: <g, u> / (||g||_* ||u||) of the gradient and the update -u; 1 is steepest.
        step_norm: primal norm of the update.
        grad_dual: dual norm of the gradient before the update.
        H: largest absolute eigenvalue of the Hessian at the weights before the update.
        lower_bound: of the loss, as the measurement was told; left out where it is 0.
    """

    step: int
    loss: float
    gap: float | None = None
    lr: float | None = None
    factor: float | None = None
    phase: str | None = None
    status: str | None = None
    val_loss: float | None = None
    grad_norm: float | None = None
    K: float | None = None
    loss_after: float | None = None
    K_dir: float | None = None
    K_next: float | None = None
    K_noise: float | None = None
    trust_ratio: float | None = None
    alignment: float | None = None
    step_norm: float | None = None
    grad_dual: float | None = None
    H: float | None = None
    lower_bound: float | None = None

    def __eq__(self, other: object) -> bool:
        """Return whether all fields are equal; a NaN is equal to a NaN.

        A dataclass would ask for the same NaN object up to Python 3.12, and for none since.
        """
        if not isinstance(other, Point):
            return NotImplemented
        pairs = ((getattr(self, f.name), getattr(other, f.name)) for f in fields(Point))
        return all(a == b or (a != a and b != b) for a, b in pairs)

    def __hash__(self) -> int:
        """Go by the update alone: a NaN has another hash each time."""
        return hash(self.step)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields that are present, as plain JSON values."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Point:
        """Build a point from a dict; unknown keys are ignored so that newer files stay readable."""
        if "f_star" in values:  # its name in earlier files
            values = {"lower_bound": values["f_star"], **values}
        known = {field.name for field in fields(cls)}
        return cls(**{key: value for key, value in values.items() if key in known})

    def to_json(self) -> str:
        """Return one JSON line (non-finite numbers as NaN / Infinity, which Python reads back)."""
        return json.dumps(self.to_dict())


MEASURED = (
    "loss_after",
    "K",
    "K_dir",
    "K_next",
    "K_noise",
    "trust_ratio",
    "alignment",
    "step_norm",
    "grad_dual",
    "H",
    "lower_bound",
)
"""The fields of `Point` that only a measurement of the curvature fills."""


def strict_json(value: Any) -> Any:
    """Replace nan and infinity by `None`, at any depth: JSON has no word for them.

    Example:
        >>> strict_json({"loss": [1.0, math.nan], "lr": math.inf})
        {'loss': [1.0, None], 'lr': None}
    """
    if isinstance(value, dict):
        return {str(key): strict_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [strict_json(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


_TEXTS = ("phase", "status")


def _checked(point: Point) -> Point:
    """Return a point whose fields are of their types; a bool is no number."""
    for field in fields(Point):
        value = getattr(point, field.name)
        needed = field.name in ("step", "loss")
        kinds = str if field.name in _TEXTS else int if field.name == "step" else (int, float)
        if isinstance(value, bool) or (
            not isinstance(value, kinds) and (needed or value is not None)
        ):
            raise TypeError(f"{field.name}: {value!r}")
    return point


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
                points.append(_checked(Point.from_dict(json.loads(line))))
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

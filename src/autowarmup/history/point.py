"""What was seen at one update."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields
from typing import Any


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


MEASURED = ("loss_after", "K", "K_dir", "K_next", "K_noise", "trust_ratio", "alignment",
            "step_norm", "grad_dual", "H", "lower_bound")  # fmt: skip
"""The fields of `Point` that only a measurement of the curvature fills."""

_TEXTS = ("phase", "status")


def checked(point: Point) -> Point:
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

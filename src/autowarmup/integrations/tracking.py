"""Show rate, phase, gap and, where it is measured, the trust ratio in a tracker.

One hook for all: TensorBoard writers have `add_scalar`; Weights & Biases and trackio, their modules
as well as their runs, have `log`; anything else can be a function of a dict and a step.
"""

from __future__ import annotations

from typing import Any, Protocol

from autowarmup.history import Point
from autowarmup.rules.state import PHASES, WarmupState


class Schedule(Protocol):
    """What the hook reads; the torch scheduler has it."""

    @property
    def phase(self) -> str: ...  # noqa: D102 - as in AdaptiveWarmup
    @property
    def factor(self) -> float: ...  # noqa: D102
    @property
    def last(self) -> Point | None: ...  # noqa: D102
    @property
    def used(self) -> dict[str, WarmupState]: ...  # noqa: D102
    @property
    def used_lrs(self) -> list[float]: ...  # noqa: D102


def metrics(
    schedule: Schedule, *, prefix: str = "warmup/", rates: bool = True, observer: Any = None
) -> dict[str, float]:
    """Return what there is to draw of the update that was made last, as floats by name.

    Before the first update they are what it will use. The gap is there where the rule read a loss:
    after warm-up most do not.

    Args:
        schedule: an `AdaptiveWarmup`.
        prefix: of every name.
        rates: whether to give the rate of each parameter group: `lr`, `lr_1`, `lr_2`, ...
        observer: a `CurvatureObserver`, for the trust ratio of its last measurement.

    Example:
        >>> import torch
        >>> from autowarmup import AdaptiveWarmup
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=0.5)
        >>> metrics(AdaptiveWarmup(optimizer, 100, rule="flat"))
        {'warmup/phase': 0.0, 'warmup/factor': 0.01, 'warmup/lr': 0.005}
    """
    last = schedule.last
    phase = schedule.phase if last is None else last.phase
    factor = schedule.factor if last is None else last.factor
    assert phase is not None, "a schedule fills both"
    assert factor is not None
    values = {"phase": float(PHASES.index(phase)), "factor": float(factor)}
    states = list(schedule.used.items())
    if len(states) > 1:
        values |= {f"factor_{word}": state.factor for word, state in states}
    if rates:
        for index, rate in enumerate(schedule.used_lrs):
            values["lr" if index == 0 else f"lr_{index}"] = rate
    if last is not None and last.gap is not None:
        values["gap"] = float(last.gap)
    if observer is not None:
        ratios = [p.trust_ratio for p in observer.trace if p.trust_ratio is not None]
        if ratios:
            values["trust_ratio"] = float(ratios[-1])
    return {prefix + name: value for name, value in values.items()}


class Tracker:
    """Writes `metrics` to a tracker.

    Args:
        sink: a TensorBoard `SummaryWriter`; `wandb`, `trackio` or a run of theirs; or a function
            `f(values, step)`.
        schedule: an `AdaptiveWarmup`.
        every: write at every so many calls, the first included.
        observer: a `CurvatureObserver`, for the trust ratio.
        prefix: of every name.

    Raises:
        ValueError: something else as a sink, or `every` below 1.

    Example:
        >>> import torch
        >>> from autowarmup import AdaptiveWarmup
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=0.5)
        >>> scheduler = AdaptiveWarmup(optimizer, total_steps=100)
        >>> tracker = Tracker(lambda values, step: print(step, sorted(values)), scheduler)
        >>> tracker.log()
        0 ['warmup/factor', 'warmup/lr', 'warmup/phase']
    """

    def __init__(
        self,
        sink: Any,
        schedule: Schedule,
        *,
        every: int = 1,
        observer: Any = None,
        prefix: str = "warmup/",
    ) -> None:
        if every < 1:
            raise ValueError(f"expected every >= 1, got {every}")
        self.schedule, self.every, self.observer, self.prefix = schedule, every, observer, prefix
        _check(sink)
        self._sink = sink
        self._calls = 0

    def log(self, step: int | None = None) -> None:
        """Write the values of the update just made; call it once per update, after the scheduler.

        Args:
            step: index on the tracker's axis; that of the update, from 0, if not given.
        """
        due = self._calls % self.every == 0
        self._calls += 1
        if due:
            values = metrics(self.schedule, prefix=self.prefix, observer=self.observer)
            last = self.schedule.last
            index = 0 if last is None else last.step
            _write(self._sink, values, index if step is None else step)


def _write(sink: Any, values: dict[str, float], step: int) -> None:
    if callable(getattr(sink, "add_scalar", None)):
        for name, value in values.items():
            sink.add_scalar(name, value, step)
    elif callable(getattr(sink, "log", None)):
        sink.log(values, step=step)
    else:
        sink(values, step)


def _check(sink: Any) -> None:
    if any(callable(getattr(sink, name, None)) for name in ("add_scalar", "log", "__call__")):
        return
    raise ValueError(
        "expected a tracker with add_scalar (TensorBoard) or log (wandb, trackio), or a function "
        f"of a dict and a step, got {type(sink).__name__}"
    )

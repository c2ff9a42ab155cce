"""Where a warm-up stands between two updates, the same for every rule; `rules.stepping` moves it.

It is immutable and made of plain numbers: stopping, saving, loading and going on is the same, bit
for bit, as never having stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, NamedTuple, cast

from autowarmup.rules.base import Rule, Run
from autowarmup.rules.gap import GapState
from autowarmup.rules.status import Status

PHASES = ("warmup", "decay", "done", "stable")
"""In the order in which they came to be known; "stable" lies between the first two."""


class WarmupState(NamedTuple):
    """Where a rule stands between two updates.

    Attributes:
        rule: the rule, with its settings.
        run: what it was told of the run.
        step: number of updates taken, which is the index of the next one.
        factor: share of the peak rate that the next update uses, in (0, 1].
        phase: "warmup", "stable", "decay" or "done".
        status: what the last update had to say.
        tracker: what the smoothing of the gap remembers.
        memory: what the rule remembers.
        share: of the peak rate before the decay; what was reached, once warm-up has ended.
        end: index of the first update after warm-up, `None` while it lasts.
        ended_by: what ended warm-up ("gap", "cap", "length", ...), empty while it lasts.
        non_finite: number of losses dropped because they were not finite.
        spikes: number of gaps above twice or under half of their smoothed value.
        below_bound: number of losses below the lower bound.
        since: index of the first update of the decay, `None` before it.
        height: share of `share` from which the decay runs, below 1 if the run was extended in it.
        rewarmed: index of the first update of a later ramp and its length, `None` without one.
        lowered: how often the rule lowered its share, or by a tenth or more at once.
        lowest: the least share that this led to, 1 if it never did.
    """

    rule: Rule[Any]
    run: Run
    step: int
    factor: float
    phase: str
    status: Status
    tracker: GapState
    memory: Any
    share: float
    end: int | None = None
    ended_by: str = ""
    non_finite: int = 0
    spikes: int = 0
    below_bound: int = 0
    since: int | None = None
    height: float = 1.0
    rewarmed: tuple[int, int] | None = None
    lowered: int = 0
    lowest: float = 1.0

    @property
    def reads_next(self) -> bool:
        """Whether the rule reads the loss of the next update."""
        if self.phase == "warmup":
            return self.rule.reads_loss
        return self.phase != "done" and self.rule.watches(self.memory, self.step)

    @property
    def gap(self) -> float | None:
        """Smoothed gap in units of the loss, `None` before the first finite loss."""
        return self.tracker.gap

    def to_dict(self) -> dict[str, Any]:
        """Return the state as plain JSON values; `from_dict` gives back an equal state."""
        memory = self.memory
        return self._asdict() | {
            "rule": self.rule.name,
            "run": asdict(self.run),
            "status": self.status.name,
            "tracker": self.tracker._asdict(),
            "memory": (
                {name: _plain(value) for name, value in memory._asdict().items()}
                if hasattr(memory, "_asdict")
                else memory
            ),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any], rule_of: Callable[[str], Rule[Any]]) -> WarmupState:
        """Build the state that `to_dict` described.

        Args:
            values: the dict.
            rule_of: turns the name of a rule into the rule, as `rules.registry.rule_of`.

        Raises:
            ValueError: the dict is not one of `to_dict`'s.
        """
        try:
            rule, rewarmed = rule_of(values["rule"]), values.get("rewarmed")
            return cls(**values)._replace(
                rewarmed=None if rewarmed is None else (rewarmed[0], rewarmed[1]),
                rule=rule,
                run=Run(**values["run"]),
                status=Status[values["status"]],
                tracker=GapState(**values["tracker"]),
                memory=rule.restore(values["memory"]),
            )
        except (TypeError, KeyError) as error:
            raise ValueError(
                f"expected the state of a warm-up as to_dict() returns it, got {values!r:.200}"
            ) from error


def _plain(value: Any) -> Any:
    """Return tuples, however deep, as tuples that have no class of their own."""
    if not isinstance(value, tuple):
        return value
    return tuple(map(_plain, cast("tuple[Any, ...]", value)))

"""What every warm-up rule is: a pure function from what training showed to a share of the rate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, Self

from autowarmup.rules.config import ScheduleConfig
from autowarmup.rules.status import Status

KINDS = ("fixed", "published", "candidate")
"""fixed: a length chosen beforehand; published: by others; candidate: this project's."""


class Seen(NamedTuple):
    """What one update showed.

    Attributes:
        loss: loss of its batch before it, `None` if there is none.
        trust: where it was probed, the decrease of the loss on the same batch over the decrease
            that the gradient promised; 1 for a tiny step, 0 where nothing was gained.
    """

    loss: float | None
    trust: float | None = None


@dataclass(frozen=True)
class RuleState:
    """Where a rule stands between two updates; plain numbers all through.

    Attributes:
        config: the settings; `1 / config.div` is the share of the peak rate to start from.
        step: number of updates taken, which is the index of the next one.
    """

    config: ScheduleConfig
    step: int = 0

    @property
    def factor(self) -> float:
        """Share of the peak rate that the next update uses."""
        raise NotImplementedError

    @property
    def warmup_end_step(self) -> int | None:
        """Index of the first update at the peak rate, `None` while warm-up lasts."""
        raise NotImplementedError

    @property
    def ended_by(self) -> str:
        """What ended warm-up."""
        return "" if self.warmup_end_step is None else "length"

    @property
    def gap(self) -> float | None:
        """Smoothed gap, for rules that follow it."""
        return None

    @property
    def phase(self) -> str:
        """ "warmup", "decay" or "done"."""
        if self.step >= self.config.total_steps:
            return "done"
        return "warmup" if self.warmup_end_step is None else "decay"

    @property
    def status(self) -> Status:
        """What the last step had to say."""
        if self.step >= self.config.total_steps:
            return Status.DONE
        if self.warmup_end_step == 0 and self.step == 0:
            return Status.NOT_NEEDED
        return Status.WARMING if self.warmup_end_step is None else Status.DECAYING

    @property
    def last_step(self) -> int:
        """Index of the next update, or of the last one when all are done."""
        return min(self.step, self.config.total_steps - 1)

    def to_dict(self) -> dict[str, Any]:
        """Return the state as plain JSON values; `from_dict` gives back an equal state."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Build the state that `to_dict` described.

        Raises:
            ValueError: the dict is not one of `to_dict`'s.
        """
        try:
            return cls(**{**values, "config": ScheduleConfig(**values["config"])})
        except (TypeError, KeyError) as error:
            raise ValueError(
                f"expected the state of a rule as to_dict() returns it, got {values!r:.200}"
            ) from error


@dataclass(frozen=True, slots=True)
class Rule:
    """One way to choose the rates of a run.

    Attributes:
        name: how users and results call it.
        kind: one of `KINDS`.
        about: one line for tables.
        init: config -> state before the first update. A state has what `RuleState` has.
        step: (state, seen) -> state after one more update.
        load: what `to_dict` of a state returned -> the state.
        reads_loss: whether it follows the loss.
        c: least trust ratio of the measured start, in [0, 1); `None` where none is measured.
        wants_trust: whether the next update should be probed, given the state.
        budget: most that its probes may cost, as a share of the run; a run that is compared at
            equal compute is shorter by it.
    """

    name: str
    kind: str
    about: str
    init: Callable[[ScheduleConfig], Any]
    step: Callable[[Any, Seen], Any]
    load: Callable[[dict[str, Any]], Any]
    reads_loss: bool = True
    c: float | None = None
    wants_trust: Callable[[Any], bool] | None = None
    budget: float = 0.0

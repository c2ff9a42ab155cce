"""The schedule: one loss in, one share of the peak rate out, after every update.

Phases. In *warm-up* the factor follows the law of the gap; it ends when the smoothed gap reaches
the peak gap, or else at the cap: once `max_fraction` of the run is over, the factor is raised
linearly from where it stands to 1 within 3 % of the run. A ramp that has begun is finished whatever
the gap does, so that the rate never jumps. Then the *decay* runs over all remaining updates, and
after the last one the schedule is *done* and stays where it is.

Everything is a pure function of an immutable state of plain numbers: stopping, saving, loading and
going on is the same, bit for bit, as never having stopped.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, NamedTuple

from autowarmup.core.config import ScheduleConfig
from autowarmup.core.decay import decay_factor
from autowarmup.core.gap import GapState, observe
from autowarmup.core.law import peak_factor
from autowarmup.core.peak import choose
from autowarmup.core.status import Status

PHASES = ("warmup", "decay", "done")


class ScheduleState(NamedTuple):
    """Where the schedule stands between two updates.

    Attributes:
        config: the settings.
        step: number of updates taken, which is the index of the next one.
        factor: share of the peak rate that the next update uses, in (0, 1].
        phase: "warmup", "decay" or "done".
        status: what the last step had to say.
        tracker: what the smoothing of the gap remembers.
        gap0: first gap seen in warm-up, in units of the loss.
        gap_peak: smoothed gap at which warm-up ends.
        cap_step: index of the first update of the ramp that follows the cap.
        cap_factor: factor of the update before it, from which the ramp rises.
        warmup_end_step: index of the first update at the peak rate.
        ended_by: "gap", "cap", "not needed", or "" while warm-up lasts.
        non_finite: number of losses dropped because they were not finite.
        spikes: number of gaps above twice or under half of their smoothed value.
        below_bound: number of losses below the lower bound.
    """

    config: ScheduleConfig
    step: int = 0
    factor: float = 1.0
    phase: str = "warmup"
    status: Status = Status.WARMING
    tracker: GapState = GapState()
    gap0: float | None = None
    gap_peak: float | None = None
    cap_step: int | None = None
    cap_factor: float | None = None
    warmup_end_step: int | None = None
    ended_by: str = ""
    non_finite: int = 0
    spikes: int = 0
    below_bound: int = 0

    @property
    def gap(self) -> float | None:
        """Smoothed gap in units of the loss, `None` before the first finite loss."""
        return self.tracker.gap

    def to_dict(self) -> dict[str, Any]:
        """Return the state as plain JSON values; `from_dict` gives back an equal state."""
        return self._asdict() | {
            "config": asdict(self.config),
            "status": self.status.name,
            "tracker": self.tracker._asdict(),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ScheduleState:
        """Build the state that `to_dict` described.

        Raises:
            ValueError: the dict is not one of `to_dict`'s.
        """
        try:
            state = cls(**values)
            return state._replace(
                config=ScheduleConfig(**values["config"]),
                status=Status[values["status"]],
                tracker=GapState(**values["tracker"]),
            )
        except (TypeError, KeyError) as error:
            raise ValueError(
                f"expected the state of a schedule as to_dict() returns it, got {values!r:.200}"
            ) from error


def init(config: ScheduleConfig) -> ScheduleState:
    """Return the state before the first update, which runs at 1 / div.

    Example:
        >>> state = init(ScheduleConfig(total_steps=10, div=4.0, peak=0.5, smoothing=0.0))
        >>> state.factor, state.phase
        (0.25, 'warmup')
    """
    if config.div == 1.0:
        return ScheduleState(
            config,
            phase="decay",
            status=Status.NOT_NEEDED,
            warmup_end_step=0,
            ended_by="not needed",
        )
    return ScheduleState(config, factor=1.0 / config.div)


def step(state: ScheduleState, loss: float | None) -> tuple[ScheduleState, float, Status]:
    """Count one update and return the new state, the factor of the next update and the status.

    Args:
        state: where the schedule stood when the update was taken.
        loss: mean loss over the batch of that update at the weights before it; any float, or `None`
            if there is none. After warm-up it only feeds the record of the gap.

    Raises:
        ValueError: the first finite loss is not above the lower bound.

    Example:
        With peak=0.5 warm-up ends at half the first gap; one loss alone never ends it, because the
        median of three must agree. The rest of the run is the decay:

        >>> state = init(ScheduleConfig(6, div=4.0, peak=0.5, decay="linear", smoothing=0.0,
        ...                             max_fraction=1.0))
        >>> for loss in (4.0, 2.0, 2.0, 2.0, 2.0, 2.0):
        ...     print(state.factor, end=" ")
        ...     state, factor, status = step(state, loss)
        0.25 0.25 0.25 1.0 0.6666666666666667 0.33333333333333337
        >>> state.phase, state.warmup_end_step, state.ended_by
        ('done', 3, 'gap')
    """
    config = state.config
    tracker, event = state.tracker, None
    if loss is not None:
        tracker, event = observe(
            tracker, loss, lower_bound=config.lower_bound, smoothing=config.smoothing
        )
    elif state.phase == "warmup":
        event = Status.NO_LOSS
    changes: dict[str, Any] = {"step": state.step + 1, "tracker": tracker}
    if event in _COUNTERS:
        changes[_COUNTERS[event]] = getattr(state, _COUNTERS[event]) + 1
    if state.step + 1 >= config.total_steps:
        changes |= {"phase": "done", "status": Status.DONE}
    elif state.phase == "warmup":
        changes |= _warm_up(state, tracker.gap, loss, event)
    else:
        changes |= _decay(state, event)
    state = state._replace(**changes)
    return state, state.factor, state.status


_COUNTERS: dict[Status | None, str] = {
    Status.NON_FINITE: "non_finite",
    Status.SPIKE: "spikes",
    Status.BELOW_BOUND: "below_bound",
}


def _warm_up(
    state: ScheduleState, gap: float | None, loss: float | None, event: Status | None
) -> dict[str, Any]:
    """Return what changes for the next update while warm-up lasts."""
    config = state.config
    upcoming = state.step + 1
    if state.cap_step is not None and state.cap_factor is not None:
        return _ramp(state, state.cap_step, state.cap_factor, event)
    changes: dict[str, Any] = {"status": event or Status.WARMING}
    gap0, gap_peak = state.gap0, state.gap_peak
    if gap is not None:
        if gap0 is None or gap_peak is None:
            gap0, gap_peak = _start(config, gap, loss)
            changes |= {"gap0": gap0, "gap_peak": gap_peak}
        if gap <= gap_peak:
            return changes | _ended(upcoming, "gap", Status.PEAK_REACHED)
    if upcoming >= config.cap:
        # The ramp rises from the rate last used, not from what the newest loss would ask for.
        return changes | _ramp(state, upcoming, state.factor, Status.CAP_REACHED)
    if gap is not None and gap0 is not None and gap_peak is not None:
        changes["factor"] = peak_factor(gap, gap0, gap_peak, config.div)
    return changes


def _start(config: ScheduleConfig, gap0: float, loss: float | None) -> tuple[float, float]:
    """Return the first gap and the peak gap that the rule makes of it."""
    if gap0 <= 0.0:
        raise ValueError(
            "the lower bound must lie below the first loss: "
            f"expected lower_bound < {loss}, got {config.lower_bound}"
        )
    return gap0, gap0 * choose(config.peak, div=config.div, gap0=gap0, kappa=config.kappa)


def _ramp(state: ScheduleState, start: int, low: float, event: Status | None) -> dict[str, Any]:
    """Return what changes on the way from the cap, at update `start`, to the peak rate."""
    upcoming = state.step + 1
    changes: dict[str, Any] = {"cap_step": start, "cap_factor": low}
    done = upcoming - start + 1
    if done >= state.config.ramp:
        return changes | _ended(upcoming, "cap", Status.CAP_COMPLETED)
    share = done / state.config.ramp
    changes["factor"] = min(1.0, low + (1.0 - low) * share)
    changes["status"] = event or Status.CAP_REACHED
    return changes


def _ended(upcoming: int, ended_by: str, status: Status) -> dict[str, Any]:
    return {
        "factor": 1.0,
        "phase": "decay",
        "status": status,
        "warmup_end_step": upcoming,
        "ended_by": ended_by,
    }


def _decay(state: ScheduleState, event: Status | None) -> dict[str, Any]:
    """Return what changes for the next update after warm-up."""
    config, since = state.config, state.warmup_end_step
    assert since is not None, "the decay begins where warm-up ended"
    progress = (state.step + 1 - since) / (config.total_steps - since)
    return {
        "factor": decay_factor(config.decay, progress, config.final_fraction),
        "status": event or Status.DECAYING,
    }

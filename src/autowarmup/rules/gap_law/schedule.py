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

from autowarmup.rules.config import ScheduleConfig
from autowarmup.rules.decay import decay_factor
from autowarmup.rules.gap import GapState, observe
from autowarmup.rules.gap_law.law import peak_factor
from autowarmup.rules.gap_law.peak import choose
from autowarmup.rules.status import Status

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
    config, tracker = state.config, state.tracker
    event = None
    if loss is not None:
        tracker, event = observe(
            tracker, loss, lower_bound=config.lower_bound, smoothing=config.smoothing
        )
        if event is not None:
            state = _counted(state, event)
    elif state.phase == "warmup":
        event = Status.NO_LOSS
    if state.step + 1 >= config.total_steps:
        state = _advanced(state, tracker, state.factor, Status.DONE)._replace(phase="done")
    elif state.phase == "warmup":
        state = _warm_up(state, tracker, loss, event)
    else:
        state = _decay(state, tracker, event)
    return state, state.factor, state.status


def _advanced(
    state: ScheduleState, tracker: GapState, factor: float, status: Status
) -> ScheduleState:
    """Return the state one update later; by position, because this runs at every step."""
    return ScheduleState(
        state.config, state.step + 1, factor, state.phase, status, tracker, *state[6:]
    )


def _counted(state: ScheduleState, event: Status) -> ScheduleState:
    if event is Status.NON_FINITE:
        return state._replace(non_finite=state.non_finite + 1)
    if event is Status.SPIKE:
        return state._replace(spikes=state.spikes + 1)
    return state._replace(below_bound=state.below_bound + 1)


def _warm_up(
    state: ScheduleState, tracker: GapState, loss: float | None, event: Status | None
) -> ScheduleState:
    config, gap = state.config, tracker.gap
    if state.cap_step is not None:
        return _ramp(state, tracker, event)
    factor = state.factor
    if gap is not None:
        if state.gap0 is None or state.gap_peak is None:
            state = _started(state, gap, loss)
        assert state.gap0 is not None
        assert state.gap_peak is not None
        if gap <= state.gap_peak:
            return _ended(state, tracker, "gap", Status.PEAK_REACHED)
        factor = peak_factor(gap, state.gap0, state.gap_peak, config.div)
    if state.step + 1 >= config.cap:
        # The ramp rises from the rate last used, not from what the newest loss would ask for.
        state = state._replace(cap_step=state.step + 1, cap_factor=state.factor)
        return _ramp(state, tracker, Status.CAP_REACHED)
    return _advanced(state, tracker, factor, event or Status.WARMING)


def _started(state: ScheduleState, gap0: float, loss: float | None) -> ScheduleState:
    """Note the first gap and the peak gap that the rule makes of it."""
    config = state.config
    if gap0 <= 0.0:
        raise ValueError(
            "the lower bound must lie below the first loss: "
            f"expected lower_bound < {loss}, got {config.lower_bound}"
        )
    r = choose(config.peak, div=config.div, gap0=gap0, kappa=config.kappa)
    return state._replace(gap0=gap0, gap_peak=gap0 * r)


def _ramp(state: ScheduleState, tracker: GapState, event: Status | None) -> ScheduleState:
    """Go on from the cap to the peak rate."""
    start, low = state.cap_step, state.cap_factor
    assert start is not None, "a ramp begins at the cap"
    assert low is not None
    done = state.step + 2 - start
    if done >= state.config.ramp:
        return _ended(state, tracker, "cap", Status.CAP_COMPLETED)
    factor = min(1.0, low + (1.0 - low) * (done / state.config.ramp))
    return _advanced(state, tracker, factor, event or Status.CAP_REACHED)


def _ended(state: ScheduleState, tracker: GapState, ended_by: str, status: Status) -> ScheduleState:
    ended = _advanced(state, tracker, 1.0, status)
    return ended._replace(phase="decay", warmup_end_step=ended.step, ended_by=ended_by)


def _decay(state: ScheduleState, tracker: GapState, event: Status | None) -> ScheduleState:
    config, since = state.config, state.warmup_end_step
    assert since is not None, "the decay begins where warm-up ended"
    progress = (state.step + 1 - since) / (config.total_steps - since)
    factor = decay_factor(config.decay, progress, config.final_fraction)
    return _advanced(state, tracker, factor, event or Status.DECAYING)

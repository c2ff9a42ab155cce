"""One update of a warm-up, the same for every rule: one loss in, one share of the peak rate out.

A loss becomes a gap and an event (`rules.gap`); in *warm-up* the rule says the next share; when it
ends, the *decay* runs over all remaining updates from the share that was reached; after the last
update the run is *done* and the rate stays where it is. Where nobody knows the end, the rate is
*stable* after warm-up until `rules.life` is asked for the decay.
"""

from __future__ import annotations

from typing import Any

from autowarmup.rules.base import Rule, Run, Update, record
from autowarmup.rules.decay import decay_factor
from autowarmup.rules.gap import GapState, observe
from autowarmup.rules.state import WarmupState
from autowarmup.rules.status import Status

# What every step needs: looking a member up in its class takes as long as a call.
_NON_FINITE, _WARMING, _DECAYING = Status.NON_FINITE, Status.WARMING, Status.DECAYING
_STABLE, _LOWERED = Status.STABLE, Status.LOWERED
CUT = 0.9
"""A share below this part of the one before was lowered, whatever the rule says."""


def told(rule: Rule[Any], run: Run) -> Run:
    """Return what a rule is told of a run.

    Raises:
        ValueError: the rule counts shares of a run whose end is not known.
    """
    if run.total_steps is None and rule.needs_total_steps:
        raise ValueError(
            f"the rule {rule.name!r} counts shares of the run: expected total_steps, or a rule "
            "that counts updates such as 'paced' or 'linear 500 steps', got total_steps=None"
        )
    return rule.told(run)


def begin(rule: Rule[Any], run: Run) -> WarmupState:
    """Return the state before the first update.

    Raises:
        ValueError: the rule counts shares of a run whose end is not known.

    Example:
        >>> from autowarmup.rules import GapLaw
        >>> state = begin(GapLaw(end=0.5, div=4.0), Run(total_steps=10))
        >>> state.factor, state.phase
        (0.25, 'warmup')
    """
    run = told(rule, run)
    memory, share, ended_by, status = rule.start(run)
    if ended_by:
        said = status or Status.NOT_NEEDED
        known = run.total_steps is not None
        return WarmupState(rule, run, 0, share, "decay" if known else "stable", said, GapState(),
                           memory, share, 0, ended_by, since=0 if known else None)  # fmt: skip
    return WarmupState(rule, run, 0, share, "warmup", Status.WARMING, GapState(), memory, share)


def step(state: WarmupState, loss: float | None) -> WarmupState:
    """Count one update and return the state after it.

    Args:
        state: where the warm-up stood when the update was taken.
        loss: mean loss over the batch of that update at the weights before it; any float, or `None`
            if there is none. After warm-up it only feeds the record of the gap.

    Raises:
        ValueError: the first finite loss is not above the lower bound, and the rule reads the gap.

    Example:
        Warm-up ends at half the first gap; one loss alone never ends it, because the median of
        three must agree. The rest of the run is the decay:

        >>> from autowarmup.rules import GapLaw
        >>> rule = GapLaw(end=0.5, div=4.0, smoothing=0.0, max_fraction=1.0)
        >>> state = begin(rule, Run(6, decay="linear"))
        >>> for loss in (4.0, 2.0, 2.0, 2.0, 2.0, 2.0):
        ...     print(state.factor, end=" ")
        ...     state = step(state, loss)
        0.25 0.25 0.25 1.0 0.6666666666666667 0.33333333333333337
        >>> state.phase, state.end, state.ended_by
        ('done', 3, 'gap')
    """
    (rule, run, taken, factor, phase, status, tracker, memory, share, end, ended_by,
     non_finite, spikes, below_bound, since, height, rewarmed, lowered, lowest) = state  # fmt: skip
    event = gap = said = None
    used = share
    if loss is not None:
        unseen = tracker.gap is None
        tracker, event = observe(
            tracker, loss, lower_bound=run.lower_bound, smoothing=rule.gap_smoothing
        )
        if event is _NON_FINITE:
            non_finite, loss = non_finite + 1, None
        else:
            gap = tracker.last
            if event is not None:
                spikes += event is Status.SPIKE
                if event is Status.BELOW_BOUND:
                    below_bound += 1
                    event = event if rule.needs_bound else None
            if unseen and gap <= 0.0 and phase == "warmup" and rule.reads_loss and rule.needs_bound:
                raise ValueError(
                    "the lower bound must lie below the first loss: "
                    f"expected lower_bound < {loss}, got {run.lower_bound}"
                )
    elif phase == "warmup" and rule.reads_loss:
        event = Status.NO_LOSS
    after, total = taken + 1, run.total_steps
    if total is not None and after >= total:
        phase, status = "done", Status.DONE
    elif phase == "warmup":
        memory, share, ended, said = rule.advance(
            memory, record(Update, (run, taken, share, loss, gap, tracker.gap, event))
        )
        factor = share * _decayed(run, after, 0) if rule.decays_throughout else share
        status = said or event or (_LOWERED if share < used else _WARMING)
        if ended:
            phase, end, ended_by = "stable", after, ended
            status = said or Status.ENDED
            if total is not None:
                phase, since = "decay", after
    else:
        if rule.watches(memory, taken):
            memory, share, _, said = rule.advance(
                memory, record(Update, (run, taken, share, loss, gap, tracker.gap, event))
            )
        if since is None:
            factor, status = share, said or event or _STABLE
        else:
            factor = share * _decayed(run, after, since, height)
            status = said or event or _DECAYING
    if share < used and (said is _LOWERED or share < CUT * used):
        lowered, lowest = lowered + 1, min(lowest, share)
    if rewarmed is not None and phase != "done":
        factor, rewarmed = _rewarmed(factor, after, rewarmed)
    return record(WarmupState, (rule, run, after, factor, phase, status, tracker, memory, share,
                                end, ended_by, non_finite, spikes, below_bound, since, height,
                                rewarmed, lowered, lowest))  # fmt: skip


def _decayed(run: Run, step: int, since: int, height: float = 1.0) -> float:
    """Return the share of the decay that the update of this index has.

    A decay that begins lower ends where it would have ended.
    """
    progress = (step - since) / (run.length - since)
    if height == 1.0:
        return decay_factor(run.decay, progress, run.final_fraction)
    final = min(1.0, run.final_fraction / height)
    return height * decay_factor(run.decay, progress, final)


def _rewarmed(
    factor: float, step: int, ramp: tuple[int, int]
) -> tuple[float, tuple[int, int] | None]:
    """Return the factor on a later ramp, and the ramp while it lasts."""
    first, length = ramp
    done = step - first + 1
    return (factor, None) if done >= length else (factor * (done / length), ramp)

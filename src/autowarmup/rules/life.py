"""What may happen to a run once it goes: an end becomes known, moves, or training starts anew.

Pure functions of the state, as in `rules.stepping`; the rate goes on without a jump.
"""

from __future__ import annotations

from dataclasses import replace

from autowarmup.rules.settings import expect, whole
from autowarmup.rules.state import WarmupState
from autowarmup.rules.status import Status
from autowarmup.rules.stepping import step

REWARM_SHARE = 0.05
"""Largest share of what remains that a later ramp takes if its length is not given."""


def with_decay(state: WarmupState, steps: int) -> WarmupState:
    """Return the state whose next update is the first of a decay over `steps` updates.

    Warm-up ends with it. In a decay it begins anew from the rate that was reached.

    Raises:
        ValueError: `steps` is below 1.

    Example:
        >>> from autowarmup.rules import Linear, Run, begin, step
        >>> state = begin(Linear(0.0), Run(None, decay="linear"))
        >>> for _ in range(5):
        ...     state = step(state, None)
        >>> state = with_decay(state, 4)
        >>> for _ in range(4):
        ...     print(state.factor, end=" ")
        ...     state = step(state, None)
        1.0 0.75 0.5 0.25
        >>> state.phase
        'done'
    """
    steps = whole("steps", steps)
    expect(steps >= 1, "a decay over steps >= 1", steps)
    height = _height(state)
    moved = state._replace(
        run=replace(state.run, total_steps=state.step + steps),
        phase="decay",
        status=Status.DECAYING,
        since=state.step,
        height=height,
    )
    if state.end is None:
        return moved._replace(end=state.step, ended_by="decay")
    return moved


def with_end(state: WarmupState, total_steps: int) -> WarmupState:
    """Return the state of a run that ends elsewhere.

    In warm-up only the end moves. Afterwards, or with a rule that decays throughout, a decay begins
    at the rate that was reached, over the updates that remain now, and ends at the same final rate.

    Raises:
        ValueError: not more updates than were taken.
    """
    total_steps = whole("total_steps", total_steps)
    taken = f"total_steps above the {state.step} updates taken"
    expect(total_steps > state.step, taken, total_steps)
    if state.phase != "warmup" or state.rule.decays_throughout:
        return with_decay(state, total_steps - state.step)
    return state._replace(run=replace(state.run, total_steps=total_steps))


def with_ramp(state: WarmupState, steps: int | None = None) -> WarmupState:
    """Return the state whose next updates climb once more, whatever the schedule says.

    Update k of W is multiplied by (k + 1) / W. Without a length W is 2 / (1 - beta), what the
    slowest average of the optimizer needs to fill (arXiv 1910.04209, section 4.3), at most 5 % of
    what remains.

    Raises:
        ValueError: `steps` is below 1, or the run is over.
    """
    expect(state.phase != "done", "a run that goes on (extend it first)", "one that is over")
    if steps is None:
        steps = round(2.0 / (1.0 - state.run.beta))
        if state.run.total_steps is not None:
            steps = min(steps, round(REWARM_SHARE * (state.run.total_steps - state.step)))
        steps = max(1, steps)
    steps = whole("steps", steps)
    expect(steps >= 1, "a ramp over steps >= 1", steps)
    factor = state.factor / _ramp(state)
    if steps == 1:
        return state._replace(factor=factor, rewarmed=None)
    return state._replace(factor=factor / steps, rewarmed=(state.step, steps))


def advanced_to(state: WarmupState, last: int) -> WarmupState:
    """Return the state after the update of index `last`, -1 for none, had no loss been seen.

    Raises:
        ValueError: less than -1, or the rule goes by the gap, which nobody knows.
    """
    last = whole("last_epoch", last)
    expect(last >= -1, "last_epoch >= -1", last)
    if last >= 0 and state.rule.reads_loss and state.rule.needs_bound:
        raise ValueError(
            f"the rule {state.rule.name!r} follows the losses so far: expected last_epoch=-1 and "
            f"load_state_dict to go on with a run, got last_epoch={last}"
        )
    for _ in range(last + 1):
        state = step(state, None)
    return state


def _ramp(state: WarmupState) -> float:
    """Return what a later ramp multiplies the next update by."""
    if state.rewarmed is None:
        return 1.0
    first, length = state.rewarmed
    return min(1.0, (state.step - first + 1) / length)


def _height(state: WarmupState) -> float:
    """Return the share of `share` that the next update has, before a later ramp."""
    if state.since is None and not state.rule.decays_throughout:
        return 1.0
    return state.factor / _ramp(state) / state.share

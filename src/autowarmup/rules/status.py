"""What a warm-up has to say after an update: each member's value is the sentence."""

from __future__ import annotations

import enum


class Status(enum.Enum):
    """What happened at the last update.

    A change of phase comes before an event of the loss, which comes before the steady state; events
    hidden that way are still counted in the state.
    """

    WARMING = "warming up"
    NO_LOSS = "warming up without a loss: none has arrived"
    LOWERED = "the rate was lowered: the loss rises or has stopped falling"
    HELD = "the rate is held: the loss has stopped falling"
    PEAK_REACHED = "warm-up ended: the smoothed gap reached the peak gap"
    CAP_REACHED = "warm-up used up its share of the run: the ramp is being completed linearly"
    CAP_COMPLETED = "warm-up ended: the ramp that followed the cap is complete"
    ENDED = "warm-up ended"
    NOT_NEEDED = "no warm-up: the first update runs at the peak rate"
    STABLE = "past warm-up: the rate stays until start_decay"
    DECAYING = "past warm-up: the rate follows the decay"
    DONE = "the run is complete: the rate stays that of the last update"
    NON_FINITE = "the loss was not finite and was ignored"
    SPIKE = "the gap was more than twice or less than half its smoothed value"
    BELOW_BOUND = "the loss was below the lower bound and counted as a gap of 0"
    CLIMBING = "the rate was lowered and climbs again"

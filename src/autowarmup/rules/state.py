"""Where a warm-up stands between two updates, the same for every rule: one loss in, one share out.

A loss becomes a gap and an event (`rules.gap`); in *warm-up* the rule says the next share; when it
ends, the *decay* runs over all remaining updates from the share that was reached; after the last
update the run is *done* and the rate stays where it is. Where nobody knows the end, the rate is
*stable* after warm-up until `rules.life` is asked for the decay.

Everything is a pure function of an immutable state of plain numbers: stopping, saving, loading and
going on is the same, bit for bit, as never having stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, NamedTuple, cast

from autowarmup.rules.base import Rule, Run, Update, record
from autowarmup.rules.decay import decay_factor
from autowarmup.rules.gap import GapState, observe
from autowarmup.rules.status import Status

PHASES = ("warmup", "decay", "done", "stable")
"""In the order in which they came to be known; "stable" lies between the first two."""

# What every step needs: looking a member up in its class takes as long as a call.
_NON_FINITE, _WARMING, _DECAYING = Status.NON_FINITE, Status.WARMING, Status.DECAYING
_STABLE, _LOWERED = Status.STABLE, Status.LOWERED
CUT = 0.9
"""A share below this part of the one before was lowered, whatever the rule says."""


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

"""Losses that were recorded, fed to a rule: what would it have done on this run?

The losses are those of the old rates. So a replay is a check, of where warm-up would have ended and
whether the rate would have been lowered, and no forecast of the loss that would have come of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from autowarmup.history import Point, Trace
from autowarmup.rules import DEFAULT_RULE, Rule, Run, Status, WarmupState, begin, rule_of, step
from autowarmup.rules.families import family_named

MOST = 10_000
"""About as many points of a trace are filled by losses; more are thinned."""


class Walked(NamedTuple):
    """One update of a replay: the state before it, its loss (`None`: not known), and after it."""

    before: WarmupState
    loss: float | None
    after: WarmupState


def walk(
    rule: Rule[Any], run: Run, losses: Iterable[float], steps: Iterable[int] | None = None
) -> Iterator[Walked]:
    """Yield every update up to the last loss.

    Once a rule reads no loss any more, updates without one are passed over: the decay does not need
    them.

    Args:
        rule: the rule.
        run: what it is told.
        losses: mean loss of an update at the weights before it.
        steps: index of the update of each loss, rising; by default 0, 1, 2, ...

    Raises:
        ValueError: the rule cannot follow such a run.
    """
    state = begin(rule, run)
    indexed = enumerate(losses) if steps is None else zip(steps, losses, strict=True)
    for at, loss in indexed:
        while state.step < at:
            if _settled(state):
                state = step(state._replace(step=at - 1), None)
                break
            before, state = state, step(state, None)
            yield Walked(before, None, state)
        before, state = state, step(state, loss)
        yield Walked(before, loss, state)


def _settled(state: WarmupState) -> bool:
    """Return whether nothing but the decay is left, and the last update changed nothing."""
    news = state.step == state.end or state.status is Status.LOWERED
    return state.phase != "warmup" and not state.reads_next and not news


def replay(
    losses: Iterable[float] | Trace,
    rule: str | Rule[Any] = DEFAULT_RULE,
    total_steps: float | None = None,
    *,
    steps: Iterable[int] | None = None,
    lr: float = 1.0,
    optimizer: str = "",
    most: int = MOST,
    **told: Any,
) -> Trace:
    """Return what a rule would have done over recorded losses.

    A point holds the update's index and loss, and the rate, share of the peak rate and phase that
    the rule would have had there; its status is what the rule said after that loss ("LOWERED": the
    rate of the next update is lower). There is a point for every loss, thinned beyond `most`, less
    at the beginning, and beside them one wherever the phase changes or the rate is lowered, and
    after it.

    Args:
        losses: mean loss of each update at the weights before it, in any unit; what is not finite
            counts as not seen. Or a `Trace`, whose steps are used.
        rule: a name ("paced", "linear 5%", ...) or a rule, as for `AdaptiveWarmup`.
        total_steps: updates of the whole run; by default those that the losses cover, and
            `math.inf` if nobody knew.
        steps: index of the update (from 0) of each loss, rising, where not every update has one.
            A rule sees no loss at the others.
        lr: peak rate.
        optimizer: what trained, by name ("Muon", "Lion", "AdamW"): some rules go by its class.
        most: points that losses fill, >= 1.
        **told: what else the rule is to know, fields of `autowarmup.rules.Run`: parameters,
            trained, decay, final_fraction, lower_bound, beta, kappa, div.

    Raises:
        ValueError: no loss, steps that do not rise, fewer updates than losses, an argument out of
            its range.

    Example:
        >>> trace = replay([4.0, 3.5, 3.2, 3.0], rule="linear 2 steps", decay="linear")
        >>> trace.column("factor"), trace.column("phase")
        ([0.5, 1.0, 0.6666666666666667, 0.33333333333333337],
         ['warmup', 'decay', 'decay', 'decay'])
    """
    if isinstance(losses, Trace):
        steps = losses.column("step") if steps is None else steps
        losses = losses.column("loss")
    values, at = _checked(losses, steps)
    run = run_of(at[-1] + 1, total_steps, optimizer, **told)
    walked = walk(rule_of(rule), run, values, at)
    return Trace(points(walked, len(values), at[-1], lr=lr, most=most))


def run_of(covered: int, total_steps: float | None, optimizer: str = "", **told: Any) -> Run:
    """Return what a rule is told of a run whose optimizer is known by name.

    Args:
        covered: updates that its losses cover.
        total_steps: of the run, `None` for as many, `math.inf` if nobody knew.
        optimizer: its name, empty where it is not known.
        **told: fields of `Run`.

    Raises:
        ValueError: a fact that there is not, or one out of its range.

    Example:
        >>> run_of(100, None, "Lion").family
        'sign'
    """
    total = covered if total_steps is None else total_steps
    if not isinstance(total, Real):
        raise ValueError(f"total_steps: expected a number of updates, got {total!r}")
    if not isinstance(optimizer, str):
        got = type(optimizer).__name__
        raise ValueError(f"optimizer: expected a name such as 'Muon' or 'AdamW', got {got}")
    if not total >= covered:
        raise ValueError(
            f"total_steps: expected at least the {covered} updates that the losses cover, "
            f"got {total_steps}"
        )
    known = [field.name for field in fields(Run)][1:]
    unknown = [name for name in told if name not in known]
    if unknown:
        raise ValueError(f"expected facts of a run out of {', '.join(known)}, got {unknown[0]!r}")
    if optimizer:
        told = {"family": family_named(optimizer), **told}
    return Run(int(total) if float(total).is_integer() else total, **told)  # type: ignore[arg-type]


def points(
    walked: Iterable[Walked], count: int, last: int, *, lr: float = 1.0, most: int = MOST
) -> Iterator[Point]:
    """Yield the points of a trace: about `most` losses, the last, and every event.

    Args:
        walked: of `walk`.
        count: how many losses there are.
        last: index of the last one's update.
        lr: peak rate.
        most: as `replay`.

    Raises:
        ValueError: `lr` or `most` is out of its range.
    """
    if not most >= 1:
        raise ValueError(f"most: expected at least 1 point, got {most}")
    if not 0 < lr < math.inf:
        raise ValueError(f"lr: expected a finite rate above 0, got {lr}")
    seen, event = 0, False
    stride, dense = -(-count // most), max(1, most // 40)
    for before, loss, after in walked:
        due = event
        event = after.lowered > before.lowered or after.phase != before.phase
        if loss is not None:
            # The distance of two that are kept doubles with the number seen, up to the stride.
            apart = min(stride, 1 << max(0, (seen // dense).bit_length() - 1))
            due, seen = due or seen % apart == 0 or before.step == last, seen + 1
        if due or event:
            yield Point(
                before.step,
                math.nan if loss is None else loss,
                gap=after.gap,
                lr=lr * before.factor,
                factor=before.factor,
                phase=before.phase,
                status=after.status.name,
            )


def _checked(
    losses: Iterable[float], steps: Iterable[int] | None
) -> tuple[Sequence[float], Sequence[int]]:
    """Return losses and their updates as plain numbers."""
    try:
        values = np.asarray(_listed(losses), dtype=float)
    except (TypeError, ValueError):
        raise ValueError(f"losses: expected numbers, got {losses!r:.80}") from None
    if values.ndim != 1 or not len(values):
        raise ValueError(f"losses: expected at least one in a row, got shape {values.shape}")
    if steps is None:
        return values.tolist(), range(len(values))
    at = np.asarray(_listed(steps))
    if at.shape != values.shape or at.dtype.kind not in "iu":
        raise ValueError(
            f"steps: expected {len(values)} whole numbers, one per loss, got shape {at.shape} of "
            f"{at.dtype}"
        )
    wrong = np.flatnonzero(np.diff(at) <= 0)
    if at[0] < 0 or len(wrong):
        got = f"{at[0]} first" if at[0] < 0 else f"{at[wrong[0] + 1]} after {at[wrong[0]]}"
        raise ValueError(f"steps: expected indices from 0 on that rise, got {got}")
    return values.tolist(), at.tolist()


def _listed(values: Iterable[Any]) -> Any:
    """Return what numpy reads: arrays and tensors as they are, other iterables as lists."""
    return values if hasattr(values, "__array__") else list(values)

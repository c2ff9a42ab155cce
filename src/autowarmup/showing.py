"""How a schedule looks: sentences at the end of a run, the curve of the rate."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, Any

from autowarmup.history import Trace
from autowarmup.notices import REACHED
from autowarmup.picture import RATE, draw_run
from autowarmup.rules.state import WarmupState
from autowarmup.rules.stepping import step

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORESEEN = 20_000
"""Most updates that are gone through to show what is still to come."""
_WIDE, _HIGH = 480, 120


def report(state: WarmupState, peak: float) -> str:
    """Return what a run was like, in sentences that a user can act on.

    Args:
        state: after some number of updates.
        peak: rate of the first parameter group.
    """
    return " ".join(_sentences(state, peak))


def _sentences(state: WarmupState, peak: float) -> Iterator[str]:
    run, rule = state.run, state.rule
    late = 0 if run.total_steps is None else max(0, state.step - run.total_steps)
    of = "" if run.total_steps is None or late else f" of {run.total_steps:,}"
    after = f", {late:,} of them after the end, at its last rate" if late else ""
    yield f"{state.step:,}{of} updates with the rule {rule.name!r}, peak rate {peak:g}{after}."
    if state.end == 0:
        yield "There was no warm-up: the first update ran at the peak rate."
    elif state.end is not None:
        by = "you asked for the decay" if state.ended_by == "decay" else f"by {state.ended_by}"
        updates = "1 update" if state.end == 1 else f"{state.end:,} updates"
        yield f"Warm-up ended after {updates} ({by})."
    elif state.phase == "done":
        yield f"The rate followed the rule to the end, up to {state.share:.3g} of the peak rate."
    elif state.step:
        yield f"Warm-up goes on, at {state.share:.3g} of the peak rate."
    if state.lowered:
        times = "once" if state.lowered == 1 else f"{state.lowered} times"
        yield f"The loss had the rate lowered {times}, to {state.lowest:.3g} of the peak."
        if state.share >= REACHED:
            yield "It climbed back to the peak, which was not too high in the end."
        else:
            better = _round(peak * state.share)
            yield f"It stands at {state.share:.3g}: try a peak rate near {better}."
    elif state.end is not None and state.share < REACHED:
        yield f"The rate never passed {state.share:.3g} of the peak."
    elif state.step and rule.reads_loss and state.gap is not None:
        yield "The loss gave no reason to lower the rate."
    if rule.reads_loss and state.step and state.gap is None:
        yield "No finite loss was seen, so that nothing but the number of updates counted."
    if state.non_finite:
        yield f"Losses that were not finite and were left out: {state.non_finite:,}."
    if state.below_bound and rule.needs_bound:
        yield f"Losses below lower_bound={run.lower_bound:g}: {state.below_bound:,}."
    if state.phase == "stable":
        yield "The rate stays at its peak until start_decay(steps)."


def _round(number: float) -> str:
    return f"{number:.1g}" if float(f"{number:.1g}") / number > 0.9 else f"{number:.2g}"


def ahead(state: WarmupState) -> list[tuple[int, float]]:
    """Return the shares of the updates to come if no loss were seen any more, none if too many."""
    left = 0 if state.run.total_steps is None else state.run.total_steps - state.step
    if state.phase == "done" or not 0 < left <= FORESEEN:
        return []
    points = []
    for _ in range(left):
        points.append((state.step, state.factor))
        state = step(state, None)
    return points


def curve(trace: Trace, state: WarmupState, peak: float) -> tuple[list[Any], list[Any]]:
    """Return (update, rate) of the updates made, and of those to come if no loss were seen."""
    made = [(point.step, point.lr) for point in trace if point.lr is not None]
    return made, [(at, peak * share) for at, share in ahead(state)]


def draw(trace: Trace, state: WarmupState, peak: float, axes: Axes | None) -> Axes:
    """Draw the rate over the updates, and the loss behind it.

    Raises:
        ModuleNotFoundError: matplotlib is missing.
    """
    _, coming = curve(trace, state, peak)
    title = f"AdaptiveWarmup, rule {state.rule.name!r}"
    return draw_run(trace.points, coming, title, axes)


def facts(state: WarmupState, peaks: list[list[float]]) -> dict[str, str]:
    """Return what a page says of a run beside its sentences, by name."""
    run, end = state.run, state.end
    total = "not known" if run.total_steps is None else f"{run.total_steps:,}"
    return {
        "Rule": f"{state.rule.name}: {state.rule.about}",
        "Peak rates": ", ".join(f"{peak:g}" for group in peaks for peak in group),
        "Updates made": f"{state.step:,}",
        "Updates of the run": total,
        "Warm-up": "goes on" if end is None else f"{end:,} updates, ended by {state.ended_by}",
        "Decay": f"{run.decay}, to {run.final_fraction:g} of the peak",
        "Phase": f"{state.phase}; {state.status.value}",
    }


def as_html(trace: Trace, state: WarmupState, peak: float) -> str:
    """Return the curve and the report as HTML that needs nothing else, for notebooks."""
    made, coming = curve(trace.thinned(400), state, peak)
    coming = coming[:: max(1, len(coming) // 400)]
    last = max([at for at, _ in [*made, *coming]], default=1) or 1
    top = max([rate for _, rate in [*made, *coming]], default=peak) or 1.0

    def line(points: list[Any], dash: str) -> str:
        at = " ".join(
            f"{_WIDE * x / last:.1f},{4 + (_HIGH - 8) * (1 - y / top):.1f}" for x, y in points
        )
        style = f'fill="none" stroke="{RATE}" stroke-width="2"{dash}'
        return f'<polyline points="{at}" {style}/>' if points else ""

    told = escape(report(state, peak))
    return (
        f'<figure style="margin:0;max-width:{_WIDE}px;font:13px sans-serif">'
        f'<svg viewBox="0 0 {_WIDE} {_HIGH}" width="100%" role="img" aria-label="{told}">'
        f"{line(made, '')}{line(coming, ' stroke-dasharray=' + chr(34) + '3 4' + chr(34))}</svg>"
        f"<figcaption>Learning rate over {last + 1:,} updates, up to {top:.3g}. {told}</figcaption>"
        "</figure>"
    )

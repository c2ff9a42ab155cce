"""What a user has to hear: his rate was lowered, or something that he asked for is not used."""

from __future__ import annotations

from collections.abc import Iterator

from autowarmup.rules.base import Rule
from autowarmup.rules.state import WarmupState

REACHED = 0.98
"""Share of the peak rate at which warm-up counts as complete."""


def ignored(
    rule: Rule[object], decay: object, final_fraction: object, lower_bound: object
) -> Iterator[str]:
    """Yield a sentence for every argument that a scheduler with this rule does not use."""
    for name in rule.unused():
        yield f"the rule {rule.name!r} does not read {name} beside its other settings"
    if lower_bound and not (rule.reads_loss and rule.needs_bound):
        yield (
            f"lower_bound={lower_bound!r} changes no rate: the rule {rule.name!r} does not follow "
            "the gap; it only shifts the gap that is reported"
        )
    if decay == "constant" and final_fraction:
        yield (
            f"final_fraction={final_fraction!r} is not used: with decay='constant' the rate stays "
            "at its peak"
        )


class Notices:
    """Says once each that the rate was lowered, ended low, or follows a gap that cannot be."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def after(self, before: WarmupState, state: WarmupState, loss: float | None) -> Iterator[str]:
        """Yield what is to be said after an update, which is seldom anything."""
        rule, step = state.rule, before.step
        if state.lowered > before.lowered and self._first("lowered"):
            yield (
                f"update {step}: the rule {rule.name!r} lowered the rate from "
                f"{before.share:.3g} to {state.share:.3g} of its peak, because of the loss. It is "
                "said this once; scheduler.status and scheduler.trace show what follows. Where it "
                "stays low, a lower peak rate fits better"
            )
        below = state.below_bound > before.below_bound
        if below and rule.needs_bound and rule.reads_loss and self._first("bound"):
            yield (
                f"update {step}: a loss of {loss:.6g} lies below "
                f"lower_bound={state.run.lower_bound:g} and counts as a gap of 0, so that the rule "
                f"{rule.name!r} goes by a wrong gap: expected a lower_bound that the loss cannot "
                "go below"
            )
        over = before.phase == "warmup" and state.phase != "warmup"
        by_rule = state.ended_by != "decay"  # which the user asked for
        if over and by_rule and state.share < REACHED and self._first("lowered"):
            what = "the run" if state.phase == "done" else "warm-up"
            yield (
                f"update {step}: {what} is over and the rule {rule.name!r} has come to "
                f"{state.share:.3g} of the peak rate, because of the loss"
            )

    def _first(self, what: str) -> bool:
        first = what not in self._said
        self._said.add(what)
        return first

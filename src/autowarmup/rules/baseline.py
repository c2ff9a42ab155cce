"""The hand-tuned baseline: linear warm-up over a chosen number of updates, then a decay."""

from __future__ import annotations

from autowarmup.rules.decay import decay_factor


def linear_warmup(
    step: int,
    *,
    warmup_steps: int,
    total_steps: int,
    decay: str = "cosine",
    final_fraction: float = 0.0,
) -> float:
    """Return the share of the peak rate that the update with index `step` uses, in (0, 1].

    Update k (from 0) runs at (k + 1) / W for k < W = max(1, warmup_steps), so that update W - 1 is
    the first at the peak rate; from there the decay runs over the rest. Updates after the last
    keep the factor of the last.

    Args:
        step: index of the update, >= 0.
        warmup_steps: number of updates of the warm-up; 0 and 1 both mean none.
        total_steps: number of updates of the whole run, >= 1.
        decay: one of `autowarmup.rules.decay.DECAYS`.
        final_fraction: share of the peak rate at the end, in [0, 1].

    Raises:
        ValueError: an argument out of its range.

    Example:
        >>> [linear_warmup(k, warmup_steps=2, total_steps=5, decay="linear") for k in range(5)]
        [0.5, 1.0, 0.75, 0.5, 0.25]
    """
    if total_steps < 1:
        raise ValueError(f"expected total_steps >= 1, got {total_steps}")
    if step < 0 or warmup_steps < 0:
        raise ValueError(f"expected step >= 0 and warmup_steps >= 0, got {step} and {warmup_steps}")
    if not 0.0 <= final_fraction <= 1.0:
        raise ValueError(f"expected final_fraction in [0, 1], got {final_fraction}")
    length = max(1, warmup_steps)
    step = min(step, total_steps - 1)
    if step < length:
        return (step + 1) / length
    peak = length - 1
    return decay_factor(decay, (step - peak) / (total_steps - peak), final_fraction)

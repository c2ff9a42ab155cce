"""What earlier versions saved and took: states that still load, arguments that have new names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autowarmup.rules.earlier import from_earlier
from autowarmup.rules.state import WarmupState

FORMAT = "autowarmup-scheduler-5"
PARTS = ("warmup", "peak_lrs", "calibration", "agreement", "history", "updated", "fed")
"""What a state of today has, whatever else it has."""
_WITHOUT_SINCE = "autowarmup-scheduler-4"
_EARLIER = ("autowarmup-scheduler-2", "autowarmup-scheduler-3")

_RENAMED = {
    "peak": "rule={value!r}",
    "div": "rule=GapLaw(div={value!r})",
    "max_fraction": "rule=GapLaw(max_fraction={value!r})",
    "smoothing": "rule=GapLaw(smoothing={value!r})",
    "kappa": 'rule=GapLaw(end="accurate", kappa={value!r})',
}


def refuse_renamed(arguments: dict[str, Any]) -> None:
    """Say the new spelling of an argument that `AdaptiveWarmup` had until version 0.1.

    Raises:
        ValueError: such an argument.
        TypeError: another argument that does not exist.

    Example:
        >>> refuse_renamed({"peak": "flat"})
        Traceback (most recent call last):
        ...
        ValueError: peak='flat' is now rule='flat': a setting belongs to its rule
    """
    for name, value in arguments.items():
        if name not in _RENAMED:
            raise TypeError(f"AdaptiveWarmup got an unexpected keyword argument {name!r}")
        new = _RENAMED[name].format(value=value)
        if name == "peak" and not isinstance(value, str):
            new = f"rule=GapLaw(end={value!r})"
        raise ValueError(f"{name}={value!r} is now {new}: a setting belongs to its rule")


def of_today(state: dict[str, Any], lag: int) -> dict[str, Any]:
    """Return a state of `AdaptiveWarmup` in today's format; the caller's dict stays as it is.

    Args:
        state: saved by this or an earlier version.
        lag: of the scheduler, for states that knew none.

    Raises:
        ValueError: not a state of `AdaptiveWarmup`.
    """
    form = state.get("format") if isinstance(state, Mapping) else type(state).__name__
    if form == FORMAT:
        missing = [part for part in PARTS if state.get(part) is None]
        if missing:
            raise ValueError(
                f"expected a whole state_dict of AdaptiveWarmup, got one without {missing[0]!r}"
            )
        return state
    if form == _WITHOUT_SINCE:  # the decay began where warm-up ended
        warmup = state["warmup"]
        return {**state, "format": FORMAT, "warmup": {**warmup, "since": warmup["end"]}}
    if form not in _EARLIER:
        got = f"format {form!r}"
        if isinstance(state, Mapping) and form is None:  # of another scheduler, of an optimizer
            keys = ", ".join(map(repr, list(state)[:4]))
            got = f"one with the keys {keys}" if keys else "an empty dict"
        raise ValueError(f"expected a state_dict of AdaptiveWarmup (format {FORMAT!r}), got {got}")
    state = dict(state)
    warmup = from_earlier(state.pop("rule"), state.pop("schedule")).to_dict()
    if form == _EARLIER[0]:  # it knew no weights and no lag
        losses = state.pop("losses")
        count = float(losses["count"])
        buffer = {"total": losses["sum"], "weight": count, "batches": losses["count"]}
        state["agreement"] = {"lag": lag, "buffer": buffer, "pending": []}
    warmup["status"] = state.pop("status", warmup["status"])
    return {**state, "format": FORMAT, "warmup": warmup}


def differences(
    made: WarmupState,
    loaded: WarmupState,
    made_peaks: list[list[float]],
    loaded_peaks: list[list[float]],
) -> str:
    """Return in which settings a saved state differs from the scheduler that loads it.

    Only a scheduler that has taken no update is compared: one that has may have been told more.
    """
    if made.step:
        return ""
    found = []
    if made.rule.name != loaded.rule.name:
        found.append(f"rule {loaded.rule.name!r} instead of {made.rule.name!r}")
    for name in ("total_steps", "decay", "final_fraction", "lower_bound"):
        old, new = getattr(loaded.run, name), getattr(made.run, name)
        if old != new:
            found.append(f"{name} {old!r} instead of {new!r}")
    if made_peaks != loaded_peaks:
        found.append(f"peak rates {loaded_peaks} instead of {made_peaks}")
    return ", ".join(found)

"""States that earlier versions saved, as states of today.

Until version 0.1 every rule had a state of its own, with all settings in one "config".
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from autowarmup.rules.autowu import Smoothed, grown
from autowarmup.rules.base import Rule, Run
from autowarmup.rules.decay import decay_factor
from autowarmup.rules.gap import GapState
from autowarmup.rules.gap_law.rule import GapLaw, LawMemory
from autowarmup.rules.h0h1 import H0H1, FirstGap
from autowarmup.rules.registry import rule_of
from autowarmup.rules.state import WarmupState
from autowarmup.rules.status import Status
from autowarmup.rules.stepping import begin
from autowarmup.rules.timed import Doubling, Linear, Ramp
from autowarmup.rules.watched import Watch, Watched


def from_earlier(name: str, values: dict[str, Any]) -> WarmupState:
    """Return the state that a scheduler of format 2 or 3 saved.

    Args:
        name: of the rule, or the share of the first gap at which the law peaks as a number.
        values: what was saved under "schedule".

    Raises:
        ValueError: not such a state.
    """
    try:
        config = values["config"]
        run = Run(
            config["total_steps"],
            decay=config["decay"],
            final_fraction=config["final_fraction"],
            lower_bound=config["lower_bound"],
            beta=config.get("beta", 0.9),
            kappa=config["kappa"],
        )
        rule = _rule(name, values)
        if isinstance(rule, GapLaw | H0H1 | Doubling):
            run = replace(run, div=config["div"])
        state = _state(rule, run, values)
        return state._replace(since=state.end)
    except (TypeError, KeyError) as error:
        raise ValueError(
            f"expected the state of a schedule as version 0.1 saved it, got {values!r:.200}"
        ) from error


def _rule(name: str, values: dict[str, Any]) -> Rule[Any]:
    config = values["config"]
    if "gap_peak" in values:
        end = config["peak"]
        held = {key: config[key] for key in ("div", "max_fraction", "smoothing", "kappa")}
        return GapLaw(end=end, **held)
    if "watch" in values:
        return Watched(**values["watch"])
    if name == "h0h1":
        return H0H1(smoothing=config["smoothing"])
    return rule_of(name)


def _state(rule: Rule[Any], run: Run, values: dict[str, Any]) -> WarmupState:
    """Fill the state of a rule from the fields that its own state had."""
    fresh, step = begin(rule, run), values["step"]
    over = step >= run.length
    tracker = GapState(**values["tracker"]) if "tracker" in values else GapState()
    state = fresh._replace(step=step, tracker=tracker)
    if isinstance(rule, GapLaw):
        known = {key: values[key] for key in ("factor", "phase", "ended_by", "non_finite",
                                              "spikes", "below_bound")}  # fmt: skip
        memory = LawMemory(values["gap0"], values["gap_peak"], values["cap_step"],
                           values["cap_factor"])  # fmt: skip
        share = 1.0 if values["warmup_end_step"] is not None else values["factor"]
        return state._replace(memory=memory, share=share, end=values["warmup_end_step"],
                              status=Status[values["status"]], **known)  # fmt: skip
    last = min(step, run.length - 1)
    if isinstance(rule, H0H1):
        gap, gap0 = tracker.gap, values["gap0"]
        part = 1.0 if gap is None or gap0 is None else min(1.0, gap / gap0)
        share = 1.0 / (1.0 + ((run.div or rule.div) - 1.0) * part)
        factor = share * decay_factor(run.decay, last / run.length, run.final_fraction)
        phase = "done" if over else "warmup"
        return state._replace(memory=FirstGap(gap0), share=share, factor=factor, phase=phase)
    if isinstance(rule, Watched):
        window, means = rule.window(run), tuple(values["means"])
        memory = Watch(window, values["total"], values["count"], means, values["holding"])
        return _placed(state, memory, values["level"], window)
    if "average" in values:
        names = Smoothed._fields
        memory = Smoothed(**{key: values[key] for key in names})
        peak = min(1.0, values["peak"])
        share = peak if values["end"] is not None else grown(last, run.length)
        return _placed(state, memory, share, values["end"])
    memory = Ramp(values["first"], values["length"])
    share = 1.0
    if step < memory.length:
        share = memory.share(step)
        if isinstance(rule, Linear):
            share = (step + 1) / (memory.length + 1)
    return _placed(state, memory, share, memory.length)


def _placed(state: WarmupState, memory: Any, share: float, end: int | None) -> WarmupState:
    """Return the state in its phase, with the factor that follows."""
    run, step = state.run, state.step
    last = min(step, run.length - 1)
    over, ended = step >= run.length, end is not None and step >= end
    factor, status = share, Status.WARMING
    if ended:
        assert end is not None, "that is what ended means"
        progress = (last - end) / (run.length - end)
        factor = share * decay_factor(run.decay, progress, run.final_fraction)
        status = Status.DECAYING
    by = (
        ""
        if not ended
        else "not needed"
        if end == 0
        else "loss"
        if (isinstance(memory, Smoothed))
        else "length"
    )
    return state._replace(
        memory=memory,
        share=share,
        factor=factor,
        phase="done" if over else "decay" if ended else "warmup",
        status=Status.DONE if over else status,
        end=end if ended else None,
        ended_by=by,
    )

"""Where the benchmark meets the rules of the library: their names, kinds and states."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from autowarmup.lab.bench.setups import SIZES, Setup
from autowarmup.rules.base import Rule, Seen
from autowarmup.rules.config import ScheduleConfig
from autowarmup.rules.gap_law.peak import kappa
from autowarmup.rules.registry import NEEDS_KAPPA, rule_by_name
from autowarmup.rules.timed import linear
from autowarmup.rules.watched import Watch, watched

_LENGTH = re.compile(r"linear (\d+(?:\.\d+)?)(%| steps)")
_KINDS = {"published": "literature", "candidate": "own"}
_NORMS = {
    "muon": "spectral",
    "lion": "linf",
    "signum": "linf",
    "normsgd": "frobenius",
    "adamw": "linf",  # not norm-constrained: the norms whose steps theirs resemble most
    "sgd": "frobenius",
}
DIGITS_SHAPES = ((128, 64), (128, 128), (10, 128))


@dataclass(frozen=True)
class Described:
    """What tables say of a rule: its kind ("fixed", "literature" or "own") and what it does."""

    kind: str
    about: str


@cache
def described(name: str) -> Described:
    """Return kind and one line of a rule by its name.

    Example:
        >>> described("linear 5%").kind, described("untuned").kind, described("watched").kind
        ('fixed', 'literature', 'own')
    """
    try:
        rule = build(name, {}, steps=1000)
    except ValueError:  # a stored run of a rule that is no more
        return Described("own", "")
    return Described(_KINDS.get(rule.kind, rule.kind), rule.about)


def length_of(name: str, steps: int) -> int | None:
    """Return the updates of a hand-tuned warm-up, at least 1; `None` for another rule.

    Example:
        >>> [length_of(name, 400) for name in ("none", "linear 5%", "linear 50 steps", "flat")]
        [1, 20, 50, None]
    """
    if name == "none":
        return 1
    if (match := _LENGTH.fullmatch(name)) is None:
        return None
    number = float(match[1])
    return max(1, round(number * steps / 100 if match[2] == "%" else number))


def build(name: str, options: dict[str, Any], *, steps: int) -> Rule:
    """Return the rule of a run, with constants of its own where the options name some."""
    if "watch" in options:
        return watched(Watch(**options["watch"]))
    length = length_of(name, steps)
    return rule_by_name(name) if length is None or name == "none" else linear(length / steps)


def measures_start(rule: Rule) -> float | None:
    """Return the least trust ratio of the measured start, `None` where nothing is measured."""
    return rule.c


def begin(
    rule: Rule, setup: Setup, steps: int, options: dict[str, Any], *, start: float, beta: float
) -> Any:
    """Return the rule's state before the first update.

    Args:
        rule: as `build` returns it.
        setup: what is trained.
        steps: updates that the run makes.
        options: of the plan.
        start: share of the peak rate that was measured on the first batch.
        beta: slowest memory of the optimizer.
    """
    values = {name: value for name, value in options.items() if name != "watch"}
    if rule.name in NEEDS_KAPPA:
        values["kappa"] = kappa_of(setup)
    return rule.init(ScheduleConfig(steps, **{"div": 1.0 / start, "beta": beta, **values}))


def advance(rule: Rule, state: Any, loss: float) -> Any:
    """Return the rule's state after one more update."""
    return rule.step(state, Seen(loss))


def kappa_of(setup: Setup) -> float:
    """Return the paper's kappa for the shapes and the optimizer of a set-up."""
    shapes: list[tuple[int, ...]] = list(DIGITS_SHAPES)
    if setup.model != "digits":
        size = SIZES[setup.model]
        width, hidden = size.width, size.hidden
        block = [(width, width)] * 4 + [(hidden, width)] * 2 + [(width, hidden)]
        shapes = [(256, width), *block * size.layers]
    return kappa(_NORMS[setup.optimizer], shapes)


def training_fields(name: str, options: dict[str, Any], *, steps: int) -> dict[str, Any]:
    """Return what `TrainConfig` is told of a rule."""
    length = length_of(name, steps)
    if length is not None:
        return {"warmup": str(length), **options}
    return {"warmup": "adaptive", "peak": name, **options}

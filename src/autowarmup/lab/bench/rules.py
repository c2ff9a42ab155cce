"""Where the benchmark meets the rules of the library."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

from autowarmup.lab.bench.plan import RunPlan
from autowarmup.lab.bench.setups import NETWORKS, SIZES, Setup
from autowarmup.lab.train.recipes import RECIPES
from autowarmup.rules import Linear, Paced, Rule, Run, WarmupState, begin, rule_of
from autowarmup.rules.families import family_named

_NORMS = {
    "muon": "spectral",
    "lion": "linf",
    "signum": "linf",
    "normsgd": "frobenius",
    "adamw": "linf",  # not norm-constrained: the norms whose steps theirs resemble most
    "sgd": "frobenius",
}
_OURS = ("pace", "law", "log", "best")
"""Options: settings of a rule, whether every loss is kept, and the best rate of the set-up."""
DIGITS_SHAPES = ((128, 64), (128, 128), (10, 128))


class Described(NamedTuple):
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
        rule = rule_of(name)
    except ValueError:  # a stored run of a rule that is no more
        return Described("own", "")
    return Described(rule.kind, rule.about)


def length_of(name: str, steps: int) -> int | None:
    """Return the updates of a hand-tuned warm-up, at least 1; `None` for another rule.

    Example:
        >>> [length_of(name, 400) for name in ("none", "linear 5%", "linear 50 steps", "flat")]
        [1, 20, 50, None]
    """
    if described(name).kind != "fixed":
        return None
    rule = rule_of(name)
    return rule.length(Run(steps)) if isinstance(rule, Linear) else None


def build(plan: RunPlan) -> Rule[Any]:
    """Return the rule of a run: with constants of its own where the options name some, and with
    the tokens of an update where it counts them."""
    rule = rule_of(plan.rule)
    if "law" in plan.options:
        return replace(rule, **plan.options["law"])
    if isinstance(rule, Paced):
        settings = {"tokens_per_update": tokens_of(plan.setup), **plan.options.get("pace", {})}
        return replace(rule, **settings)
    return rule


def tokens_of(setup: Setup) -> float | None:
    """Return the tokens of an update, `None` where there are none."""
    size = SIZES.get(setup.model) or RECIPES.get(setup.model)
    if size is None and setup.model == "lstm":
        size = SIZES[Setup.model]  # its windows are of the same length
    return None if size is None else float(setup.batch * size.sequence_length)


def started(
    rule: Rule[Any], setup: Setup, steps: int, options: dict[str, Any], *, start: float, beta: float
) -> WarmupState:
    """Return the state before the first update of a rule with this measured start."""
    return begin(
        rule,
        Run(
            steps,
            beta=beta,
            kappa=kappa_of(setup) if rule.needs_kappa else None,
            # The papers' protocol, whose constants are options, measures no start.
            div=1.0 / start if rule.measured_start is not None and "law" not in options else None,
            **facts_of(setup),
            **_told(options),
        ),
    )


def facts_of(setup: Setup) -> dict[str, Any]:
    """Return what a scheduler would see of the optimizer and the model."""
    return {
        "family": family_named(setup.optimizer),
        "parameters": sum(math.prod(shape) for shape in _shapes(setup)),
        "trained": bool(setup.trained),
    }


def kappa_of(setup: Setup) -> float:
    """Return the paper's kappa for the shapes and the optimizer of a set-up."""
    from autowarmup.norms.named import NORMS  # torch: reading a summary needs none

    norm = NORMS[_NORMS[setup.optimizer]]()
    return float(sum(norm.kappa(shape) for shape in _shapes(setup)))


def _shapes(setup: Setup) -> list[tuple[int, ...]]:
    """Return the shapes of the matrices of a small model; kernels as the matrices they act as."""
    if setup.model == "digits":
        return list(DIGITS_SHAPES)
    if setup.model in NETWORKS:
        return list(NETWORKS[setup.model])
    size = SIZES[setup.model]
    width, hidden = size.width, size.hidden
    block = [(width, width)] * 4 + [(hidden, width)] * 2 + [(width, hidden)]
    return [(256, width), *block * size.layers]


def training_fields(plan: RunPlan) -> dict[str, Any]:
    """Return what `TrainConfig` is told of a plan's rule."""
    return {"rule": build(plan).name, **_told(plan.options)}


def _told(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that are not settings of the rule or of the benchmark."""
    return {name: value for name, value in options.items() if name not in _OURS}

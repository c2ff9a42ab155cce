"""Which runs the benchmark is made of: set-ups x rules x seeds, as plain data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from autowarmup.lab.bench.rates import BEST, BEST_DIGITS, BEST_TUNED
from autowarmup.lab.bench.setups import SIZES, Setup, key
from autowarmup.rules.gap_law.peak import kappa
from autowarmup.rules.registry import DEFAULT_RULE, HAND_TUNED, NEEDS_KAPPA, Rule, rule_by_name
from autowarmup.rules.watched import Watch, watched

MULTIPLES = (0.5, 1.0, 2.0, 4.0)
"""Peak rates, as multiples of the best of a sweep with 5 % warm-up."""
OTHERS = ("published", "accurate", "untuned", "h0h1", "autowu", "doubling")
"""Rules of others that need no tuning."""
PROSE = "/usr/share/doc/git/RelNotes"
"""English prose: the release notes in Debian's package git-doc (3 MB of .txt files)."""
LONG = 10_000
"""Updates of the long runs, four times those of the core set."""
WATCH_LEAST = (0.02, 0.06)
"""Half and one and a half times the fall of the gap that the default rule asks for."""
_KINDS = {
    "muon": "spectral",
    "lion": "linf",
    "signum": "linf",
    "normsgd": "frobenius",
    "adamw": "linf",  # not norm-constrained: the norms whose steps theirs resemble most
    "sgd": "frobenius",
}


@dataclass(frozen=True)
class RunPlan:
    """One run.

    Attributes:
        setup: what is trained.
        seed: of weights and data.
        rule: name of what chooses the rates.
        options: further settings of the rule.
    """

    setup: Setup
    seed: int
    rule: str
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The same for the same run, whenever it was planned."""
        return run_key(self.setup.to_dict(), self.seed, self.rule, self.options)

    def rule_built(self) -> Rule:
        """Return the rule, with constants of its own where the options name some."""
        if "watch" in self.options:
            return watched(Watch(**self.options["watch"]))
        return rule_by_name(self.rule)

    def settings(self) -> dict[str, Any]:
        """Return the options, with what the rule needs to know of the shapes."""
        needed = {"kappa": kappa_for(self.setup)} if self.rule in NEEDS_KAPPA else {}
        own = {name: value for name, value in self.options.items() if name != "watch"}
        return {**needed, **own}


def run_key(setup: dict[str, Any], seed: int, rule: str, options: dict[str, Any]) -> str:
    """Return what tells one run from another."""
    return key({"setup": setup, "seed": seed, "rule": rule, "options": options})


def kappa_for(setup: Setup) -> float:
    """Return the paper's kappa for the shapes and the optimizer of a set-up."""
    if setup.model == "digits":
        shapes = [(128, 64), (128, 128), (10, 128)]
    else:
        size = SIZES[setup.model]
        width, hidden = size.width, size.hidden
        block = [(width, width)] * 4 + [(hidden, width)] * 2 + [(width, hidden)]
        shapes = [(256, width)] + block * size.layers
    return kappa(_KINDS[setup.optimizer], shapes)


def core_setups() -> list[Setup]:
    """Return the set-ups of the core set.

    Six optimizers at four multiples of their best rate; at the best and at four times it also runs
    of 600 updates; at twice it also a larger model and a batch of four times the size.
    """
    base = [
        Setup(optimizer, round(best * multiple, 10))
        for multiple in (1.0, 4.0, 2.0, 0.5)
        for optimizer, best in BEST.items()
    ]
    count = len(BEST)
    short = [replace(setup, steps=600) for setup in base[: 2 * count]]
    twice = base[2 * count : 3 * count]
    mini = [replace(setup, model="mini", steps=1500) for setup in twice]
    large_batch = [replace(setup, batch=32, steps=800) for setup in twice]
    return [*base, *short, *mini, *large_batch]


def planned(
    setups: Iterable[Setup],
    rules: Sequence[str],
    seeds: Sequence[int],
    options: dict[str, Any] | None = None,
) -> list[RunPlan]:
    """Return every combination, one set-up after the other."""
    return [
        RunPlan(setup, seed, rule, options or {})
        for setup in setups
        for seed in seeds
        for rule in rules
    ]


HAND_TUNED_NAMES = tuple(rule.name for rule in HAND_TUNED)
CORE_RULES = (*HAND_TUNED_NAMES, *OTHERS, "flat", DEFAULT_RULE)


def core() -> list[RunPlan]:
    """Return the core set: every rule on every core set-up, two seeds; the first columns first."""
    setups = core_setups()
    return planned(setups, CORE_RULES, (0, 1))


def extended() -> list[RunPlan]:
    """Return what runs on after the core set: a third seed, and both columns at every rate."""
    base = core_setups()[: len(MULTIPLES) * len(BEST)]
    more = [replace(setup, model="mini", steps=2500) for setup in base]
    more += [replace(setup, batch=32, steps=2500) for setup in base]
    return planned(base, CORE_RULES, (2,)) + planned(more, CORE_RULES, (0, 1))


def robustness() -> list[RunPlan]:
    """Return variations of what is trained and of what the default rule is told.

    At twice the best rate, where a rule has something to do, and long runs and fine-tuning at
    the best one, where the loss falls slowly; all optimizers. One seed, two for short runs.
    """
    twice = [Setup(optimizer, round(2 * best, 10)) for optimizer, best in BEST.items()]
    digits = [
        Setup(optimizer, round(2 * best, 10), model="digits", batch=32, steps=1000)
        for optimizer, best in BEST_DIGITS.items()
    ]
    judged = (*HAND_TUNED_NAMES, "flat", DEFAULT_RULE)
    plans: list[RunPlan] = []
    for changes in ({"batch": 2}, {"noise": 0.2}, {"data": PROSE}):
        plans += planned([replace(setup, **changes) for setup in twice], judged, (0,))
    best = [Setup(optimizer, rate, steps=LONG) for optimizer, rate in BEST.items()]
    plans += planned(best, judged, (0,))
    for noise in (0.0, 0.2):
        plans += planned([replace(setup, noise=noise) for setup in digits], judged, (0, 1))
    tuned = [
        Setup(optimizer, rate, steps=600, data=PROSE, trained=2500)
        for optimizer, rate in BEST_TUNED.items()
    ]
    plans += planned(tuned, judged, (0, 1))
    told: list[dict[str, Any]] = [{"lower_bound": 1.0}, {"lower_bound": -1.0}]
    told += [{"watch": {"looks": looks}} for looks in (5, 20)]
    told += [{"watch": {"least": least}} for least in WATCH_LEAST]
    for options in told:
        plans += planned(twice, (DEFAULT_RULE,), (0,), options)
    return plans + planned([replace(setup, scale=10.0) for setup in twice], (DEFAULT_RULE,), (0,))


def smoke() -> list[RunPlan]:
    """Return a few runs that show that everything works."""
    setups = [
        Setup(optimizer, BEST[optimizer], steps=40, batch=2) for optimizer in ("muon", "lion")
    ]
    return planned(setups, ("none", "linear 10%", "published", DEFAULT_RULE), (0,))


SETS: dict[str, Callable[[], list[RunPlan]]] = {
    "core": core,
    "extended": extended,
    "robustness": robustness,
    "smoke": smoke,
}
"""The sets that `autowarmup bench` knows."""

"""The sets of runs that `autowarmup bench` knows by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from autowarmup.lab.bench.plan import RunPlan, planned
from autowarmup.lab.bench.setups import BEST, BEST_DIGITS, BEST_TUNED, Setup
from autowarmup.rules.registry import DEFAULT_RULE, HAND_TUNED

MULTIPLES = (0.5, 1.0, 2.0, 4.0)
"""Peak rates, as multiples of the best of a sweep with 5 % warm-up."""
OTHERS = ("published", "accurate", "untuned", "h0h1", "autowu", "doubling")
"""Rules of others that need no tuning."""
PROSE = "/usr/share/doc/git/RelNotes"
"""English prose: the release notes in Debian's package git-doc (3 MB of .txt files)."""
LONG = 10_000
"""Updates of the long runs, four times those of the core set."""
LEAST_FALLS = (0.02, 0.06)
"""Two thirds and twice the fall of the gap that the default rule asks for."""
HAND_TUNED_NAMES = tuple(rule.name for rule in HAND_TUNED)
CORE_RULES = (*HAND_TUNED_NAMES, *OTHERS, "flat", DEFAULT_RULE)


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


def core() -> list[RunPlan]:
    """Return the core set: every rule on every core set-up, two seeds."""
    return planned(core_setups(), CORE_RULES, (0, 1))


def extended() -> list[RunPlan]:
    """Return what runs on after the core set: a third seed, and larger models at every rate."""
    base = core_setups()[: len(MULTIPLES) * len(BEST)]
    more = [replace(setup, model="mini") for setup in base]
    more += [replace(setup, batch=32) for setup in base]
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
    varied: list[dict[str, Any]] = [{"lower_bound": 1.0}, {"lower_bound": -1.0}]
    varied += [{"watch": {"looks": looks}} for looks in (5, 20)]
    varied += [{"watch": {"least": least}} for least in LEAST_FALLS]
    for options in varied:
        plans += planned(twice, (DEFAULT_RULE,), (0,), options)
    return plans + planned([replace(setup, scale=10.0) for setup in twice], (DEFAULT_RULE,), (0,))


def demo() -> list[RunPlan]:
    """Return the demo: the default rule and four hand-tuned lengths, three optimizers."""
    rates = {"muon": 6e-3, "lion": 3e-3, "normsgd": 0.3}
    setups = [
        Setup(optimizer, lr, model="tiny-cpu", batch=16, steps=400)
        for optimizer, lr in rates.items()
    ]
    return planned(setups, (DEFAULT_RULE, "none", "linear 5%", "linear 20%", "linear 40%"), (0,))


def smoke() -> list[RunPlan]:
    """Return a few runs that show that everything works, side by side and single ones."""
    setups = [Setup(name, BEST[name], steps=40, batch=2) for name in ("muon", "lion")]
    single = [Setup("lion", 2e-3, model="tiny-cpu", batch=2, steps=6)]
    return [
        *planned(setups, ("none", "linear 10%", "published", DEFAULT_RULE), (0,)),
        *planned(single, ("none", "linear 50%", DEFAULT_RULE), (0,)),
    ]


SETS: dict[str, Callable[[], list[RunPlan]]] = {
    "demo": demo,
    "core": core,
    "extended": extended,
    "robustness": robustness,
    "smoke": smoke,
}

"""The sets of runs that `autowarmup bench` knows by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from autowarmup.lab.bench.plan import RunPlan, planned
from autowarmup.lab.bench.rules import facts_of, tokens_of
from autowarmup.lab.bench.setups import BEST, LARGE_BATCH, Setup, best_rate
from autowarmup.rules import Paced, Run
from autowarmup.rules.registry import DEFAULT_RULE, HAND_TUNED

MULTIPLES = (0.5, 1.0, 2.0, 4.0)
"""Peak rates, as multiples of the best of a sweep with 5 % warm-up."""
FAR = 4.0
"""The multiple that is far too high: it stands beside the mean and is no part of it."""
HORIZONS = (600, 2500, 10_000, 40_000)
"""Updates of the same set-up: 1, 4, 16 and, for two optimizers, 64 times as many."""
OTHERS = ("published", "accurate", "untuned", "h0h1", "autowu", "doubling")
"""Rules of others that need no tuning."""
BEFORE = "watched"
"""The default before this one."""
PROSE = "/usr/share/doc/git/RelNotes"
"""English prose: the release notes in Debian's package git-doc (3 MB of .txt files)."""
HAND_TUNED_NAMES = tuple(rule.name for rule in HAND_TUNED)
JUDGED = (*HAND_TUNED_NAMES, BEFORE, DEFAULT_RULE)
"""What runs everywhere: the hand-tuned lengths and the two defaults."""
CORE_RULES = (*HAND_TUNED_NAMES, *OTHERS, "flat", BEFORE, DEFAULT_RULE)
PACES: tuple[dict[str, Any], ...] = (
    {"tokens_per_update": None},
    {"sure": 3.0},
    {"sure": 5.0},
    {"least": 0.03},
)
"""Settings of the default rule other than its own: updates instead of tokens, other thresholds."""
SLOW_STARTS: tuple[dict[str, Any], ...] = (
    {"model": "lstm", "init": 0.1},
    {"model": "micro", "init": 0.05},
)
"""Small initial weights, from which the loss hardly moves at first. The rates are the best of the
LLaMA with usual weights, not of a sweep of their own."""
F_STAR = {
    ("muon", 600): 1.879,
    ("lion", 600): 2.137,
    ("signum", 600): 2.004,
    ("normsgd", 600): 2.280,
    ("adamw", 600): 1.977,
    ("sgd", 600): 2.133,
    ("muon", 2500): 1.618,
    ("lion", 2500): 1.701,
    ("signum", 2500): 1.663,
    ("normsgd", 2500): 1.961,
    ("adamw", 2500): 1.660,
    ("sgd", 2500): 1.815,
}
"""An oracle for the paper's protocol: the best final loss at the best rate (micro, batch 8), over
hand-tuned lengths, minus 0.05. Nobody knows it before the run."""


def chosen_on(setup: Setup) -> bool:
    """Return whether constants of the default were chosen with an eye on such a set-up.

    The brake on logs of the best and of far too high rates at 600 and 2,500 updates and of
    fine-tuning, the least number of updates on the large batch at its best rate, how steep a ramp
    is that has been cut short on the large batch and 600 updates at every rate. Never looked at
    before they were fixed: 10,000 updates, half and twice the best rate at 2,500, the larger model.
    """
    multiple = setup.lr / best_rate(setup)
    if setup.batch == LARGE_BATCH:
        return multiple == 1.0
    plain = setup.model == Setup.model and setup.batch == Setup.batch and setup.steps <= 2500
    return plain and (setup.steps < 2500 or multiple in (1.0, FAR))


def at(multiple: float, **changes: Any) -> list[Setup]:
    """Return the set-ups of all optimizers at a multiple of the best rate for such a set-up."""
    plain = [Setup(optimizer, 0.0, **changes) for optimizer in BEST]
    return [replace(setup, lr=round(best_rate(setup) * multiple, 10)) for setup in plain]


def core() -> list[RunPlan]:
    """Return the core set, two seeds.

    Six optimizers at four multiples of their best rate, 600 and 2,500 updates, with every rule; and
    with the hand-tuned lengths and the two defaults: 10,000 updates, a batch of 4,096 tokens with
    rates of its own, fine-tuning, a larger model and a batch of 1,024 tokens.
    """
    order = (1.0, FAR, 2.0, 0.5)
    plans = [
        plan
        for steps in (2500, 600)
        for multiple in order
        for plan in planned(at(multiple, steps=steps), CORE_RULES, (0, 1))
    ]
    plans += planned(at(1.0, steps=10_000), JUDGED, (0, 1))
    plans += planned(at(1.0, batch=LARGE_BATCH, steps=600), JUDGED, (0, 1))
    plans += planned(at(1.0, steps=600, data=PROSE, trained=2500), JUDGED, (0, 1))
    plans += planned(at(2.0, model="mini", steps=1500), CORE_RULES, (0, 1))
    return plans + planned(at(2.0, batch=32, steps=800), CORE_RULES, (0, 1))


def protocol() -> list[RunPlan]:
    """Return the papers' law with its own protocol: div 100 (5 for normalized SGD), no measured
    start, and f* from an oracle. At the best rate, two seeds."""
    plans: list[RunPlan] = []
    for steps in (600, 2500):
        for setup in at(1.0, steps=steps):
            div = 5.0 if setup.optimizer == "normsgd" else 100.0
            law = {"div": div, "f_star": F_STAR[setup.optimizer, steps]}
            plans += planned([setup], ("published", "flat"), (0, 1), {"law": law})
    return plans


def logs() -> list[RunPlan]:
    """Return runs of a straight ramp as long as the default's, of which every loss is kept.

    At the best rate and at 4 and 16 times it; `bench.alarms` feeds them to rules.
    """
    plans: list[RunPlan] = []
    for changes, seeds in (
        ({"steps": 600}, (0, 1)),
        ({"steps": 2500}, (0, 1)),
        ({"steps": 600, "batch": LARGE_BATCH}, (0,)),
        ({"steps": 1500, "model": "mini"}, (0,)),
        ({"steps": 600, "data": PROSE, "trained": 2500}, (0, 1)),
    ):
        for multiple in (1.0, 4.0, 16.0):
            for setup in at(multiple, **changes):
                ramp = Paced(tokens_per_update=tokens_of(setup))
                length = ramp.length_in(Run(setup.steps, **facts_of(setup)))
                options = {"log": True, "best": best_rate(setup)}
                options["pace"] = {"sure": 1e9, "length": length}  # without its brake
                plans += planned([setup], (DEFAULT_RULE,), seeds, options)
    return plans


def extended() -> list[RunPlan]:
    """Return what widens the core set, all of it looked at once.

    Two networks on pictures of characters and an LSTM; one seed of the large batch at half and
    twice its best rate and of 40,000 updates of two optimizers; a third seed of 2,500 updates at
    the best rate; and the rules of others where the core set has the judged ones alone.
    """
    plans: list[RunPlan] = []
    for model, batch in (("glyph-resnet", 32), ("glyph-vit", 32), ("lstm", 8)):
        plans += planned(at(1.0, model=model, batch=batch, steps=600), CORE_RULES, (0, 1))
    for multiple in (2.0, 0.5):
        plans += planned(at(multiple, batch=LARGE_BATCH, steps=600), CORE_RULES, (0,))
    plans += planned(at(1.0, steps=2500), CORE_RULES, (2,))
    only_core = [rule for rule in CORE_RULES if rule not in JUDGED]
    for changes in (
        {"steps": 600, "data": PROSE, "trained": 2500},
        {"steps": 600, "batch": LARGE_BATCH},
        {"steps": 10_000},
    ):
        plans += planned(at(1.0, **changes), only_core, (0, 1))
    longest = [s for s in at(1.0, steps=HORIZONS[-1]) if s.optimizer in ("muon", "adamw")]
    return plans + planned(longest, JUDGED, (0,))


def robustness() -> list[RunPlan]:
    """Return variations of what is trained and of what the default rule is told.

    At twice the best rate, where a rule has something to do, slow starts at the best; all
    optimizers. One seed, two for the digits.
    """
    judged = (*HAND_TUNED_NAMES, "flat", BEFORE, DEFAULT_RULE)
    plans: list[RunPlan] = []
    for changes in ({"batch": 2}, {"noise": 0.2}, {"data": PROSE}):
        plans += planned([replace(setup, **changes) for setup in at(2.0)], judged, (0,))
    for noise in (0.0, 0.2):
        digits = at(2.0, model="digits", batch=32, steps=1000, noise=noise)
        plans += planned(digits, judged, (0, 1))
    for changes in SLOW_STARTS:
        slow = [replace(setup, **changes) for setup in at(1.0, steps=600)]
        plans += planned(slow, JUDGED, (0,))
    for pace in PACES:
        plans += planned(at(2.0), (DEFAULT_RULE,), (0,), {"pace": pace})
    return plans + planned(at(2.0, scale=10.0), (DEFAULT_RULE,), (0,))


def demo() -> list[RunPlan]:
    """Return the demo: the default rule, no warm-up and the usual 5 %, three optimizers.

    Nine runs take two minutes on two cores; 20 and 40 % beside them change neither the best
    length of a set-up nor the verdict, and shorter runs do.
    """
    rates = {"muon": 6e-3, "lion": 3e-3, "normsgd": 0.3}
    setups = [
        Setup(optimizer, lr, model="tiny-cpu", batch=16, steps=400)
        for optimizer, lr in rates.items()
    ]
    return planned(setups, (DEFAULT_RULE, "none", "linear 5%"), (0,))


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
    "protocol": protocol,
    "logs": logs,
    "extended": extended,
    "robustness": robustness,
    "smoke": smoke,
}

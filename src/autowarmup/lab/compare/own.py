"""Rules compared on a training of one's own: a function of (rule, seed) that returns a loss."""

from __future__ import annotations

import math
import pickle
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autowarmup.lab.bench.engine import Outcome, run_plans
from autowarmup.lab.bench.plan import RunPlan, planned
from autowarmup.lab.bench.ray_pool import RayOptions
from autowarmup.lab.bench.records import Record, key_of, make_record, read_records
from autowarmup.lab.bench.setups import OWN, Setup
from autowarmup.lab.claim import claimed
from autowarmup.lab.compare.comparison import Comparison
from autowarmup.lab.compare.page import write_page
from autowarmup.lab.compare.statistics import compared
from autowarmup.lab.rule_list import rule_list
from autowarmup.rules.settings import whole

Train = Callable[[str, int], float]


@dataclass(frozen=True)
class OwnTraining:
    """The user's function as the benchmark's engine calls a training."""

    train: Train

    def __call__(self, plans: Sequence[RunPlan], scratch: Path) -> list[Record]:
        """Return the record of one run."""
        (plan,) = plans
        began = time.monotonic()
        given: Any = self.train(plan.rule, plan.seed)
        try:
            loss = float(given.item() if hasattr(given, "item") else given)
        except (TypeError, ValueError, RuntimeError):
            raise ValueError(f"train: expected a loss, a number, got {given!r:.60}") from None
        updates, seconds = plan.setup.steps, time.monotonic() - began
        diverged = None if math.isfinite(loss) else updates
        curve = [(updates, loss)]
        return [
            make_record(
                plan, losses=[], factors=[], curve=curve, updates=updates, seconds=seconds,
                diverged_at=diverged,
            )
        ]  # fmt: skip


def compare_rules(
    train: Train,
    rules: str | Sequence[str],
    seeds: int | Sequence[int],
    *,
    out: str | Path,
    updates: int | None = None,
    name: str = "your training",
    workers: int = 0,
    ray: RayOptions | None = None,
    progress: bool = False,
) -> Comparison:
    """Train with every rule on every seed and return what each brings against the first.

    A run is stored in OUT/runs when it ends: the same call goes on where it stopped. Stored runs
    are known by `name`, `updates`, rule and seed; another training needs another directory. Also
    writes OUT/report.html, OUT/summary.json and OUT/figures.

    Args:
        train: gets the name of a rule, for `AdaptiveWarmup(rule=...)`, and a seed, for weights and
            data alike, so that rules are compared on the same ones. Returns the final loss, lower
            is better; a loss that is no finite number counts as diverged.
        rules: names of rules; "default" is the default one. The first is the reference.
        seeds: which, or how many from 0 on. Fewer than three give no verdict.
        out: directory of the comparison.
        updates: of each run, if you say so; with too few no verdict is drawn.
        name: what is trained.
        workers: processes that train side by side; 0 trains here, one run after the other. Several
            need a `train` that they can import: a function at the top of a module.
        ray: train on a Ray cluster with these options instead.
        progress: show a live display on the terminal.

    Returns:
        The comparison, a dictionary of plain JSON values with `report()` and `plot()`: for each
        rule the mean loss and its standard error, the mean difference to the reference over the
        seeds with its standard error and 95 % interval, and a verdict: "lower", "higher", "open" or
        `None` (`no_verdict_because` says why).

    Raises:
        ValueError: no rule or one twice, no seed, a directory with files of others, or every run
            failed; the sentence says why.
        KeyboardInterrupt: after Ctrl-C; what is stored stays.
    """
    if not callable(train):
        raise ValueError(f"train: expected a function of a rule's name and a seed, got {train!r}")
    updates = None if updates is None else whole("updates", updates)
    names = rule_list(rules)
    plans = planned([Setup(name, 0.0, OWN, 0, updates or 0)], names, seeds_of(seeds))
    if workers and ray is None:
        _check_importable(train)
    training = OwnTraining(train)
    running: dict[str, Any] = {"train": training, "progress": progress}
    if ray is None and workers == 0:
        running["here"] = True
    else:
        running |= {"workers": workers or None, "ray": ray}
    return run_and_compare(plans, Path(out), updates, **running)


def run_and_compare(
    plans: Sequence[RunPlan], out: Path, updates: int | None, *, command: str = "", **running: Any
) -> Comparison:
    """Run what is missing of a plan, return the comparison, and write its page.

    The directory belongs to this process until the page is written.

    Args:
        plans: what is compared, the reference first.
        out: directory of the comparison.
        updates: of each run, `None` if nobody says.
        command: that made it.
        running: as `bench.engine.run_plans`.

    Raises:
        ValueError: as `run_plans`; or every run failed.
        KeyboardInterrupt: after Ctrl-C; what is stored stays.
    """
    with claimed(out):
        return _finish(plans, out, run_plans(plans, out, **running), updates, command)


def _finish(
    plans: Sequence[RunPlan], out: Path, outcome: Outcome, updates: int | None, command: str
) -> Comparison:
    """Return the comparison of what is stored of a plan, and write its page.

    Raises:
        ValueError: nothing is stored.
        KeyboardInterrupt: the runs were interrupted.
    """
    if outcome.interrupted:
        raise KeyboardInterrupt(outcome.sentence)
    wanted = {plan.key for plan in plans}
    records = [record for record in read_records(out) if key_of(record) in wanted]
    if not records:
        why = outcome.failures[0] if outcome.failures else "nothing was run"
        raise ValueError(f"{out}: expected runs that end with a loss, got none: {why}")
    names = list(dict.fromkeys(plan.rule for plan in plans))
    summary = {
        "setup": plans[0].setup.to_dict(),
        **compared(records, names, updates),
        "planned": len(plans),
        "stored": len(records),
        "failures": list(outcome.failures),
    }
    write_page(out, summary, command=command)
    return Comparison(summary)


def seeds_of(seeds: int | Sequence[int]) -> list[int]:
    """Return seeds, 0 to n - 1 for a number n.

    Raises:
        ValueError: none, one twice, or what is no whole number.
    """
    listed = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    whole = all(isinstance(seed, int) and not isinstance(seed, bool) for seed in listed)
    if not listed or len(set(listed)) < len(listed) or not whole:
        raise ValueError(f"seeds: expected different whole numbers, or how many, got {seeds!r}")
    return listed


def _check_importable(train: Train) -> None:
    try:
        pickle.dumps(train)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ValueError(
            "train: expected a function at the top of a module, which other processes can import, "
            f"got {train!r:.80} ({error}); workers=0 trains here"
        ) from None

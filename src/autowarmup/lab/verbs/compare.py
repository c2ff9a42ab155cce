"""`autowarmup compare`: rules compared on one's own data."""

from __future__ import annotations

import json as json_format
import sys
from pathlib import Path
from typing import Annotated, Literal

from autowarmup.lab.rule_list import rule_list
from autowarmup.lab.verbs.ray_options import ray_options
from autowarmup.lab.verbs.train import FROM_RECIPE, filled_by
from autowarmup.lab.verbs.typed import command


def compare(
    out: Path,
    rules: str = "default,linear 5%,linear 20%",
    recipe: str = "tiny-cpu",
    optimizer: str = "muon",
    lr: Annotated[float | None, FROM_RECIPE] = None,
    steps: Annotated[int | None, FROM_RECIPE] = None,
    batch_size: Annotated[int | None, FROM_RECIPE] = None,
    data: Annotated[str | None, FROM_RECIPE] = None,
    seeds: int = 3,
    workers: Annotated[
        int | None, filled_by("one per core, or what a Ray cluster has room for")
    ] = None,
    engine: Literal["local", "ray"] = "local",
    address: str = "local",
    cpus_per_run: int = 1,
    gpus_per_run: float = 0.0,
    memory_per_run: int = 0,
    retries: int = 2,
    json: bool = False,
) -> int:
    """Train one model with several warm-up rules on the same seeds, and compare.

    Every run is stored in OUT/runs the moment it ends; the same command continues where it stopped.
    For a training of your own in Python: autowarmup.lab.compare.compare_rules.

    Args:
        out: directory of the comparison; OUT/report.html and OUT/summary.json go there.
        rules: warm-up rules, separated by commas; the first is what the others are compared with.
        recipe: tiny-cpu, small-cpu, llama-124m or llama-210m.
        optimizer: as in `autowarmup train`.
        lr: peak learning rate.
        steps: updates in each run.
        batch_size: sequences per update.
        data: as in `autowarmup train`: a directory, a file, "stdlib" or "fineweb".
        seeds: how many; fewer than three give no verdict.
        workers: processes that train side by side.
        engine: local, or ray for a Ray cluster (the options below are for ray alone).
        address: "local" (a cluster on this machine), "auto" (the one it belongs to), ray://HOST:PORT.
        cpus_per_run: CPU cores, and threads, of each process.
        gpus_per_run: GPUs of each process; a fraction shares one.
        memory_per_run: bytes of memory set aside for each process; 0 leaves that out.
        retries: how often a run whose process or node died is tried again.
        json: print one JSON object for machines.
    """
    from autowarmup.lab.bench.plan import planned
    from autowarmup.lab.compare.own import run_and_compare, seeds_of
    from autowarmup.lab.compare.page import print_comparison
    from autowarmup.lab.compare.plan import setup_of

    names = rule_list(rules)
    ray = ray_options(engine, address, cpus_per_run, gpus_per_run, memory_per_run, retries)
    setup = setup_of(
        names, recipe=recipe, optimizer=optimizer, lr=lr, steps=steps, batch_size=batch_size,
        data=data,
    )  # fmt: skip
    if len(names) < 2:
        raise ValueError(
            f"rules: expected two or more, the first as the reference, got {names[0]!r} alone"
        )
    plans = planned([setup], names, seeds_of(seeds))
    summary = run_and_compare(
        plans, out, setup.steps, command=command(), workers=workers, ray=ray, progress=not json
    )
    if json:
        print(json_format.dumps(summary))
    else:
        print_comparison(summary)
    page = out / "report.html"
    print(f"Open {page} in a browser.", file=sys.stderr if json else sys.stdout)
    return int(summary["stored"] < summary["planned"])

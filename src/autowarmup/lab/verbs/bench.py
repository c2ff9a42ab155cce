"""`autowarmup bench`: the benchmark of warm-up rules."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from autowarmup.lab.claim import claimed
from autowarmup.lab.extras import need
from autowarmup.lab.verbs.ray_options import ray_options
from autowarmup.lab.verbs.train import filled_by, one_of
from autowarmup.lab.verbs.typed import command

SET_NAMES = ("demo", "core", "protocol", "logs", "extended", "robustness", "smoke")
"""The keys of `bench.sets.SETS`, which loads more than a help should."""


def bench(
    out: Path,
    set: Annotated[str, one_of(SET_NAMES)] = "core",
    draw: bool = False,
    workers: Annotated[
        int | None, filled_by("one per core, one for a GPU, or what a Ray cluster has room for")
    ] = None,
    device: str = "cpu",
    engine: Literal["local", "ray"] = "local",
    address: str = "local",
    cpus_per_run: int = 1,
    gpus_per_run: float = 0.0,
    memory_per_run: int = 0,
    retries: int = 2,
) -> int:
    """Train a set of runs with different warm-ups; OUT/report.html, OUT/summary.json.

    Every run is stored in OUT/runs the moment it ends; the same command continues where it stopped.

    Args:
        out: directory of the benchmark.
        set: smoke (seconds), demo (two minutes on 2 cores), core (4 hours), extended (4 hours),
            robustness (an hour), logs (20 minutes) or protocol (minutes).
        draw: only draw again what OUT holds.
        workers: processes that train side by side.
        device: cpu, or cuda (cuda:1, ...) to train all runs of an optimizer side by side on a GPU.
        engine: local, or ray for a Ray cluster (the options below are for ray alone).
        address: "local" (a cluster on this machine), "auto" (the one it belongs to), ray://HOST:PORT.
        cpus_per_run: CPU cores, and threads, of each process.
        gpus_per_run: GPUs of each process; a fraction shares one.
        memory_per_run: bytes of memory set aside for each process; 0 leaves that out.
        retries: how often a run whose process or node died is tried again.
    """
    from rich.console import Console
    from rich.text import Text

    from autowarmup.lab.bench.job import run_set, write_report
    from autowarmup.lab.bench.terminal import print_summary

    need("jinja2", "matplotlib", *(["transformers"] if not draw else []))
    if workers is not None and workers < 1:
        raise ValueError(f"workers: expected at least 1, got {workers}")
    ray = ray_options(engine, address, cpus_per_run, gpus_per_run, memory_per_run, retries)
    missing = interrupted = False
    with claimed(out):
        if not draw:
            outcome = run_set(out, set, workers=workers, command=command(), ray=ray, device=device)
            Console().print(Text(outcome.sentence))
            missing, interrupted = bool(outcome.missing), outcome.interrupted
        if draw or any((out / "runs").glob("*.jsonl")):
            print_summary(write_report(out))
            print(f"Open {out / 'report.html'} in a browser.")
        elif set == "robustness":
            Console().print(
                Text(
                    f"The tables compare with the core set: run autowarmup bench --out {out} first."
                )
            )
    return 130 if interrupted else int(missing)

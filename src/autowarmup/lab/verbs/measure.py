"""`autowarmup measure`: the curvature along training."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from autowarmup.lab.claim import claimed
from autowarmup.lab.extras import need
from autowarmup.lab.reading import taken_from
from autowarmup.lab.train.config import COUNTS, NORMS, TrainConfig
from autowarmup.lab.verbs.train import TrainOptions, filled_by, one_of
from autowarmup.lab.verbs.typed import command

OBJECT_NAMES = (
    "deep-linear", "deep-leaky-relu", "two-layer-ce", "two-layer-mse", "one-layer-transformer",
    "digits-vit",
)  # fmt: skip
"""The keys of `problems.registry.OBJECTS`, which loads torch."""


@dataclass(frozen=True)
class MeasureOptions(TrainOptions):  # noqa: D101
    __doc__ = TrainConfig.__doc__

    measure: Annotated[bool, tyro.conf.Suppress] = True
    measure_every: Annotated[int, tyro.conf.Suppress] = 10
    measure_norm: Annotated[str, tyro.conf.arg(name="norm"), one_of(NORMS)] = "auto"
    measure_count: Annotated[str, tyro.conf.arg(name="count"), one_of(COUNTS)] = "auto"
    measure_next: Annotated[bool, tyro.conf.arg(name="next-batch")] = True
    measure_hessian: Annotated[bool, tyro.conf.arg(name="hessian")] = False


def measure(
    training: Annotated[MeasureOptions, tyro.conf.OmitArgPrefixes],
    out: Path,
    every: Annotated[int | None, filled_by("10, or the object's own")] = None,
    run: Annotated[Path | None, filled_by("trains")] = None,
    object: Annotated[str | None, one_of(OBJECT_NAMES), filled_by("the LLaMA below")] = None,
    draw: bool = False,
) -> int:
    """Measure the curvature along training; OUT/measure.json, OUT/measure.html.

    Trains with the options below, or reads a finished run (--run), or trains one of the small
    models of arXiv 2510.03164 (--object; --steps, --every and --seed apply). The same command
    continues a training that was cut short. --draw only builds the page of a stored OUT again.

    Args:
        training: what to train, as in `autowarmup train`.
        out: directory of the measurement.
        every: updates between measurements.
        run: a finished `autowarmup train --measure` run to read instead of training.
        object: a small model of arXiv 2510.03164, to train instead.
        draw: build OUT/measure.html from the OUT/measure.json that is there; nothing is measured.
    """
    need("jinja2", "matplotlib")
    from autowarmup.lab import curvature
    from autowarmup.lab.curvature import measure as measuring

    typed = {name: value for name, value in asdict(training).items()
             if value != getattr(MeasureOptions, name)}  # fmt: skip
    if every is not None:
        typed["measure_every"] = every
    chosen = {"--run": run is not None, "--object": object is not None, "--draw": draw}
    if len(both := [name for name, given in chosen.items() if given]) > 1:
        raise ValueError(f"expected one of --run, --object and --draw, got {' and '.join(both)}")
    if draw:
        _only(typed, "--draw")
        curvature.read_record(out)  # before anything is made
        with claimed(out), taken_from(out / "measure.json", "measured curvature"):
            record = curvature.page(out)
    elif run is not None:
        _only(typed, "--run", "lower_bound")
        record = measuring.measure_run(
            run, out, lower_bound=typed.get("lower_bound"), command=command()
        )
    elif object is not None:
        _only(typed, "--object", "steps", "seed", "measure_every")
        record = measuring.measure_object(
            object, out, steps=training.steps, every=every, seed=training.seed, command=command()
        )
    else:
        config = TrainConfig.from_dict({**asdict(training), **typed})
        record = measuring.measure_training(config, out, command=command())
    curvature.print_record(record, out)
    return 1 if record["source"].get("status") == "diverged" else 0


def _only(typed: dict[str, Any], beside: str, *allowed: str) -> None:
    """Refuse options that would be ignored."""
    idle = [name for name in typed if name not in allowed]
    if idle:
        flags = ", ".join(f"--{name.removeprefix('measure_').replace('_', '-')}" for name in idle)
        usable = ", ".join(f"--{n.removeprefix('measure_').replace('_', '-')}" for n in allowed)
        but = f" but {usable}" if usable else ""
        raise ValueError(f"{beside}: expected no training options{but}, got {flags}")

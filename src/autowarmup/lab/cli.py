"""The command line: parse, call, print. `autowarmup VERB --help` lists every option.

Exit codes: 0 done, 1 a run diverged or failed, 2 a mistake in what was asked for, 130 interrupted.
"""

from __future__ import annotations

import os
import shlex
import sys
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

try:
    import tyro
    import rich  # noqa: F401
except ModuleNotFoundError as error:  # the library itself needs neither
    raise SystemExit(
        f"the autowarmup command needs {error.name}: expected `pip install 'autowarmup[all]'`"
    ) from error

from autowarmup.lab.train.config import TrainConfig
from autowarmup.lab.train.earlier import refuse_earlier_options
from autowarmup.lab.verbs.schedule import schedule
from autowarmup.lab.verbs.train import TrainOptions, train


@dataclass(frozen=True)
class MeasureOptions(TrainOptions):  # noqa: D101
    __doc__ = TrainConfig.__doc__

    measure: Annotated[bool, tyro.conf.Suppress] = True
    measure_every: Annotated[int, tyro.conf.Suppress] = 10
    measure_norm: Annotated[str, tyro.conf.arg(name="norm")] = "auto"
    measure_count: Annotated[str, tyro.conf.arg(name="count")] = "auto"
    measure_next: Annotated[bool, tyro.conf.arg(name="next-batch")] = True
    measure_hessian: Annotated[bool, tyro.conf.arg(name="hessian")] = False


def measure(
    training: Annotated[MeasureOptions, tyro.conf.OmitArgPrefixes],
    out: Path,
    every: int | None = None,
    run: Path | None = None,
    object: str | None = None,
) -> int:
    """Measure the curvature along training: OUT/measure.json with fits, and OUT/measure.html.

    Trains with the options below, or reads a finished run (--run), or trains one of the small
    models of arXiv 2510.03164 (--object; --steps, --every and --seed apply). The same command
    continues a training that was cut short.

    Args:
        training: what to train, as in `autowarmup train`.
        out: directory of the measurement.
        every: updates between measurements; 10, or the object's own.
        run: a finished `autowarmup train --measure` run to read instead of training.
        object: deep-linear, deep-leaky-relu, two-layer-ce, two-layer-mse, one-layer-transformer or
            digits-vit.
    """
    from autowarmup.lab.curvature import sources
    from autowarmup.lab.curvature.terminal import print_record

    typed = {name: value for name, value in asdict(training).items()
             if value != getattr(MeasureOptions, name)}  # fmt: skip
    if every is not None:
        typed["measure_every"] = every
    if run is not None and object is not None:
        raise ValueError("expected either --run or --object, got both")
    if run is not None:
        _only(typed, "--run", "lower_bound")
        record = sources.measure_run(
            run, out, lower_bound=typed.get("lower_bound"), command=_command()
        )
    elif object is not None:
        _only(typed, "--object", "steps", "seed", "measure_every")
        record = sources.measure_object(
            object, out, steps=training.steps, every=every, seed=training.seed, command=_command()
        )
    else:
        config = TrainConfig.from_dict({**asdict(training), **typed})
        record = sources.measure_training(config, out, command=_command())
    print_record(record, out)
    return 1 if record["source"].get("status") == "diverged" else 0


def _only(typed: dict[str, Any], beside: str, *allowed: str) -> None:
    """Refuse options that would be ignored."""
    idle = [name for name in typed if name not in allowed]
    if idle:
        flags = ", ".join(f"--{name.removeprefix('measure_').replace('_', '-')}" for name in idle)
        usable = ", ".join(f"--{n.removeprefix('measure_').replace('_', '-')}" for n in allowed)
        raise ValueError(f"{beside}: expected no training options but {usable}, got {flags}")


def _command() -> str:
    """Return the command line that was typed."""
    return shlex.join(["autowarmup", *_typed])


_typed: list[str] = []


def compare(
    out: Path,
    recipe: str = "demo",
    workers: int | None = None,
    engine: Literal["local", "ray"] = "local",
    address: str = "local",
    cpus_per_run: int = 1,
    gpus_per_run: float = 0.0,
    memory_per_run: int = 0,
    retries: int = 2,
) -> int:
    """Train a grid of hand-tuned and adaptive warm-ups and draw OUT/report.html.

    Every run is stored in OUT/runs the moment it ends; the same command continues where it stopped.

    Args:
        out: directory of the comparison.
        recipe: which grid: demo, study or smoke.
        workers: runs side by side; by default one per core, or what the Ray cluster has room for.
        engine: local, or ray for a Ray cluster (the options below are for ray alone).
        address: "local" (a cluster on this machine), "auto" (the one it belongs to), ray://HOST:PORT.
        cpus_per_run: CPU cores, and threads, of each run.
        gpus_per_run: GPUs of each run; a fraction shares one.
        memory_per_run: bytes of memory set aside for each run; 0 leaves that out.
        retries: how often a run whose process or node died is tried again.
    """
    from autowarmup.lab.compare.engine import run_grid
    from autowarmup.lab.compare.grid import GRIDS
    from autowarmup.lab.compare.ray_engine import RayOptions

    if recipe not in GRIDS:
        raise ValueError(f"recipe: expected one of {', '.join(GRIDS)}, got {recipe!r}")
    wanted = RayOptions(address, cpus_per_run, gpus_per_run, memory_per_run, retries)
    if engine == "local" and wanted != RayOptions():
        raise ValueError("expected --engine ray with the options of Ray, got --engine local")
    ray = wanted if engine == "ray" else None
    outcome = run_grid(GRIDS[recipe], out, workers=workers, ray=ray)
    print(outcome.sentence)
    if outcome.stored:
        redraw(out)
    if outcome.interrupted:
        return 130
    return 1 if outcome.failed else 0


def bench(out: Path, set: str = "core", workers: int | None = None, draw: bool = False) -> int:
    """Run the regret benchmark of warm-up rules and draw OUT/bench.html and OUT/summary.json.

    The same command continues where it stopped: every lot of runs is stored the moment it ends.

    Args:
        out: directory of the benchmark.
        set: core (about 3 hours on 2 cores), extended, robustness, or smoke (seconds).
        workers: processes that train side by side, one thread each; by default one per core.
        draw: only draw again what OUT holds.
    """
    from autowarmup.lab.bench.job import redraw as draw_bench
    from autowarmup.lab.bench.job import run_bench

    missing = 0
    if not draw:
        sentence, missing = run_bench(out, set, workers=workers, command=_command())
        print(sentence)
    if not draw and not (out / "runs").exists():
        print(f"The tables compare with the core set: run autowarmup bench --out {out} first.")
        return 1 if missing else 0
    draw_bench(out)
    print(f"Open {out / 'bench.html'} in a browser.")
    return 1 if missing else 0


def redraw(directory: Annotated[Path, tyro.conf.Positional]) -> int:
    """Draw DIRECTORY/report.html, its figures and summary.json again from DIRECTORY/runs.

    Args:
        directory: what `autowarmup compare --out` wrote.
    """
    from autowarmup.lab.compare.report import write_report
    from autowarmup.lab.compare.terminal import print_summary

    print_summary(write_report(directory))
    print(f"Open {directory / 'report.html'} in a browser.")
    return 0


def theory(
    instances: int = 20,
    seed: int = 0,
    json: bool = False,
    out: Path | None = None,
    figures: bool = False,
) -> int:
    """Check every theorem of both papers on functions of which everything is known.

    Seconds. The exit code is 1 where a statement is violated, or where a false one is not caught.
    With --figures it draws, in its place, warm-up against fixed steps and the rate of the theorem
    in three norms; one to two minutes.

    Args:
        instances: random functions of each kind; 600 make more than 10,000.
        seed: the same seed gives the same numbers.
        json: print one JSON object for machines.
        out: also write OUT/theory.json and OUT/theory.html.
        figures: write OUT/separation.json, OUT/picture.json and OUT/figures; needs --out.
    """
    if figures:
        return _theory_figures(seed, out)
    from autowarmup.lab.theory.page import write_page
    from autowarmup.lab.theory.terminal import print_report
    from autowarmup.lab.theory.verify import verify

    report = verify(instances, seed, command=_command())
    if json:
        print(json.dumps(report.to_dict()))
    else:
        print_report(report)
    if out is not None:
        page = write_page(out, report)
        print(f"Open {page} in a browser.", file=sys.stderr if json else sys.stdout)
    return 1 if report.wrong else 0


def _theory_figures(seed: int, out: Path | None) -> int:
    if out is None:
        raise ValueError("expected a folder for the figures (--out DIR), got none")
    from autowarmup.lab.theory.figures import write_figures

    for path in write_figures(out, seed, command=_command()):
        print(path)
    return 0


VERBS = {
    "train": train,
    "measure": measure,
    "compare": compare,
    "bench": bench,
    "report": redraw,
    "schedule": schedule,
    "theory": theory,
}


def _is_first() -> bool:
    """Whether this process speaks for all that torchrun started."""
    return os.environ.get("RANK", "0") == "0"


def _check_processes() -> None:
    """Refuse verbs that every process would do on its own."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    verb = _typed[0] if _typed else ""
    if count > 1 and verb in VERBS and verb != "train":
        raise ValueError(f"{verb}: expected a single process, got {count}; only train shares work")


def main(arguments: list[str] | None = None) -> int:
    """Run one verb and return its exit code."""
    _typed[:] = sys.argv[1:] if arguments is None else arguments
    try:
        _check_processes()
        refuse_earlier_options(_typed)
        # Fields that the recipe fills have no default of their type.
        warnings.filterwarnings("ignore", message="The field .* is annotated with type")
        return tyro.extras.subcommand_cli_from_dict(
            VERBS,
            args=arguments,
            prog="autowarmup",
            description="Learning-rate warm-up derived from what training itself shows.",
        )
    except KeyboardInterrupt as stop:
        if _is_first():
            print(str(stop) or "interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read our output left, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError, ModuleNotFoundError) as error:
        # All processes meet the same mistakes, but the first may be the one that is gone.
        if _is_first() or isinstance(error, ConnectionError):
            print(f"error: {error}", file=sys.stderr)
        return 2
    finally:
        _leave_processes()


def _leave_processes() -> None:
    torch = sys.modules.get("torch")  # never loaded for this
    if torch is not None and "WORLD_SIZE" in os.environ and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    raise SystemExit(main())

"""The command line: parse, call, print. `autowarmup VERB --help` lists every option.

Exit codes: 0 done, 1 a run diverged or failed, 2 a mistake in what was asked for, 130 interrupted.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

try:
    import tyro
    from rich.console import Console
except ModuleNotFoundError as error:  # the library itself needs neither
    raise SystemExit(
        f"the autowarmup command needs {error.name}: expected `pip install 'autowarmup[all]'`"
    ) from error

from autowarmup.lab.train.config import TrainConfig
from autowarmup.lab.train.earlier import WORDS
from autowarmup.rules.gap_law.law import SmoothnessLaw
from autowarmup.rules.gap_law.peak import choose, kappa

Kind = Literal["spectral", "linf", "frobenius"]


@dataclass(frozen=True)
class TrainOptions(TrainConfig):  # noqa: D101 - the options are documented where they are checked
    __doc__ = TrainConfig.__doc__

    def __post_init__(self) -> None:
        """Leave the checks to `TrainConfig`, whose sentence would drown in the parser's report."""


def train(
    run: Annotated[TrainOptions, tyro.conf.OmitArgPrefixes], out: Path, resume: bool = False
) -> int:
    """Pretrain one small LLaMA and write OUT/trace.jsonl and OUT/result.json.

    Several processes share one run: torchrun --nproc-per-node N -m autowarmup train ...

    Args:
        run: what to train; every field that is left out comes from the recipe.
        out: directory of this run.
        resume: continue the run that OUT holds.
    """
    config = TrainConfig.from_dict(asdict(run))
    from autowarmup.lab.train import train as pretrain

    record = pretrain.train(config, out=out, resume=resume)
    if not _is_first():
        return 0 if record["status"] == "finished" else 1
    if record["status"] != "finished":
        print(f"{record['status']}: {record['message']}", file=sys.stderr)
        return 1
    Console().print(
        f"validation loss [bold]{record['val_loss']:.4f}[/bold] after {record['steps_done']} "
        f"updates; warm-up ended at update {record['warmup_end_step']} "
        f"({record['warmup_ended_by']}); see {out / 'result.json'}"
    )
    return 0


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
    draw: bool = False,
) -> int:
    """Measure the curvature along training: OUT/measure.json with fits, and OUT/measure.html.

    Trains with the options below, or reads a finished run (--run), or trains one of the small
    models of arXiv 2510.03164 (--object; --steps, --every and --seed apply). The same command
    continues a training that was cut short. --draw only builds the page of a stored OUT again.

    Args:
        training: what to train, as in `autowarmup train`.
        out: directory of the measurement.
        every: updates between measurements; 10, or the object's own.
        run: a finished `autowarmup train --measure` run to read instead of training.
        object: deep-linear, deep-leaky-relu, two-layer-ce, two-layer-mse, one-layer-transformer or
            digits-vit.
        draw: build OUT/measure.html from the OUT/measure.json that is there; nothing is measured.
    """
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
        record = curvature.page(out)
    elif run is not None:
        _only(typed, "--run", "lower_bound")
        record = measuring.measure_run(
            run, out, lower_bound=typed.get("lower_bound"), command=_command()
        )
    elif object is not None:
        _only(typed, "--object", "steps", "seed", "measure_every")
        record = measuring.measure_object(
            object, out, steps=training.steps, every=every, seed=training.seed, command=_command()
        )
    else:
        config = TrainConfig.from_dict({**asdict(training), **typed})
        record = measuring.measure_training(config, out, command=_command())
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


def _command() -> str:
    """Return the command line that was typed."""
    return shlex.join(["autowarmup", *_typed])


_typed: list[str] = []


def bench(
    out: Path,
    set: str = "core",
    draw: bool = False,
    workers: int | None = None,
    engine: Literal["local", "ray"] = "local",
    address: str = "local",
    cpus_per_run: int = 1,
    gpus_per_run: float = 0.0,
    memory_per_run: int = 0,
    retries: int = 2,
) -> int:
    """Train a set of runs with different warm-ups and draw OUT/report.html and OUT/summary.json.

    Every run is stored in OUT/runs the moment it ends; the same command continues where it stopped.

    Args:
        out: directory of the benchmark.
        set: demo (about ten minutes on 2 cores), core (three hours), extended, robustness, or smoke
            (seconds).
        draw: only draw again what OUT holds.
        workers: processes that train side by side; by default one per core, or what the Ray cluster
            has room for.
        engine: local, or ray for a Ray cluster (the options below are for ray alone).
        address: "local" (a cluster on this machine), "auto" (the one it belongs to), ray://HOST:PORT.
        cpus_per_run: CPU cores, and threads, of each process.
        gpus_per_run: GPUs of each process; a fraction shares one.
        memory_per_run: bytes of memory set aside for each process; 0 leaves that out.
        retries: how often a run whose process or node died is tried again.
    """
    from autowarmup.lab.bench.job import run_set, write_report
    from autowarmup.lab.bench.ray_pool import RayOptions
    from autowarmup.lab.bench.terminal import print_summary

    wanted = RayOptions(address, cpus_per_run, gpus_per_run, memory_per_run, retries)
    if engine == "local" and wanted != RayOptions():
        raise ValueError("expected --engine ray with the options of Ray, got --engine local")
    missing = interrupted = False
    if not draw:
        ray = wanted if engine == "ray" else None
        outcome = run_set(out, set, workers=workers, command=_command(), ray=ray)
        print(outcome.sentence)
        missing, interrupted = bool(outcome.missing), outcome.interrupted
    if draw or any((out / "runs").glob("*.jsonl")):
        print_summary(write_report(out))
        print(f"Open {out / 'report.html'} in a browser.")
    elif set == "robustness":
        print(f"The tables compare with the core set: run autowarmup bench --out {out} first.")
    return 130 if interrupted else int(missing)


_MOVED = {
    "compare": "autowarmup bench --set demo --out DIR",
    "report": "autowarmup bench --draw --out DIR",
}


def _check_moved() -> None:
    """Say how a verb of earlier versions is written now."""
    verb = _typed[0] if _typed else ""
    if verb in _MOVED:
        raise ValueError(f"{verb}: expected `{_MOVED[verb]}`, which took its place")


def schedule(
    lr: float,
    loss0: float,
    div: float = 100.0,
    lower_bound: float = 0.0,
    rule: str = "flat",
    kappa: float | None = None,
    kind: Kind | None = None,
    model: str = "llama-124m",
    json: bool = False,
    figure: Path | None = None,
) -> int:
    """Show the law that a warm-up would follow: where it peaks, its constants, its curve.

    Args:
        lr: peak learning rate.
        loss0: loss of the first batch.
        div: peak rate over first rate.
        lower_bound: a number that the loss cannot go below.
        rule: flat, accurate, published, or a share of the first gap.
        kappa: sum over 2-D parameters of sup ||v||_* / ||v||, for accurate and published.
        kind: norm of the optimizer, to take kappa from the shapes of `model` instead.
        model: recipe whose shapes count with `kind`.
        json: print one JSON object for machines.
        figure: also draw the curve into this .svg or .png file.
    """
    if kappa is None and kind is not None:
        kappa = _kappa_of_recipe(kind, model)
    if not loss0 > lower_bound:
        raise ValueError(
            f"lower_bound must lie below loss0: expected less than {loss0:g}, got {lower_bound:g}"
        )
    gap0 = loss0 - lower_bound
    r = choose(rule, div=div, gap0=gap0, kappa=kappa)
    law = SmoothnessLaw.from_peak(lr, div, gap0, r * gap0)
    values = {
        "rule": rule, "lr": lr, "div": div, "kappa": kappa, "gap0": gap0, "gap_peak": r * gap0,
        "r": r, "K0": law.K0, "K1": law.K1, "K2": law.K_rho,
    }  # fmt: skip
    if json:
        print(_to_json(values))
    else:
        _print_law(law, values)
    if figure is not None:
        from autowarmup.lab.report.law_figure import draw_law

        draw_law(law, gap0=gap0, lr=lr, path=figure)
    return 0


def theory(
    instances: int = 20,
    seed: int = 0,
    json: bool = False,
    out: Path | None = None,
) -> int:
    """Check every theorem of both papers on functions of which everything is known.

    Seconds. The exit code is 1 where a statement is violated, or where a false one is not caught.

    Args:
        instances: random functions of each kind; 600 make more than 10,000.
        seed: the same seed gives the same numbers.
        json: print one JSON object for machines.
        out: also write OUT/theory.json and OUT/theory.html.
    """
    from autowarmup.lab.theory.report import print_report
    from autowarmup.lab.theory.verify import verify

    report = verify(instances, seed, command=_command())
    if json:
        print(_to_json(report.to_dict()))
    else:
        print_report(report)
    if out is not None:
        page = report.write(out)
        print(f"Open {page} in a browser.", file=sys.stderr if json else sys.stdout)
    return 1 if report.wrong else 0


def _to_json(values: dict[str, Any]) -> str:
    return json.dumps(values)


def _kappa_of_recipe(kind: str, recipe: str) -> float:
    import torch

    from autowarmup.lab.train.model import build_model
    from autowarmup.lab.train.recipes import recipe as size_of

    size = size_of(recipe)
    vocabulary = 256 if size.tokenizer == "bytes" else 50257
    with torch.device("meta"):  # shapes without storage
        model = build_model(size, vocabulary=vocabulary, sequence_length=8, seed=0)
    return kappa(kind, [tuple(p.shape) for p in model.parameters() if p.ndim == 2])


def _print_law(law: SmoothnessLaw, values: dict[str, Any]) -> None:
    console = Console()
    r, gap0 = values["r"], values["gap0"]
    console.print(
        f"Warm-up ends when the gap has fallen from {gap0:g} to "
        f"[bold]{values['gap_peak']:.4g}[/bold] (r = {r:.4f}, rule {values['rule']})."
    )
    console.print(f"K0 = {law.K0:.6g}   K1 = {law.K1:.6g}   K2 = {law.K_rho:.6g}")
    console.print(law.k1_sentence())
    console.print("\n[bold]gap      rate[/bold]")
    for share in sorted({*(1 - k / 16 for k in range(16)), r}, reverse=True):
        rate = law.rate(share * gap0)
        bar = "█" * max(1, round(48 * rate / values["lr"]))
        mark = "  [bold]peak[/bold]" if share == r else ""
        console.print(f"{share * gap0:<8.3g} {rate:<9.3g} [cyan]{bar}[/cyan]{mark}")


VERBS = {
    "train": train,
    "measure": measure,
    "bench": bench,
    "schedule": schedule,
    "theory": theory,
}


def _refuse_earlier_words() -> None:
    """Say the new spelling of options that `train` and `measure` had until version 0.1."""
    if not _typed or _typed[0] not in ("train", "measure"):
        return
    flags = [word.partition("=")[0] for word in _typed]
    for word in WORDS:
        flag = f"--{word.replace('_', '-')}"
        if flag in flags:
            raise ValueError(
                f"{flag}: a rule owns its settings now; expected --rule with a name such as "
                f"'watched', 'linear 5%', 'linear 500 steps' or 'flat(div=50)', got {flag}"
            )


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
        _check_moved()
        _check_processes()
        _refuse_earlier_words()
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

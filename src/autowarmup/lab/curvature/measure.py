"""Measure a run trained now, a finished run, or a small network; leave DIR/measure.json and a page.

What DIR already holds is not computed again.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from autowarmup.history import Trace
from autowarmup.lab.claim import claimed, others
from autowarmup.lab.curvature.names import run_label
from autowarmup.lab.curvature.page import page
from autowarmup.lab.curvature.record import (
    FILE,
    build_record,
    is_measured,
    read_record,
    write_record,
)
from autowarmup.lab.reading import read_json
from autowarmup.lab.train.config import TrainConfig
from autowarmup.lab.train.rundir import CONFIG, MEASURED
from autowarmup.lab.train.rundir import FORMAT as RUN_FORMAT
from autowarmup.lab.train.train import train

Json = dict[str, Any]

RUN = "run"
"""Directory of the training run inside the directory of its measurement."""


def measure_training(
    config: TrainConfig, out: Path, *, command: str = "", progress: bool = True
) -> Json:
    """Train in OUT/run, measuring; a run that was cut short goes on from its last checkpoint."""
    with claimed(out):
        return _measure_training(replace(config, measure=True), out, command, progress)


def _measure_training(config: TrainConfig, out: Path, command: str, progress: bool) -> Json:
    _refuse_other(out, "train")
    try:
        result = train(config, out=out / RUN, resume=True, progress=progress)
    except KeyboardInterrupt as stop:
        text = str(stop).partition("; go on with")[0] or "stopped"
        again = command or "the same call"
        raise KeyboardInterrupt(f"{text}; go on with: {again}") from None
    record = run_record(out / RUN, command=command or result["command"])
    record["source"] |= {"kind": "train"}
    write_record(out, record)
    return page(out)


def measure_run(
    directory: Path, out: Path, *, lower_bound: float | None = None, command: str = ""
) -> Json:
    """Measure a finished run in another directory."""
    with claimed(out):
        _refuse_other(out, "run")
        if (out / FILE).exists():
            held = str(read_record(out)["source"].get("directory"))
            if Path(held).resolve() != directory.resolve():
                raise ValueError(
                    f"out: expected the measurement of {directory}, got that of {held}"
                )
        write_record(out, run_record(directory, lower_bound=lower_bound, command=command))
        return page(out)


def measure_object(
    name: str,
    out: Path,
    *,
    steps: int | None = None,
    every: int | None = None,
    seed: int = 0,
    command: str = "",
    progress: bool = True,
) -> Json:
    """Train one of paper B's small networks, measuring the Hessian; its own steps by default."""
    asked = {"object": name, "steps": steps, "every": every, "seed": seed}
    with claimed(out):
        return _measure_object(out, asked, command, progress)


def _measure_object(out: Path, asked: Json, command: str, progress: bool) -> Json:
    from autowarmup.lab.problems.registry import run_object

    _refuse_other(out, "object")
    name, seed = asked["object"], asked["seed"]
    if (out / FILE).exists():
        held = read_record(out)["source"]
        if held.get("asked") == asked:
            return page(out)
        raise ValueError(
            f"out: expected an empty directory or one with the same measurement, got {out} with "
            f"{held.get('asked')}"
        )
    run = run_object(name, steps=asked["steps"], every=asked["every"], seed=seed, progress=progress)
    source = {"name": name, "about": run.about, "lower_bound_source": run.lower_bound_source}
    record = build_record(
        run.trace,
        source={"kind": "object", **source, "asked": asked},
        label=name,
        config=run.config,
        lower_bound=run.lower_bound,
        norm=run.norm,
        counted=run.counted,
        determinism=run.determinism,
        command=command,
        seeds=[seed],
        main="H",
    )
    write_record(out, record)
    return page(out)


def run_record(
    directory: str | Path, *, lower_bound: float | None = None, command: str = ""
) -> Json:
    """Return the record of a finished, measured run; its own lower bound where none is given."""
    config, result, trace = read_run(Path(directory))
    measure = result.get("measure") or {}
    source = {"kind": "run", "directory": str(directory), "train_command": result.get("command")}
    return build_record(
        trace,
        source=source | {name: result.get(name) for name in ("status", "message", "val_loss")},
        label=run_label(config),
        config=config,
        lower_bound=config.get("lower_bound", 0.0) if lower_bound is None else lower_bound,
        norm=measure.get("norm", "unknown"),
        counted=measure.get("counted"),
        determinism=measure.get("determinism"),
        command=command,
        seeds=[config["seed"]],
        environment=result.get("environment") or {},
    )


def read_run(directory: Path) -> tuple[Json, Json, Trace]:
    """Return config, result and trace of a finished run that measured curvature.

    Raises:
        ValueError: no run of ours, a run that has not ended, or one that measured nothing.
    """
    file = directory / "config.json"
    held = read_json(file, CONFIG, "the config of a run") if file.exists() else None
    if held is None or held["format"] != RUN_FORMAT:
        raise ValueError(
            f"{directory}: expected the directory of a run that `autowarmup train --measure --out "
            f"{directory}` wrote, got {'another directory' if directory.is_dir() else 'none'}"
        )
    if not ((directory / "result.json").exists() and (directory / "trace.jsonl").exists()):
        raise ValueError(
            f"{directory}: expected a run that has ended, got one without result.json; "
            f"continue it with `autowarmup train ... --out {directory} --resume`"
        )
    result = read_json(directory / "result.json", MEASURED, "the record of a run")
    trace = Trace.read(directory / "trace.jsonl")
    if not any(is_measured(point) for point in trace):
        again = str(result.get("command") or "autowarmup train").partition(" --out ")[0]
        raise ValueError(
            f"{directory} holds a run without measured curvature: expected one trained with "
            f"--measure, got none of its {len(trace)} points with K; "
            f"`{again} --measure --out {directory}-measured` trains it again and measures"
        )
    return held["config"], result, trace


def _refuse_other(out: Path, kind: str) -> None:
    """Refuse to write over a measurement of another kind, or into a directory of other files."""
    if not others(out):
        return
    held = read_record(out)["source"]["kind"] if (out / FILE).exists() else None
    unfinished = kind == "train" and (out / RUN / "config.json").exists()
    if held != kind and not (held is None and unfinished):
        got = f"a measurement of another kind ({held})" if held else "other files"
        raise ValueError(
            f"out: expected an empty directory or one made by this command, got {out} with {got}"
        )

"""Where measured points come from: a run trained now, a finished run, or an object of paper B.

Each leaves DIR/measure.json and its page. What DIR already holds is not computed again.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from autowarmup.lab.curvature.job import build_record, run_record
from autowarmup.lab.curvature.page import page
from autowarmup.lab.curvature.store import FILE, read_record, write_record
from autowarmup.lab.train.config import TrainConfig
from autowarmup.lab.train.train import train

Json = dict[str, Any]

RUN = "run"
"""Directory of the training run inside the directory of its measurement."""


def measure_training(
    config: TrainConfig, out: Path, *, command: str = "", progress: bool = True
) -> Json:
    """Train with `config` in OUT/run, measuring, and write OUT/measure.json and its page.

    A run that was cut short goes on from its last checkpoint.

    Raises:
        ValueError: unusable config or directory, or nothing measured; one sentence.
        KeyboardInterrupt: after Ctrl-C; the same command goes on.
    """
    config = replace(config, measure=True)
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
    """Write OUT/measure.json and its page from a finished run in another directory.

    Args:
        directory: the run.
        out: directory of the record and its page.
        lower_bound: f_star of the fits; by default that of the run.
        command: what repeats this.

    Raises:
        ValueError: no finished run of ours there, or one that measured nothing.
    """
    _refuse_other(out, "run")
    if (out / FILE).exists():
        held = read_record(out)["source"]["directory"]
        if Path(held).resolve() != directory.resolve():
            raise ValueError(f"out: expected the measurement of {directory}, got that of {held}")
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
    """Train one of paper B's objects, measuring the Hessian, and write OUT/measure.json.

    Args:
        name: one of `autowarmup.lab.problems.registry.OBJECTS`.
        out: directory of the record and its page.
        steps: updates; by default the object's own.
        every: updates between measurements; by default the object's own.
        seed: of its weights and data.
        command: what repeats this.
        progress: show a bar on standard error.

    Raises:
        ValueError: an unknown object, or a directory that holds another measurement.
    """
    from autowarmup.lab.problems.registry import run_object

    _refuse_other(out, "object")
    asked = {"object": name, "steps": steps, "every": every, "seed": seed}
    if (out / FILE).exists():
        held = read_record(out)["source"]
        if held["asked"] == asked:
            return page(out)
        raise ValueError(
            f"out: expected an empty directory or one with the same measurement, got {out} with "
            f"{held['asked']}"
        )
    run = run_object(name, steps=steps, every=every, seed=seed, progress=progress)
    record = build_record(
        run.trace,
        source={
            "kind": "object",
            "name": name,
            "about": run.about,
            "f_star_source": run.f_star_source,
            "asked": asked,
        },
        label=name,
        config=run.config,
        f_star=run.f_star,
        norm=run.norm,
        counted=run.counted,
        determinism=run.determinism,
        command=command,
        seeds=[seed],
        main="H",
    )
    write_record(out, record)
    return page(out)


def _refuse_other(out: Path, kind: str) -> None:
    """Refuse to write over a measurement of another kind, or into a directory of other files."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not out.is_dir():
        raise ValueError(f"out: expected a directory, got the file {out}")
    held = read_record(out)["source"]["kind"] if (out / FILE).exists() else None
    unfinished = kind == "train" and (out / RUN / "config.json").exists()
    if held != kind and not (held is None and unfinished):
        got = f"a measurement of another kind ({held})" if held else "other files"
        raise ValueError(
            f"out: expected an empty directory or one made by this command, got {out} with {got}"
        )

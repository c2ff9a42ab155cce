"""From measured points to `measure.json`: fit every quantity, put the record together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autowarmup.history import Trace, strict_json
from autowarmup.lab.curvature.names import quantity_name, run_label
from autowarmup.lab.curvature.store import FITTED, FORMAT, is_measured, read_run
from autowarmup.lab.environment import environment as this_environment
from autowarmup.measure.fit import CurvatureFit, fit_curvature

Json = dict[str, Any]


def build_record(
    trace: Trace,
    *,
    source: Json,
    label: str,
    config: Json,
    f_star: float,
    norm: str,
    counted: Any,
    determinism: Any,
    command: str,
    seeds: Sequence[int],
    main: str = "K",
    environment: Json | None = None,
) -> Json:
    """Fit every quantity of a trace and return the record of `measure.json`, plain strict JSON.

    Args:
        trace: points of a run; those without a measurement are left out.
        source: where the points come from: "kind" is "train", "run" or "object".
        label: what people call this run.
        config: every choice behind the run.
        f_star: lower bound of the loss; gaps are losses minus it.
        norm: the norm of the updates.
        counted: which parameters were counted.
        determinism: what the probe for determinism found.
        command: the command that repeats this.
        seeds: the seeds that were used.
        main: the quantity that the verdict is about.
        environment: where it was measured; this process by default.

    Raises:
        ValueError: no point holds the main quantity, or `f_star` is not finite.
    """
    if not math.isfinite(f_star):
        raise ValueError(f"f_star: expected a finite number below the loss, got {f_star}")
    points = [point for point in trace if is_measured(point)]
    found = [q for q in FITTED if any(getattr(point, q) is not None for point in points)]
    if main not in found:
        raise ValueError(
            f"trace: expected points with the {quantity_name(main)}, got none among {len(trace)}"
        )
    found.sort(key=lambda quantity: quantity != main)
    fits, refused = _fit_all(Trace(points), found, f_star)
    fit = fits[main][0] if main in fits else None
    record = {
        "format": FORMAT,
        "command": command,
        "source": source,
        "label": label,
        "config": config,
        "environment": this_environment() if environment is None else environment,
        "seeds": list(seeds),
        "f_star": f_star,
        "norm": norm,
        "counted": counted,
        "determinism": determinism,
        "main": main,
        "points": [point.to_dict() for point in points if getattr(point, main) is not None],
        "next_points": [point.to_dict() for point in points if getattr(point, main) is None],
        "fits": [law for group in fits.values() for one in group for law in _laws(one)],
        "slope": None if fit is None else fit.slope.to_dict(),
        "window": None if fit is None else fit.window.to_dict(),
        "verdict": "not determined" if fit is None else fit.verdict,
        "sentence": _refusal(refused[main]) if fit is None else fit.sentence,
        "quantities": {quantity: group[0].to_dict() for quantity, group in fits.items()},
        "not_fitted": refused,
    }
    return strict_json(record)


def run_record(
    directory: str | Path, *, lower_bound: float | None = None, command: str = ""
) -> Json:
    """Return the record of a finished, measured run on disk.

    Args:
        directory: the run.
        lower_bound: f_star of the fits; by default that of the run.
        command: what repeats this.

    Raises:
        ValueError: see `read_run` and `build_record`.
    """
    run = read_run(directory)
    measure = run.result.get("measure") or {}
    return build_record(
        run.trace,
        source={
            "kind": "run",
            "directory": str(directory),
            "train_command": run.result.get("command"),
            **{name: run.result.get(name) for name in ("status", "message", "val_loss")},
        },
        label=run_label(run.config),
        config=run.config,
        f_star=run.config.get("lower_bound", 0.0) if lower_bound is None else lower_bound,
        norm=measure.get("norm", "unknown"),
        counted=measure.get("counted"),
        determinism=measure.get("determinism"),
        command=command,
        seeds=[run.config["seed"]],
        environment=run.result.get("environment") or {},
    )


def _fit_all(
    trace: Trace, quantities: Sequence[str], f_star: float
) -> tuple[dict[str, list[CurvatureFit]], dict[str, str]]:
    """Return the fits by quantity, and the sentence of every quantity that could not be fitted."""
    fits: dict[str, list[CurvatureFit]] = {}
    refused: dict[str, str] = {}
    for quantity in quantities:
        try:
            fits[quantity] = [fit_curvature(trace, quantity=quantity, f_star=f_star)]
            if quantity == "H":  # the law of paper B, H0 + H1 gap, has no third term
                straight = fit_curvature(
                    trace, quantity=quantity, f_star=f_star, terms=("K0", "K1")
                )
                fits[quantity].insert(0, straight)
        except ValueError as error:
            refused[quantity] = str(error)
    return fits, refused


def _refusal(sentence: str) -> str:
    return f"Nothing can be said yet: {sentence}."


def _laws(fit: CurvatureFit) -> list[Json]:
    place = {"quantity": fit.quantity, "window": fit.window.name, "pairing": fit.pairing}
    return [{**law.to_dict(), **place} for law in fit.fits]

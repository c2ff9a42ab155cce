"""The directory of one run: whose it is, and whether a run may begin or go on in it.

config.json    written first; says whose directory this is
trace.jsonl    one line per update, free of wall-clock times, so two equal runs give equal bytes
result.json    written last
checkpoint-*   see `autowarmup.lab.train.checkpoint`
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from autowarmup.lab.claim import others
from autowarmup.lab.files import write_json
from autowarmup.lab.reading import MAYBE, read_json, taken_from
from autowarmup.lab.train.config import TrainConfig

FORMAT = "autowarmup-run-1"
# They change what is kept on disk or who shares the work, never what the run is.
CONFIG = {"format": str, "config": {"optimizer": str, "lr": (int, float), "seed": int}}
"""Shape of `config.json`."""
RESULT = {
    "status": str,
    "message": str,
    "command": str,
    "val_loss": MAYBE,
    "steps_done": int,
    "warmup_end_step": MAYBE,
    "warmup_ended_by": (str, None),
    "div": MAYBE,
    "parameters": int,
    "seconds": (int, float),
    "val_curve": {"step": [int], "val_loss": [MAYBE]},
    "environment": dict,
    "measure?": {"norm": str, "counted": dict, "determinism": (dict, None)},
}
"""Shape of `result.json`, as far as anybody reads it."""
MEASURED = {
    "status": str,
    "message?": str,
    "command?": str,
    "val_loss?": MAYBE,
    "environment?": (dict, None),
    "measure?": {"norm?": str, "counted?": (dict, None), "determinism?": (dict, None)},
}
"""Shape of the `result.json` of a run that measured, also of earlier versions."""
_FREE = ("checkpoint_every", "save_model", "parallel")


def check_directory(out: Path, config: TrainConfig, *, resume: bool) -> dict[str, Any] | None:
    """Return the result of this very run if it is already there, `None` if it is to be run."""
    if out.exists() and not out.is_dir():
        raise ValueError(f"out: expected a directory, got the file {out}")
    if not others(out):
        return None
    held = None
    if (out / "config.json").exists():
        held = read_json(out / "config.json", CONFIG, "the config of a run")
    if held is None or held["format"] != FORMAT:
        raise ValueError(
            f"out: expected an empty directory or one made by autowarmup, got {out} with other "
            f"files in it; choose another directory"
        )
    result, trace = out / "result.json", out / "trace.jsonl"
    begun = any(out.glob("checkpoint-*"))
    if not (result.exists() or begun or (trace.exists() and trace.stat().st_size)):
        return None  # stopped before its first update was written down
    # A run from before a field existed has what is now its default.
    with taken_from(out / "config.json", "the config of a run"):
        saved = TrainConfig.from_dict(held["config"]).to_dict()
    wanted = config.to_dict()
    differing = [key for key in sorted(wanted) if key not in _FREE and wanted[key] != saved[key]]
    if differing:
        shown = "; ".join(f"{key}: there {saved[key]}, now {wanted[key]}" for key in differing)
        raise ValueError(f"out: {out} holds a run with another config ({shown})")
    if result.exists():
        record = read_json(result, RESULT, "the record of a run")
        if record["status"] == "finished" and record["val_loss"] is None:
            raise ValueError(
                f"{result}: expected the record of a run, got a finished one without val_loss"
            )
        if record["status"] in ("finished", "diverged"):
            return record
    if not resume and begun:
        raise ValueError(
            f"out: {out} holds an unfinished run with a checkpoint; "
            f"continue it with --resume (resume=True) or choose another directory"
        )
    return None


def claim_directory(out: Path, config: TrainConfig) -> None:
    """Make the directory and write `config.json`, which marks it as ours."""
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "config.json", {"format": FORMAT, "config": config.to_dict()})

"""One training run, from a config to a record: `train(config, out=...)`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from autowarmup.pretrain.config import TrainConfig, filled
from autowarmup.pretrain.progress import interruptible, progress_bar
from autowarmup.pretrain.result import build_result, write_result
from autowarmup.pretrain.run import Run
from autowarmup.pretrain.rundir import check_directory


def train(
    config: TrainConfig, *, out: str | Path, resume: bool = False, progress: bool = True
) -> dict[str, Any]:
    """Train one model and return its record, which is also in `out/result.json`.

    A run that is already finished in `out` is not repeated: its record is returned. A loss that is
    not finite stops the run with status "diverged" and everything up to there saved.

    Args:
        config: what to train.
        out: directory of this run; `trace.jsonl`, `result.json` and checkpoints go there.
        resume: go on from the latest checkpoint in `out` (from the start where there is none).
        progress: show a bar on standard error.

    Raises:
        ValueError: unusable config, corpus or directory, in one sentence.
        OSError: nothing can be written, e.g. a full disk; what was saved before is intact.
        KeyboardInterrupt: after Ctrl-C, once a checkpoint is written; says how to go on.
    """
    out = Path(out)
    earlier = check_directory(out, config, resume=resume)
    if earlier is not None:
        return earlier
    run = Run(config, out, progress=progress)
    run.start(resume=resume)
    stopped = _loop(run)
    if run.accelerator.is_main_process and config.save_model:
        run.model.save_pretrained(out / "model")
    record = build_result(
        config,
        out,
        status="diverged" if stopped else "finished",
        message=stopped,
        warmup=run.rates.summary(),
        facts=run.facts(),
    )
    if run.accelerator.is_main_process:
        write_result(out, record)
    run.accelerator.wait_for_everyone()
    return record


def _loop(run: Run) -> str:
    """Make the updates that remain; return why the run stopped early, or nothing."""
    config, steps = run.config, filled(run.config.steps)
    stopped = ""
    with (
        run.trace,
        interruptible() as interrupted,
        progress_bar(f"{config.optimizer} {config.warmup}", steps, visible=run.visible) as show,
    ):
        while run.step < steps:
            stopped = run.update()
            show(run.step, run.seen)
            if stopped:
                break
            if interrupted():
                run.save()
                raise KeyboardInterrupt(
                    f"stopped after {run.step} of {steps} updates, nothing is lost; go on with: "
                    f"{config.command(str(run.out))} --resume"
                )
            if config.checkpoint_every and run.step % config.checkpoint_every == 0:
                run.save()
    run.accelerator.wait_for_everyone()  # the trace is complete for every process
    return stopped

"""One training run, from a config to a record: `train(config, out=...)`."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from autowarmup.lab.claim import claimed
from autowarmup.lab.files import write_json
from autowarmup.lab.train import processes
from autowarmup.lab.train.config import TrainConfig
from autowarmup.lab.train.progress import interruptible, progress_bar
from autowarmup.lab.train.result import build_result
from autowarmup.lab.train.run import Run
from autowarmup.lab.train.rundir import check_directory
from autowarmup.lab.train.sharding import whole


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
        ConnectionError: another process of the run has gone; what was saved before is intact.
        KeyboardInterrupt: after Ctrl-C or SIGTERM, once a checkpoint is written; says how to go on.
    """
    out = Path(out)
    accelerator = processes.join(config)
    with contextlib.ExitStack() as held, processes.noticing_lost_processes(accelerator):

        def claim() -> None:
            held.enter_context(claimed(out))  # by one for all

        processes.first_decides(accelerator, claim)
        earlier = processes.first_decides(
            accelerator, lambda: check_directory(out, config, resume=resume)
        )
        if earlier is not None:
            return earlier
        run = Run(config, out, accelerator=accelerator, progress=progress)
        run.start(resume=resume)
        return _finish(run, _loop(run))


def _loop(run: Run) -> str:
    """Make the updates that remain; return why the run stopped early, or nothing."""
    config, steps, alone = run.config, run.config.steps, run.shared_by == "none"
    stopped = ""
    with (
        run.trace,
        interruptible(terminable=True) as interrupted,
        progress_bar(f"{config.optimizer}, {config.rule}", steps, visible=run.visible) as show,
    ):
        while run.step < steps and not stopped:
            run.wants_to_stop = interrupted()
            stopped = run.update()
            show(run.step, run.seen)
            if not stopped and (run.stopping or (alone and interrupted())):
                run.save()
                how = "" if alone else "torchrun, as before, with -m "
                raise KeyboardInterrupt(
                    f"stopped after {run.step} of {steps} updates, nothing is lost; go on with: "
                    f"{how}{config.command(str(run.out))} --resume"
                )
            if not stopped and config.checkpoint_every and run.step % config.checkpoint_every == 0:
                run.save()
    return stopped


def _finish(run: Run, stopped: str) -> dict[str, Any]:
    """Write what a complete run leaves behind, once, and return its record to all processes."""
    config, out, facts = run.config, run.out, run.facts()
    mine = run.accelerator.is_main_process
    weights = whole(run.model.state_dict(), keep=mine) if config.save_model else {}

    def write() -> dict[str, Any]:
        if config.save_model:
            run.model.save_pretrained(out / "model", state_dict=weights)
        record = build_result(config, out, stopped=stopped, facts=facts)
        write_json(out / "result.json", record)
        return record

    return processes.first_decides(run.accelerator, write)

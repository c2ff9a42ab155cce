"""What a checkpoint remembers of a run, and how a run takes it over.

Tensors that lie in shards are gathered, so a checkpoint is the same however many processes wrote
it, and any number of them may go on from it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch

from autowarmup.lab.reading import NUMBER
from autowarmup.lab.train import checkpoint
from autowarmup.lab.train.sharding import laid_out_like, whole

if TYPE_CHECKING:
    from autowarmup.lab.train.run import Run


SHAPE = {
    "step": int,
    "corpus": dict,
    "model": dict,
    "optimizer": {"state": dict, "param_groups": [dict]},
    "rates": dict,
    "observer": (dict, None),
    "scaler": (dict, None),
    "random": {"torch": torch.Tensor},
    "seconds": NUMBER,
    "trace_length": int,
}
"""What `take_over` asks of a checkpoint."""


def payload(run: Run) -> dict[str, Any]:
    """Return the run but for its files as plain values and tensors; every process calls this."""
    mine = run.accelerator.is_main_process
    scaler = run.accelerator.scaler
    return {
        "step": run.step,
        "corpus": run.corpus.facts(),
        "config": run.config.to_dict(),
        "model": whole(run.model.state_dict(), keep=mine),
        "optimizer": whole(run.optimizer.state_dict(), keep=mine),
        "rates": run.scheduler.state_dict(),
        "observer": None if run.observer is None else run.observer.state_dict(),
        "scaler": None if scaler is None else scaler.state_dict(),
        "random": checkpoint.random_state(),
        "seconds": time.monotonic() - run.began,
    }


def take_over(run: Run, saved: dict[str, Any]) -> None:
    """Set a run to what `payload` returned, in this or another number of processes."""
    if saved["corpus"] != run.corpus.facts():
        raise ValueError(
            f"resume: expected the corpus of the checkpoint ({saved['corpus']}), "
            f"got {run.corpus.facts()}"
        )
    present = run.model.state_dict()
    run.model.load_state_dict(
        {name: laid_out_like(value, present[name]) for name, value in saved["model"].items()}
    )
    run.optimizer.load_state_dict(_optimizer_state(run.optimizer, saved["optimizer"]))
    run.scheduler.load_state_dict(saved["rates"])
    if run.observer is not None:
        run.observer.load_state_dict(saved["observer"])
    if run.accelerator.scaler is not None:
        run.accelerator.scaler.load_state_dict(saved["scaler"])
    checkpoint.set_random_state(saved["random"])
    run.step = saved["step"]
    run.began -= saved["seconds"]


def _optimizer_state(optimizer: torch.optim.Optimizer, saved: dict[str, Any]) -> dict[str, Any]:
    """Lay out what has the shape of its parameter (moments) like the parameter."""
    params = [p for group in optimizer.param_groups for p in group["params"]]

    def fitted(value: Any, like: torch.Tensor) -> Any:
        moment = isinstance(value, torch.Tensor) and value.shape == like.shape
        return laid_out_like(value, like) if moment else value

    state = {
        number: {key: fitted(value, params[number]) for key, value in values.items()}
        for number, values in saved["state"].items()
    }
    return {**saved, "state": state}

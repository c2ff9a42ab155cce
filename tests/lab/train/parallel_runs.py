"""Runs in several forked processes for `test_parallel`; run as a script: ROOT CORPUS.

Everything is imported once. How each process ended goes to ROOT/ends.json, by the run's name.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from autowarmup.lab.train import RECIPES, TrainConfig
from autowarmup.lab.train.run import Run

Act = Callable[[Run], None]  # called before each update
ends: dict[str, list[list[Any]]] = {}


def share(
    name: str, count: int, config: TrainConfig, act: Act | None = None, resume: bool = False
) -> None:
    """Run a config in `count` processes and note how each ended: exit code and sentence."""
    from autowarmup.lab.train.train import train

    began = time.monotonic()
    out = root / name

    def work(rank: int) -> None:
        update = Run.update

        def acting(run: Run) -> str:
            if act is not None:
                act(run)
            return update(run)

        Run.update = acting
        try:
            train(config, out=out, resume=resume, progress=False)
        except (ValueError, OSError, KeyboardInterrupt) as error:
            (root / f"{name}.{rank}.txt").write_text(f"{type(error).__name__}: {error}")
            raise SystemExit(3) from error

    codes = ranks.fork_ranks(count, work)
    print(f"{name}: {time.monotonic() - began:.1f} s", flush=True)
    notes = [root / f"{name}.{rank}.txt" for rank in range(count)]
    ends.setdefault(name, [])
    ends[name] += [
        [code, note.read_text() if note.exists() else ""]
        for code, note in zip(codes, notes, strict=True)
    ]
    for note in notes:
        note.unlink(missing_ok=True)


def signalled(rank: int, step: int, number: int) -> Act:
    def act(run: Run) -> None:
        if run.accelerator.process_index == rank and run.step == step:
            os.kill(os.getpid(), number)

    return act


def full_disk(run: Run) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if run.step == 7:
        os.fsync = full


def compared(tiny: dict[str, Any], micro: dict[str, Any]) -> None:
    """The same run in one process and in several."""
    tiny = {"recipe": "tiny-cpu", "eval_batches": 2, **tiny}
    flat = TrainConfig(optimizer="adamw", rule="flat", calibrate=False, steps=24, **tiny)
    share("tiny-one", 1, flat)
    share("tiny-ddp", 4, flat)
    share("tiny-fsdp", 4, TrainConfig(**flat.to_dict() | {"parallel": "fsdp"}))
    muon = TrainConfig(optimizer="muon", **micro)
    share("muon-one", 1, muon)
    share("muon-fsdp", 2, TrainConfig(**muon.to_dict() | {"parallel": "fsdp"}))
    measured = TrainConfig(optimizer="adamw", lr=0.05, rule="flat", **micro)
    share("adamw-one", 1, measured)
    share("adamw-ddp", 2, measured)
    parts = TrainConfig(
        optimizer="normsgd", accumulation=2, clip=0.05, rule="linear 5 steps", **micro
    )
    share("normsgd-one", 1, parts)
    share("normsgd-fsdp", 2, TrainConfig(**parts.to_dict() | {"parallel": "fsdp"}))


def stopped(micro: dict[str, Any]) -> None:
    """Runs that lose a process, are stopped, or cannot write."""
    lion = TrainConfig(optimizer="lion", checkpoint_every=5, **micro)
    fsdp = TrainConfig(**lion.to_dict() | {"parallel": "fsdp"})
    share("lion-ddp", 2, lion)
    share("lion-fsdp", 2, fsdp)
    share("killed-ddp", 2, lion, signalled(0, 13, signal.SIGKILL))
    share("killed-ddp", 2, lion, resume=True)
    share("killed-fsdp", 2, fsdp, signalled(1, 13, signal.SIGKILL))
    share("killed-fsdp", 2, fsdp, resume=True)
    share("moved", 2, fsdp, signalled(1, 12, signal.SIGTERM))
    share("moved", 1, lion, resume=True)
    share("full", 2, lion, full_disk)
    share("refused", 2, TrainConfig(**lion.to_dict() | {"parallel": "none"}))
    (root / "foreign").mkdir()
    (root / "foreign" / "thesis.tex").write_text("years of work")
    share("foreign", 2, lion)


if __name__ == "__main__":
    here = Path(__file__).parent
    sys.path[:0] = [str(here), str(here.parents[1])]
    import accelerate  # noqa: F401 - before the forks
    import transformers.models.llama.modeling_llama  # noqa: F401

    import conftest
    import ranks

    root, corpus = Path(sys.argv[1]), sys.argv[2]
    torch.set_num_threads(1)
    os.fsync = lambda handle: None  # a killed process loses nothing that it has written
    RECIPES["micro"] = conftest.MICRO
    text = {"data": corpus, "threads": 1, "eval_every": 10}
    compared(text, {"recipe": "micro", **text})
    stopped({"recipe": "micro", **text})
    (root / "ends.json").write_text(json.dumps(ends))

"""One run over several processes, as torchrun starts them: who does what, and what they agree on.

The batch of an update is the same however many processes share it: each takes an equal part, the
gradient and the loss are averaged, so one process and several differ by the rounding of the mean.

    ddp     every process holds the whole model (DistributedDataParallel)
    fsdp    every process holds a shard of each parameter (FSDP2, `sharding`)

Only the first process touches the run's directory; what it finds or fails at there, all learn.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch

from autowarmup.lab.train.config import TrainConfig

T = TypeVar("T")


def count() -> int:
    """Return how many processes the launcher started for this run."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def shared_by(config: TrainConfig) -> str:
    """Return how the processes share the model: "none", "ddp" or "fsdp"."""
    if count() == 1:
        return "none"
    return "ddp" if config.parallel == "auto" else config.parallel


def join(config: TrainConfig) -> Any:
    """Return the run's `Accelerator`, joined with the other processes."""
    from accelerate import Accelerator

    _check(config)
    options: dict[str, Any] = {}
    if count() > 1:
        device = torch.accelerator.current_accelerator(check_available=True)
        # Left to itself, Accelerate makes several processes without a GPU several runs.
        options = {"cpu": device is None or device.type == "mps"}
        _forget_the_dead("cpu" if options["cpu"] else device)
    accelerator = Accelerator(
        mixed_precision=config.mixed_precision,
        gradient_accumulation_steps=config.accumulation,
        **options,
    )
    if accelerator.num_processes != count():
        raise ValueError(
            f"parallel: expected the {count()} processes of the launcher in one group, "
            f"got {accelerator.num_processes}"
        )
    return accelerator


def _forget_the_dead(device: Any) -> None:
    """Join under a name of its own after a restart by torchrun.

    Its store outlives the processes, and with it the addresses of those that are gone: now and
    then one of them is read in place of the new one, and the connection refused.
    """
    from torch import distributed
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    restarts = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))
    if restarts == 0 or distributed.is_initialized():
        return
    store, rank, size = next(rendezvous("env://"))
    store = PrefixStore(f"restart {restarts}", store)
    backend = distributed.get_default_backend_for_device(device)
    distributed.init_process_group(backend, store=store, rank=rank, world_size=size)


def _check(config: TrainConfig) -> None:
    launched = "WORLD_SIZE" in os.environ  # torchrun with one process is fine
    if config.parallel in ("ddp", "fsdp") and not launched:
        raise ValueError(
            f"parallel: {config.parallel} needs several processes; expected "
            "torchrun --nproc-per-node N -m autowarmup train ..., got a single process"
        )
    if config.parallel == "none" and count() > 1:
        raise ValueError(f"parallel: expected ddp or fsdp for {count()} processes, got none")
    if shared_by(config) != "fsdp":
        return
    if config.measure:
        raise ValueError(
            "measure: curvature is measured on whole weights; expected --parallel ddp, got fsdp"
        )
    if config.mixed_precision == "fp16":
        raise ValueError("mixed_precision: expected no or bf16 with --parallel fsdp, got fp16")
    if config.calibrate:
        raise ValueError(
            f"calibrate: the first rate of {config.rule} is measured on whole weights; expected "
            "--no-calibrate or --parallel ddp, got fsdp"
        )


def first_decides(accelerator: Any, decide: Callable[[], T]) -> T:
    """Return to every process what `decide` gives the first, or raise its error in all of them."""
    if accelerator.num_processes == 1:
        return decide()
    from accelerate.utils import broadcast_object_list

    answer: list[Any] = [None, None]
    if accelerator.is_main_process:
        try:
            answer[0] = decide()
        except (ValueError, OSError) as error:
            answer[1] = error
    value, error = broadcast_object_list(answer)
    if error is not None:
        raise error
    return value


def same_everywhere(value: str) -> bool:
    """Whether all processes hold the same text."""
    from accelerate.utils import gather_object

    return len(set(gather_object([value]))) == 1


@contextlib.contextmanager
def noticing_lost_processes(accelerator: Any) -> Iterator[None]:
    """Say in one sentence that another process has gone, instead of how it was noticed."""
    try:
        yield
    except RuntimeError as error:
        if accelerator.num_processes == 1 or not _about_the_others(error):
            raise
        # The cause without where in the library it was noticed, and without advice.
        line = re.sub(r"^(\[[^\]]*\]:?\s*)+", "", str(error).strip().partition("\n")[0])
        cause = line.partition(". ")[0][:120] or type(error).__name__
        raise ConnectionError(
            f"process {accelerator.process_index} of {accelerator.num_processes} stopped, because "
            "another one has ended or cannot be reached; what was saved is intact, go on with the "
            f"same command and --resume ({cause})"
        ) from error


def _about_the_others(error: RuntimeError) -> bool:
    text = str(error).lower()  # gloo raises plain RuntimeErrors
    words = ("gloo", "nccl", "connection closed", "connection reset")
    return isinstance(error, torch.distributed.DistError) or any(word in text for word in words)

"""One run over several processes, as torchrun starts them: who does what, and what they agree on.

The batch of an update is the same however many processes share it: each takes an equal part, the
gradient and the loss are averaged, so one process and several differ by the rounding of the mean.

    ddp     every process holds the whole model (DistributedDataParallel)
    fsdp    every process holds a shard of each parameter (FSDP2, `fully_shard`)

Only the first process touches the run's directory; what it finds or fails at there, all learn.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
from torch import nn

from autowarmup.lab.train.config import TrainConfig

T = TypeVar("T")


def processes() -> int:
    """Return how many processes the launcher started for this run."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def join_processes(config: TrainConfig) -> Any:
    """Return the run's `Accelerator`, joined with the other processes.

    Raises:
        ValueError: the config cannot be run by this many processes.
    """
    from accelerate import Accelerator

    _check(config)
    options: dict[str, Any] = {}
    if processes() > 1:
        device = torch.accelerator.current_accelerator(check_available=True)
        # Left to itself, Accelerate makes several processes without a GPU several runs.
        options = {"cpu": device is None or device.type == "mps"}
        _forget_the_dead("cpu" if options["cpu"] else device)
    accelerator = Accelerator(
        mixed_precision=config.mixed_precision,
        gradient_accumulation_steps=config.accumulation,
        **options,
    )
    if accelerator.num_processes != processes():
        raise ValueError(
            f"parallel: expected the {processes()} processes of the launcher in one group, "
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
    distributed.init_process_group(
        distributed.get_default_backend_for_device(device),
        store=PrefixStore(f"restart {restarts}", store),
        rank=rank,
        world_size=size,
    )


def way_of(config: TrainConfig) -> str:
    """Return how the processes share the model: "none", "ddp" or "fsdp"."""
    if processes() == 1:
        return "none"
    return "ddp" if config.parallel == "auto" else config.parallel


def _check(config: TrainConfig) -> None:
    launched = "WORLD_SIZE" in os.environ  # torchrun with one process is fine
    if config.parallel in ("ddp", "fsdp") and not launched:
        raise ValueError(
            f"parallel: {config.parallel} needs several processes; expected "
            "torchrun --nproc-per-node N -m autowarmup train ..., got a single process"
        )
    if config.parallel == "none" and processes() > 1:
        raise ValueError(f"parallel: expected ddp or fsdp for {processes()} processes, got none")
    if way_of(config) != "fsdp":
        return
    if config.measure:
        raise ValueError(
            "measure: curvature is measured on whole weights; expected --parallel ddp, got fsdp"
        )
    if config.mixed_precision == "fp16":
        raise ValueError("mixed_precision: expected no or bf16 with --parallel fsdp, got fp16")
    if config.measures_start:
        raise ValueError(
            f"calibrate: the first rate of {config.rule} is measured on whole weights; expected "
            "--no-calibrate or --parallel ddp, got fsdp"
        )


def shard(model: Any, device: torch.device) -> None:
    """Spread the parameters of a `LlamaForCausalLM` over all processes, block by block."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device.type, (processes(),))
    model.to(device)
    for block in model.model.layers:  # gathered one at a time, just before its turn
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)


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


def same_everywhere(accelerator: Any, value: str) -> bool:
    """Whether all processes hold the same text."""
    from accelerate.utils import gather_object

    return len(set(gather_object([value]))) == 1


@contextlib.contextmanager
def noticing_lost_processes(accelerator: Any) -> Iterator[None]:
    """Say in one sentence that another process has gone, instead of how it was noticed.

    Raises:
        ConnectionError: another process of the run has ended or cannot be reached.
    """
    try:
        yield
    except RuntimeError as error:
        if accelerator.num_processes == 1 or not _about_the_others(error):
            raise
        raise ConnectionError(
            f"process {accelerator.process_index} of {accelerator.num_processes} stopped, because "
            "another one has ended or cannot be reached; what was saved is intact, go on with the "
            f"same command and --resume ({_short(error)})"
        ) from error


def _short(error: RuntimeError) -> str:
    """Return the cause without where in the library it was noticed, and without advice."""
    line = re.sub(r"^(\[[^\]]*\]:?\s*)+", "", str(error).strip().partition("\n")[0])
    return line.partition(". ")[0][:120] or type(error).__name__


def _about_the_others(error: RuntimeError) -> bool:
    if isinstance(error, torch.distributed.DistError):
        return True
    text = str(error).lower()  # gloo raises plain RuntimeErrors
    return any(word in text for word in ("gloo", "nccl", "connection closed", "connection reset"))


def global_loss(
    accelerator: Any, parameters: list[nn.Parameter], local: Callable[[], torch.Tensor]
) -> Callable[[], torch.Tensor]:
    """Return a closure for the loss of the whole batch, from one for this process's equal part.

    Its value is the mean over processes and so is its gradient, although the graphs of the other
    processes are not here: it is built as the value plus <g, x - x> with g the mean gradient.
    Collective; for parameters of which each process has its own copy.
    """
    if accelerator.num_processes == 1:
        return local

    def mean(value: torch.Tensor) -> torch.Tensor:
        return accelerator.reduce(value, "mean")

    def closure() -> torch.Tensor:
        loss = local()
        if not loss.requires_grad:
            return mean(loss)
        total = mean(loss.detach())
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        for p, g in zip(parameters, gradients, strict=True):
            if g is not None:
                total = total + torch.sum(mean(g) * (p - p.detach()))
        return total

    return closure

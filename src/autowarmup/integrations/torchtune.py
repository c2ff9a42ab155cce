"""torchtune: two dotted paths for a recipe's configuration.

The fine-tuning recipes call `lr_scheduler.step()` without a loss, and their loss function sees
every micro-batch. So the loss function tells the schedule; neither recipe nor torchtune is changed.
"""

from __future__ import annotations

import importlib
import weakref
from typing import Any

from torch import Tensor, is_grad_enabled, nn
from torch.optim import Optimizer

from autowarmup.factory import get_adaptive_schedule
from autowarmup.scheduler import AdaptiveWarmup

_listening: weakref.ref[AdaptiveWarmup] | None = None


def adaptive_schedule(
    optimizer: Optimizer, num_training_steps: int, last_epoch: int = -1, **options: Any
) -> AdaptiveWarmup:
    """Return the schedule that losses of `telling` reach, for `lr_scheduler._component_`.

    There is one in a process: that which was made last.

    Args:
        optimizer: as the recipe passes it; its groups' `lr` are the peak rates.
        num_training_steps: as the recipe passes it.
        last_epoch: as the recipe passes it, -1 for a new run.
        options: of `autowarmup.get_adaptive_schedule`, from the configuration.

    Raises:
        ValueError: what `AdaptiveWarmup` refuses.
    """
    global _listening
    scheduler = get_adaptive_schedule(optimizer, num_training_steps, last_epoch, **options)
    _listening = weakref.ref(scheduler)
    return scheduler


def telling(loss: str, **settings: Any) -> nn.Module:
    """Return a loss function that tells the schedule of every micro-batch, for `loss._component_`.

    The module is that of torchtune itself, with a hook. Losses count by their labels that are not
    ignored, as in the recipe's own mean. Validation, which runs without gradients, is not told.

    Args:
        loss: dotted path of the loss function, a module that takes (logits, labels) and returns
            their mean loss, such as "torchtune.modules.loss.CEWithChunkedOutputLoss".
        settings: arguments of the loss function.

    Raises:
        ValueError: no such class, or, when it is called, no mean loss of labels.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=0.5)
        >>> scheduler = adaptive_schedule(optimizer, 100)
        >>> mean_loss = telling("torch.nn.CrossEntropyLoss")
        >>> logits, labels = torch.zeros(2, 4, requires_grad=True), torch.tensor([0, -100])
        >>> _ = mean_loss(logits, labels)
        >>> optimizer.step()
        >>> scheduler.step()
        >>> round(scheduler.last.loss, 4)  # ln 4
        1.3863
    """
    room, _, name = str(loss).rpartition(".")
    try:
        made = getattr(importlib.import_module(room), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"loss: expected the dotted path of a loss function, got {loss!r} ({error})"
        ) from None
    module = made(**settings)
    module.register_forward_hook(_tell)
    return module


def _tell(module: nn.Module, arguments: tuple[Any, ...], loss: Any) -> None:
    scheduler = None if _listening is None else _listening()
    if scheduler is None or not is_grad_enabled():
        return
    labels = arguments[1] if len(arguments) > 1 else None
    if not isinstance(loss, Tensor) or loss.ndim or not isinstance(labels, Tensor):
        raise ValueError(
            "telling: expected a loss function of (logits, labels) that returns their mean loss, "
            f"got {type(module).__name__} with {type(loss).__name__} of {len(arguments)} arguments"
        )
    ignored = getattr(module, "ignore_index", None)
    counted = labels.numel() if ignored is None else (labels != ignored).sum()
    scheduler.observe(loss.detach(), counted)

"""How large a batch is, against the noise of its gradient: the simple noise scale.

arXiv 1812.06162 (appendix A): for gradients of mean G and covariance Sigma per example,

    B_simple = tr(Sigma) / |G|^2,

the batch at which noise and signal have the same size. Batches far below it are noisy, and an
update of twice the batch is worth nearly two; far above it a larger batch changes little. Both
terms are estimated without bias from the squared norms at two batch sizes:

    |G|^2     = (B |g_B|^2 - b |g_b|^2) / (B - b)
    tr(Sigma) = (|g_b|^2 - |g_B|^2) / (1/b - 1/B)

Here b is the batch of training, |g_b|^2 the mean over K batches, and g_B the mean of their
gradients: B = K b.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from autowarmup.lab.bench.fleet_runs import fleet_of
from autowarmup.lab.bench.plan import RunPlan
from autowarmup.lab.bench.setups import Setup
from autowarmup.lab.bench.tasks import Task, Text, task_of

SHARES = (0.1, 0.5, 1.0)
"""Where it is measured, as shares of the updates of a run with 5 % warm-up."""
BATCHES, _SIDE_BY_SIDE = 256, 16


def noise_scale(setup: Setup, seed: int = 0) -> dict[str, Any]:
    """Train one model with 5 % warm-up and measure the noise scale on the way.

    The batches are drawn as those of training are, by steps after its last.

    Returns:
        The set-up as plain values, `tokens_per_example` (1 for pictures), and `points`, each with
        `step`, the mean training `loss` in nats over the batches measured, `gradient_squared` and
        `trace` (per example, in squared units of the loss), `examples` and `tokens` (the noise
        scale; `None` where the signal drowns), `relative_error` of it (one standard error), and
        `batch_over_scale`.
    """
    task = task_of(setup)
    plan = RunPlan(setup, seed, "linear 5%")
    fleet = fleet_of([plan], setup.family, task, [seed], torch.tensor([0]))
    length = task.length if isinstance(task, Text) else 1
    points = []
    for at in [round(share * setup.steps) for share in SHARES]:
        while fleet.step < at and not fleet.over:
            fleet.update(task.batch(seed, fleet.step).unsqueeze(0))
        gradients, loss = gradients_at(fleet.parameters, task, seed, setup.steps)
        found = simple_noise_scale(gradients, setup.batch)
        scale = found.pop("scale")
        points.append(
            {
                "step": fleet.step,
                "loss": loss,
                **found,
                "examples": scale,
                "tokens": None if scale is None else scale * length,
                "batch_over_scale": None if scale is None else setup.batch / scale,
            }
        )
    return {"setup": setup.to_dict(), "seed": seed, "tokens_per_example": length, "points": points}


def gradients_at(
    parameters: dict[str, Tensor], task: Task, seed: int, first: int
) -> tuple[Tensor, float]:
    """Return gradients of `BATCHES` batches from step `first` on, flat, and the mean loss.

    Args:
        parameters: of one model, each (1, ...).
        task: what it is trained on.
        seed: of the batches.
        first: step of the first of them.

    Returns:
        The gradients, (BATCHES, parameters), and nats per token or picture.
    """
    shared = {
        key: p.detach().expand(_SIDE_BY_SIDE, *p.shape[1:]).clone().requires_grad_()
        for key, p in parameters.items()
    }
    parts, total = [], 0.0
    for start in range(first, first + BATCHES, _SIDE_BY_SIDE):
        steps = range(start, start + _SIDE_BY_SIDE)
        losses = task.losses(shared, torch.stack([task.batch(seed, step) for step in steps]))
        raw = torch.autograd.grad(losses.sum(), list(shared.values()))
        parts.append(torch.cat([g.flatten(1) for g in raw], 1))
        total += float(losses.detach().sum())
    return torch.cat(parts), total / BATCHES


def simple_noise_scale(gradients: Tensor, batch: int) -> dict[str, float | None]:
    """Return the terms of the noise scale and their ratio.

    Args:
        gradients: means over batches that were drawn apart, one a row, (batches, parameters).
        batch: examples in each of them.

    Returns:
        `gradient_squared` (|G|^2), `trace` (of the covariance per example), `scale` in examples,
        and `relative_error`, its standard error by the jackknife; the last two `None` where the
        estimate of |G|^2 is not above 0: more batches would be needed.

    Example:
        >>> found = simple_noise_scale(torch.tensor([[2.0, 1.0], [2.0, -1.0]]), batch=4)
        >>> found["gradient_squared"], found["trace"], round(found["scale"], 2)
        (3.0, 8.0, 2.67)
    """
    g = gradients.double()
    count, mean = len(g), g.mean(0)
    norms, along, of_mean = g.square().sum(1), g @ mean, mean.square().sum()
    squared, trace = _terms(norms.mean(), of_mean, count, batch)
    found: dict[str, float | None] = {"gradient_squared": float(squared), "trace": float(trace)}
    if squared <= 0:
        return {**found, "scale": None, "relative_error": None}
    # The same without each batch in turn: the mean of the others has its norm from products known.
    left = count - 1
    error = math.nan
    if left > 1:
        others = (count**2 * of_mean - 2 * count * along + norms) / left**2
        without = _terms((norms.sum() - norms) / left, others, left, batch)
        logs = (without[1] / without[0]).clamp_min(1e-300).log()
        error = float((left * logs.var(correction=0)).sqrt())
    return {**found, "scale": float(trace / squared), "relative_error": error}


def _terms(small: Tensor, large: Tensor, count: int, batch: int) -> tuple[Tensor, Tensor]:
    """Return |G|^2 and tr(Sigma) from the squared norms at `batch` and at `count * batch`."""
    squared = (count * large - small) / (count - 1)
    return squared, (small - large) * (batch * count / (count - 1))

"""The lowest losses of the two-layer objects that L-BFGS finds, stated in problems/definitions.py.
python -m studies.lowest_losses    # prints one per seed; minutes
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from autowarmup.lab.problems.registry import OBJECTS


def search_lowest(model: nn.Module, loss: Callable[[], Tensor], *, iterations: int) -> float:
    """Return the loss that L-BFGS reaches from the model's weights, which it changes.

    For a loss that is not convex it is an upper bound of f*, no more.
    """
    optimizer = torch.optim.LBFGS(
        model.parameters(),
        max_iter=iterations,
        max_eval=2 * iterations,
        history_size=50,
        line_search_fn="strong_wolfe",
        tolerance_grad=1e-10,
        tolerance_change=1e-14,
    )

    def evaluate() -> Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    optimizer.step(evaluate)  # pyright: ignore[reportArgumentType]
    with torch.no_grad():
        return loss().item()


if __name__ == "__main__":
    for name in ("two-layer-ce", "two-layer-mse"):
        for seed in range(10):
            problem = OBJECTS[name].build(seed)
            print(name, seed, search_lowest(problem.model, problem.loss, iterations=4000))

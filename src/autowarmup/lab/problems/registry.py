"""The objects by name, and the run that trains one while it measures curvature.

Example:
    >>> sorted(OBJECTS)
    ['deep-leaky-relu', 'deep-linear', 'digits-vit', 'one-layer-transformer', 'two-layer-ce',
     'two-layer-mse']
    >>> run = run_object("deep-linear", steps=3, every=1, progress=False)
    >>> [point.H > 0 and point.gap > 0 for point in run.trace]
    [True, True, True]
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from autowarmup.history import Trace
from autowarmup.lab.problems import definitions
from autowarmup.lab.problems.definitions import Problem
from autowarmup.lab.train.progress import Show, interruptible, progress_bar
from autowarmup.measure.observer import CurvatureObserver


@dataclass(frozen=True)
class PaperObject:
    """A training that arXiv 2510.03164 makes a statement about."""

    about: str  # what is trained on what, one sentence
    build: Callable[[int], Problem]  # returns the problem with weights drawn from a seed
    lr: float  # rate of gradient descent, constant
    steps: int  # updates of a whole run
    every: int  # updates between measurements


@dataclass(frozen=True)
class ObjectRun:
    """What a run saw."""

    name: str  # a key of `OBJECTS`
    trace: Trace  # the measured points, with `H` beside what every probe measures
    lower_bound: float  # what was subtracted from the loss
    lower_bound_source: str  # where it comes from, one sentence
    about: str  # what was trained on what, one sentence
    config: dict[str, Any]  # all choices, plain values
    norm: str  # the norm of steps; "euclidean"
    counted: dict[str, Any]  # how many parameters were measured
    determinism: dict[str, float] | None  # how two evaluations at the start differed


OBJECTS: dict[str, PaperObject] = {
    "deep-linear": PaperObject(
        "Deep linear network 20-32-32-10 from balanced weights, squared error on 200 examples of "
        "a linear teacher with noise.",
        definitions.deep_linear, lr=0.0005, steps=4000, every=10,
    ),
    "deep-leaky-relu": PaperObject(
        "Deep network 64-96-96-10 with leaky ReLU (slope 0.1) from balanced weights, squared error "
        "on 500 handwritten digits.",
        definitions.deep_leaky_relu, lr=0.002, steps=4000, every=10,
    ),
    "two-layer-ce": PaperObject(
        "Two-layer tanh network 64-64-10, cross-entropy and L2 (0.01) on 1,797 handwritten digits.",
        definitions.two_layer_ce, lr=0.05, steps=4000, every=20,
    ),
    "two-layer-mse": PaperObject(
        "Two-layer tanh network 64-64-10, squared error and L2 (0.01) on 1,797 handwritten digits.",
        definitions.two_layer_mse, lr=0.01, steps=4000, every=20,
    ),
    "one-layer-transformer": PaperObject(
        "Transformer of one layer (width 32, 4 heads, no layer norm), cross-entropy on 32 windows "
        "of 32 bytes of the Python standard library.",
        definitions.one_layer_transformer, lr=0.01, steps=3000, every=30,
    ),
    "digits-vit": PaperObject(
        "Vision transformer of two layers (width 32, 4 heads), cross-entropy on 256 handwritten "
        "digits.",
        definitions.digits_vit, lr=0.01, steps=1500, every=15,
    ),
}  # fmt: skip


def run_object(
    name: str,
    *,
    steps: int | None = None,
    every: int | None = None,
    seed: int = 0,
    progress: bool = True,
) -> ObjectRun:
    """Train one object by full-batch gradient descent and measure curvature on the way.

    The same arguments give the same trace on the same machine.

    `steps` are updates, `every` updates between measurements, the object's own by default; `seed`
    draws the weights.

    Raises:
        ValueError: an unknown name, `steps` or `every` below 1, a package that is missing, or a
            loss that is no longer finite, in one sentence.
        KeyboardInterrupt: after Ctrl-C, once the update in progress is done.
    """
    if name not in OBJECTS:
        raise ValueError(f"object: expected one of {', '.join(OBJECTS)}, got {name!r}")
    chosen = OBJECTS[name]
    steps = chosen.steps if steps is None else steps
    every = chosen.every if every is None else every
    if steps < 1:
        raise ValueError(f"steps: expected at least 1, got {steps}")
    problem = chosen.build(seed)
    parameters = list(problem.model.parameters())
    optimizer = torch.optim.SGD(parameters, lr=chosen.lr)
    observer = CurvatureObserver(
        problem.model, optimizer, problem.loss, norm="euclidean", every=every,
        lower_bound=problem.lower_bound, count="all", hessian=True,
    )  # fmt: skip
    with progress_bar(name, steps, visible=progress) as show:
        try:
            _descend(problem, optimizer, observer, steps, show)
        finally:
            observer.close()
    facts = observer.facts()
    config = {
        "object": name, "optimizer": "gradient descent, full batch", "lr": chosen.lr,
        "steps": steps, "every": every, "seed": seed, "network": type(problem.model).__name__,
        "parameters": sum(p.numel() for p in parameters),
        "dtype": str(parameters[0].dtype).removeprefix("torch."),
    }  # fmt: skip
    return ObjectRun(
        name, observer.trace, problem.lower_bound, problem.source, chosen.about, config,
        norm=facts["norm"], counted=facts["counted"], determinism=facts["determinism"],
    )  # fmt: skip


def _descend(
    problem: Problem,
    optimizer: torch.optim.Optimizer,
    observer: CurvatureObserver,
    steps: int,
    show: Show,
) -> None:
    with interruptible() as interrupted:
        for step in range(steps):
            optimizer.zero_grad()
            loss = problem.loss()
            if not math.isfinite(loss.item()):
                raise ValueError(f"the loss became {loss.item()} at update {step} of {steps}")
            loss.backward()
            observer.see(loss)
            optimizer.step()
            latest = observer.latest or observer.trace[-1]
            show(step + 1, f"loss {loss.item():.4f}  H {latest.H:.3g}")
            if interrupted():
                raise KeyboardInterrupt(
                    f"stopped after {step + 1} of {steps} updates; an object keeps nothing, it "
                    "starts anew"
                )

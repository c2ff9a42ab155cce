"""The Hessian norms of networks against their bounds: B.6."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from autowarmup.lab.theory import networks
from autowarmup.lab.theory import random_networks as small
from autowarmup.lab.theory.hessian_runs import VACUOUS, HessianRun, descend
from autowarmup.lab.theory.law import Floats
from autowarmup.lab.theory.networks import Bounded, Size, Toy
from autowarmup.lab.theory.random_networks import Sample
from autowarmup.lab.theory.rows import Row, compare, merge

STEPS, POINTS = 150, 6


class Statement(NamedTuple):
    """One of the four."""

    words: str  # first part of its rows
    sample: Callable[[Generator, int], Sample]  # draws small networks
    start: Callable[[int, Size], Bounded]  # builds the one on real data
    data: str  # what that is
    # constants that are so many times too small are caught by 100 random networks (in each of 60
    # draws); how large it is says how loose the bound is
    wrong: float


STATEMENTS = {
    "deep-linear": Statement(
        "B.6 deep linear net, balanced, data of full rank",
        small.deep_linear, networks.deep_linear, "digits, three matrices", 10.0),
    "leaky-relu": Statement(
        "B.6 two-layer leaky ReLU net, nearly balanced",
        small.leaky_relu, networks.leaky_relu, "digits, slope 1/2", 60.0),
    "two-layer-ce": Statement(
        "B.6 two-layer tanh net, CE + L2",
        small.two_layers, networks.two_layers, "digits", 30.0),
    "attention": Statement(
        "B.6 one-layer transformer, CE + L2",
        small.attention, networks.attention, "bytes of text", 30.0),
}  # fmt: skip
BLANK = "digits with an input that is always 0"
TOY = "toy net, gradient descent"
PRINTED_LINEAR = "printed: deep linear net, any data"
PRINTED_CE = "printed: two layers, CE + L2, H0 without f*"


def random_networks(rng: Generator, count: int) -> Iterator[Row]:
    """Every statement on small networks with random data and weights, exact Hessians."""
    for held in STATEMENTS.values():
        yield _sample_row(held, "", held.sample(rng, count))


def controls(rng: Generator, count: int = 100) -> Iterator[Row]:
    """What must be caught: constants too small, and weights outside the hypotheses."""
    for held in STATEMENTS.values():
        words = f": constants {held.wrong:.0f} times too small"
        yield _sample_row(held, words, held.sample(rng, count), held.wrong, expected_fail=True)
    outside = (
        ("deep-linear", small.deep_linear(rng, count, unbalance=100.0), "W_1 times 100, W_3 / 100"),
        ("leaky-relu", small.leaky_relu(rng, count, opposed=True), "units that cancel"),
    )
    for name, found, what in outside:
        words = f": not balanced, {what}"
        yield _sample_row(STATEMENTS[name], words, found, expected_fail=True)


def _sample_row(
    held: Statement, words: str, found: Sample, wrong: float = 1.0, *, expected_fail: bool = False
) -> Row:
    bound = found.bound.curvature(found.gap) / wrong
    objective = f"random small nets{words}"
    return compare(held.words, objective, found.norm, bound, expected_fail=expected_fail)


def on_data() -> bool:
    """Whether scikit-learn, which brings the digits, is installed."""
    return find_spec("sklearn") is not None


def trained_networks(
    size: Size = networks.QUICK,
    seeds: Sequence[int] = (0,),
    steps: int = STEPS,
    points: int = POINTS,
) -> tuple[list[Row], dict[str, list[HessianRun]]]:
    """Every statement, and the printed one without full rank, along gradient descent.

    Returns:
        The rows, and the runs under the names of `STATEMENTS` and "blank-pixel", one per seed.
    """
    starts = {name: held.start for name, held in STATEMENTS.items()}
    starts["blank-pixel"] = networks.blank_pixel
    found = {
        name: [descend(start(seed, size), steps, points) for seed in seeds]
        for name, start in starts.items()
    }
    rows = []
    for name, runs in found.items():
        held = STATEMENTS.get(name)
        words, objective = (held.words, held.data) if held else (PRINTED_LINEAR, BLANK)
        rows += [run_row(words, objective, run, expected_fail=held is None) for run in runs]
    return merge(rows), found


def run_row(words: str, objective: str, run: HessianRun, *, expected_fail: bool = False) -> Row:
    """Return one run as one instance; a bound more than 100 times too large says nothing.

    Both the bound for the whole run and that with the balance of each step are compared.
    """
    norm, bound = run.norm[:, None], np.stack([run.bounds, run.here])[:, :, None]
    silent = bound > VACUOUS * norm
    return compare(words, objective, norm, bound, silent=silent, expected_fail=expected_fail)


def toy_run(steps: int = 3000, points: int = 14) -> tuple[HessianRun, Floats]:
    """Descend the toy network and return the printed bound too.

    It starts 20 % beyond its minimiser, a little to the side, and f* is known.
    """
    start = 1.2 * Toy.best + np.array([0.0, 0.3, 0.0])
    run = descend(Toy.bounded(start), steps, points, tol=1e-12)
    return run, Toy.C0 + Toy.C1 * run.gap


def toy_rows() -> list[Row]:
    """The printed H0 of cross-entropy + L2 along a run whose f* is known, and its correction."""
    run, printed = toy_run()
    return [
        compare(PRINTED_CE, TOY, run.norm[:, None], printed[:, None], expected_fail=True),
        run_row(f"{PRINTED_CE}, corrected", TOY, run),
    ]

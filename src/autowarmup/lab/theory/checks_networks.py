"""B.6: the Hessian norms of networks against their bounds -> rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from autowarmup.lab.theory import small_networks as small
from autowarmup.lab.theory import trained
from autowarmup.lab.theory.courses import VACUOUS, Course, descend, toy_course
from autowarmup.lab.theory.rows import Row, compare, merge
from autowarmup.lab.theory.trained import Problem, Size

STEPS, POINTS = 150, 6


class Statement(NamedTuple):
    """One of the four.

    Attributes:
        words: first part of its rows.
        sample: draws small networks.
        start: builds the one on real data.
        data: what that is.
        wrong: constants that are so many times too small are caught by 100 random networks (in
            each of 60 draws); how large it is says how loose the bound is.
    """

    words: str
    sample: Callable[[Generator, int], small.Sample]
    start: Callable[[int, Size], Problem]
    data: str
    wrong: float


STATEMENTS = {
    "deep-linear": Statement(
        "B.6 deep linear net, balanced, data of full rank",
        small.deep_linear, trained.deep_linear, "digits, three matrices", 10.0),
    "leaky-relu": Statement(
        "B.6 two-layer leaky ReLU net, nearly balanced",
        small.leaky_relu, trained.leaky_relu, "digits, slope 1/2", 60.0),
    "two-layer-ce": Statement(
        "B.6 two-layer tanh net, CE + L2",
        small.two_layers, trained.two_layers, "digits", 30.0),
    "attention": Statement(
        "B.6 one-layer transformer, CE + L2",
        small.attention, trained.attention, "bytes of text", 30.0),
}  # fmt: skip
BLANK = "digits with an input that is always 0"
TOY = "toy net, gradient descent"
PRINTED_LINEAR = "printed: deep linear net, any data"
PRINTED_CE = "printed: two layers, CE + L2, H0 without f*"


def random_networks(rng: Generator, count: int) -> Iterator[Row]:
    """Every statement on small networks with random data and weights, exact Hessians."""
    words = "random small nets"
    for held in STATEMENTS.values():
        found = held.sample(rng, count)
        yield compare(held.words, words, found.norm, found.bound.curvature(found.gap))


def controls(rng: Generator, count: int = 100) -> Iterator[Row]:
    """What must be caught: constants too small, and weights outside the hypotheses."""
    for held in STATEMENTS.values():
        found = held.sample(rng, count)
        bound = found.bound.curvature(found.gap) / held.wrong
        objective = f"random small nets: constants {held.wrong:.0f} times too small"
        yield compare(held.words, objective, found.norm, bound, expected_fail=True)
    outside = (
        ("deep-linear", small.deep_linear(rng, count, unbalance=100.0), "W_1 times 100, W_3 / 100"),
        ("leaky-relu", small.leaky_relu(rng, count, opposed=True), "units that cancel"),
    )
    for name, found, what in outside:
        bound = found.bound.curvature(found.gap)
        objective = f"random small nets: not balanced, {what}"
        yield compare(STATEMENTS[name].words, objective, found.norm, bound, expected_fail=True)


def on_data() -> bool:
    """Whether scikit-learn, which brings the digits, is installed."""
    return find_spec("sklearn") is not None


def trained_networks(
    size: Size = trained.QUICK,
    seeds: Sequence[int] = (0,),
    steps: int = STEPS,
    points: int = POINTS,
) -> tuple[list[Row], dict[str, list[Course]]]:
    """Every statement, and the printed one without full rank, along gradient descent.

    Returns:
        The rows, and the courses under the names of `STATEMENTS` and "blank-pixel", one per seed.
    """
    starts = {name: held.start for name, held in STATEMENTS.items()}
    starts["blank-pixel"] = trained.blank_pixel
    courses = {
        name: [descend(start(seed, size), steps, points) for seed in seeds]
        for name, start in starts.items()
    }
    rows = []
    for name, runs in courses.items():
        held = STATEMENTS.get(name)
        words, objective = (held.words, held.data) if held else (PRINTED_LINEAR, BLANK)
        rows += [course_row(words, objective, run, expected_fail=held is None) for run in runs]
    return merge(rows), courses


def course_row(words: str, objective: str, run: Course, *, expected_fail: bool = False) -> Row:
    """Return one run as one instance; a bound more than 100 times too large says nothing.

    Both the bound for the whole run and that with the balance of each step are compared.
    """
    bound = np.stack([run.bounds, run.here])[:, :, None]
    return compare(
        words,
        objective,
        run.norm[:, None],
        bound,
        silent=bound > VACUOUS * run.norm[:, None],
        expected_fail=expected_fail,
    )


def toy_rows() -> list[Row]:
    """The printed H0 of cross-entropy + L2 along a run whose f* is known, and its correction."""
    run, printed = toy_course()
    return [
        compare(PRINTED_CE, TOY, run.norm[:, None], printed[:, None], expected_fail=True),
        course_row(f"{PRINTED_CE}, corrected", TOY, run),
    ]

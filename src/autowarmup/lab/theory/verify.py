"""Every statement on every kind of objective it speaks of: the table behind `autowarmup theory`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np

from autowarmup.lab.theory.checks import descent, laws, networks, noise, rates
from autowarmup.lab.theory.checks.cases import Case
from autowarmup.lab.theory.checks.controls import wrong_constants
from autowarmup.lab.theory.checks.counterexamples import MORE, PUBLISHED
from autowarmup.lab.theory.checks.fixed_steps import fixed_steps
from autowarmup.lab.theory.families import FAMILIES
from autowarmup.lab.theory.report import Report
from autowarmup.lab.theory.rows import UNITS, Row, merge

QUICK = 20
"""Random instances of every family in the quick table."""

_BATCH = 200  # instances side by side; more only take more memory
_EXTRA = 300  # the offset of the seeds of what belongs to no family


def _always(_: Case) -> bool:
    return True


ON_FAMILIES: tuple[tuple[Callable[[Case], Iterator[Row]], Callable[[Case], bool]], ...] = (
    (descent.constants, _always),
    (descent.single_steps, _always),
    (descent.searched_and_inexact, _always),
    (rates.not_convex, _always),
    (noise.noisy, _always),
    (noise.noise_floor, _always),
    (rates.star_convex, lambda case: case.star),
    (rates.weight_decay, lambda case: case.star_convex),
    (rates.momenta, lambda case: case.star_convex),
    (descent.gradient_descent, lambda case: case.h0h1),
    (rates.gradient_descent, lambda case: case.h0h1),
)
"""(check, whether its statements speak of a family); the order fixes what is drawn for each."""

WITHOUT_FAMILY = (fixed_steps, laws.closure, laws.worst_sequences, noise.sign_noise)


def verify(instances: int = QUICK, seed: int = 0, command: str = "") -> Report:
    """Check every statement and return the table.

    Args:
        instances: random instances of every family, on each of which every statement that speaks
            of it is checked.
        seed: the same seed gives the same numbers.
        command: what was typed, for the record.

    Raises:
        ValueError: fewer than one instance, or a negative seed.
    """
    if instances < 1:
        raise ValueError(f"expected at least 1 instance of every family, got {instances}")
    if seed < 0:
        raise ValueError(f"expected a seed >= 0, got {seed}")
    started = time.perf_counter()
    rows = [row for name in FAMILIES for row in family_rows(name, instances, seed)]
    rows += other_rows(instances, seed)
    on_networks, left_out = network_rows(instances, seed)
    order = {name: place for place, name in enumerate(UNITS)}
    rows = sorted(rows + on_networks, key=lambda row: (order[row.group], row.statement))
    seconds = time.perf_counter() - started
    return Report(rows, instances, seed, instances * len(FAMILIES), seconds, command, left_out)


def _batches(instances: int) -> Iterator[int]:
    for done in range(0, instances, _BATCH):
        yield min(_BATCH, instances - done)


def family_rows(name: str, instances: int, seed: int) -> list[Row]:
    """Check all statements on random instances of one family, in batches."""
    rng = np.random.default_rng([seed, list(FAMILIES).index(name)])
    rows: list[Row] = []
    for count in _batches(instances):
        case = Case.draw(name, FAMILIES[name], rng, count)
        # What overflows becomes a nan or inf, and those are failures of the check.
        with np.errstate(all="ignore"):
            rows += [row for check, applies in ON_FAMILIES if applies(case) for row in check(case)]
    return merge(rows)


def other_rows(instances: int, seed: int) -> list[Row]:
    """Check what needs no family: fixed steps, closure, sequences, counterexamples, controls."""
    rng = np.random.default_rng([seed, _EXTRA])
    rows = [
        row
        for count in _batches(instances)
        for check in WITHOUT_FAMILY
        for row in check(rng, count)
    ]
    for counterexample in (*PUBLISHED, *MORE):
        rows += counterexample()
    rows += wrong_constants(np.random.default_rng([seed, _EXTRA + 1]), min(instances, QUICK))
    return merge(rows)


def network_rows(instances: int, seed: int) -> tuple[list[Row], str]:
    """Check the networks, random ones and trained ones; return also what had to be left out."""
    rng = np.random.default_rng([seed, _EXTRA + 2])
    rows = [row for count in _batches(instances) for row in networks.random_networks(rng, count)]
    rows += networks.controls(np.random.default_rng([seed, _EXTRA + 3]))
    rows += networks.toy_rows()
    if not networks.on_data():
        return merge(rows), (
            "The networks on real data were left out: the digits come with scikit-learn, which is "
            "not installed; run: pip install 'autowarmup[objects]'"
        )
    return merge(rows + networks.trained_networks()[0]), ""

"""Every statement on every kind of objective it speaks of: the table behind `autowarmup theory`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from autowarmup.history import strict_json
from autowarmup.lab.environment import environment
from autowarmup.lab.files import write_aside
from autowarmup.lab.theory import checks_gd, checks_lmo, checks_methods, checks_networks
from autowarmup.lab.theory.checks_lmo import Case
from autowarmup.lab.theory.controls import wrong_constants
from autowarmup.lab.theory.counterexamples import MORE, PUBLISHED
from autowarmup.lab.theory.families import FAMILIES
from autowarmup.lab.theory.rows import UNITS, Row, merge

FORMAT = "autowarmup-theory-1"
FILE = "theory.json"
QUICK = 20
"""Random instances of every family in the quick table."""

_BATCH = 200  # instances side by side; more only take more memory
_EXTRA = 300  # the offset of the seeds of what belongs to no family


@dataclass
class Report:
    """The table and where it comes from.

    Attributes:
        rows: all lines, in the order of `UNITS`.
        instances: random instances of every family.
        seed: of all of them.
        functions: how many random functions that makes.
        seconds: what it took.
        command: the command line, where there was one.
        left_out: what was not checked and why, a sentence; empty where all was.
        environment: versions and machine.
    """

    rows: list[Row]
    instances: int
    seed: int
    functions: int
    seconds: float = 0.0
    command: str = ""
    left_out: str = ""
    environment: dict[str, Any] = field(default_factory=environment)

    @property
    def wrong(self) -> list[Row]:
        """The rows that are not as they should be."""
        return [row for row in self.rows if not row.as_it_should]

    def summary(self) -> dict[str, int]:
        """Return the counts of the last line of the table."""
        true = [row for row in self.rows if not row.expected_fail]
        false = [row for row in self.rows if row.expected_fail]
        return {
            "statements": len({row.statement for row in true}),
            "rows": len(self.rows),
            "functions": self.functions,
            "checks": sum(row.instances for row in true),
            "violations": sum(row.violations for row in true),
            "vacuous": sum(row.verdict == "vacuous" for row in true),
            "controls": len(false),
            "caught": sum(row.as_it_should for row in false),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON values."""
        return strict_json({
            "format": FORMAT, "command": self.command, "seed": self.seed,
            "instances": self.instances, "seconds": round(self.seconds, 1),
            "left_out": self.left_out,
            "summary": self.summary(), "environment": self.environment,
            "rows": [row.to_dict() for row in self.rows],
        })  # fmt: skip

    def write(self, out: str | Path) -> Path:
        """Write OUT/theory.json and return its path."""
        out = Path(out)
        out.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n"
        write_aside(out / FILE, text.encode())
        return out / FILE


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
    rows: list[Row] = []
    for index in range(len(FAMILIES)):
        rows += family_rows(index, instances, seed)
    rows += other_rows(instances, seed)
    on_networks, left_out = network_rows(instances, seed)
    rows += on_networks
    order = {name: place for place, name in enumerate(UNITS)}
    rows.sort(key=lambda row: (order[row.group], row.statement))
    functions = instances * len(FAMILIES)
    seconds = time.perf_counter() - started
    return Report(rows, instances, seed, functions, seconds, command, left_out)


def family_rows(index: int, instances: int, seed: int) -> list[Row]:
    """Check all statements on random instances of one family, in batches."""
    name = list(FAMILIES)[index]
    rng = np.random.default_rng([seed, index])
    rows: list[Row] = []
    for done in range(0, instances, _BATCH):
        case = Case.draw(name, FAMILIES[name], rng, min(_BATCH, instances - done))
        # What overflows becomes a nan or inf, and those are failures of the check.
        with np.errstate(all="ignore"):
            rows += list(_checks(case))
    return merge(rows)


def _checks(case: Case) -> Iterator[Row]:
    yield from checks_lmo.constants(case)
    yield from checks_lmo.single_steps(case)
    yield from checks_lmo.other_rates(case)
    yield from checks_methods.noisy(case)
    yield from checks_methods.noise_floor(case)
    if case.star:
        yield from checks_lmo.star_convex(case)
    if np.all(case.objective.zeta == 1):
        yield from checks_methods.weight_decay(case)
        yield from checks_methods.momenta(case)
    if checks_gd.applies(case):
        yield from checks_gd.descent(case)
        yield from checks_gd.counts(case)


def other_rows(instances: int, seed: int) -> list[Row]:
    """Check what needs no family: witnesses, closure, sequences, counterexamples, controls."""
    rng = np.random.default_rng([seed, _EXTRA])
    rows: list[Row] = []
    for done in range(0, instances, _BATCH):
        count = min(_BATCH, instances - done)
        rows += checks_gd.fixed_steps(rng, count)
        rows += checks_gd.closure(rng, count)
        rows += checks_gd.worst_sequences(rng, count)
        rows += checks_methods.sign_noise(rng, count)
    for counterexample in (*PUBLISHED.values(), *MORE.values()):
        rows += counterexample()
    rows += wrong_constants(np.random.default_rng([seed, _EXTRA + 1]), min(instances, QUICK))
    return merge(rows)


def network_rows(instances: int, seed: int) -> tuple[list[Row], str]:
    """Check the networks, random ones and trained ones; return also what had to be left out."""
    rng = np.random.default_rng([seed, _EXTRA + 2])
    rows: list[Row] = []
    for done in range(0, instances, _BATCH):
        rows += checks_networks.random_networks(rng, min(_BATCH, instances - done))
    rows += checks_networks.controls(np.random.default_rng([seed, _EXTRA + 3]))
    rows += checks_networks.toy_rows()
    if not checks_networks.on_data():
        return merge(rows), (
            "The networks on real data were left out: the digits come with scikit-learn, which is "
            "not installed; run: pip install 'autowarmup[objects]'"
        )
    return merge(rows + checks_networks.trained_networks()[0]), ""

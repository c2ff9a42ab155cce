"""One run of the benchmark as plain data: a set-up, a rule and a seed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from autowarmup.lab.bench.setups import Setup, key


@dataclass(frozen=True)
class RunPlan:
    """One run.

    Attributes:
        setup: what is trained.
        seed: of weights and data.
        rule: name of the warm-up rule, hand-tuned ones included: "paced", "linear 5%", "none".
        options: what the rule is told beside its name, e.g. a `lower_bound`.
    """

    setup: Setup
    seed: int
    rule: str
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The same for the same run, whenever it was planned."""
        return key(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values, as a record holds them."""
        return {
            "setup": self.setup.to_dict(),
            "rule": self.rule,
            "options": self.options,
            "seed": self.seed,
        }

    @classmethod
    def of(cls, record: dict[str, Any]) -> RunPlan:
        """Return the plan that a record fulfils."""
        return cls(Setup(**record["setup"]), record["seed"], record["rule"], record["options"])


def planned(
    setups: Iterable[Setup],
    rules: Sequence[str],
    seeds: Sequence[int],
    options: dict[str, Any] | None = None,
) -> list[RunPlan]:
    """Return every combination, one set-up after the other."""
    return [
        RunPlan(setup, seed, rule, options or {})
        for setup in setups
        for seed in seeds
        for rule in rules
    ]

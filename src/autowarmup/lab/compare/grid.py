"""What to run: a `Grid` in plain data, expanded into one configuration per training run.

Example:
    >>> runs = expand(GRIDS["smoke"])
    >>> len(runs), runs[0]["id"].startswith("seed0-muon-lr0.006-adaptive-watched-measured-")
    (6, True)
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

# The starting divisor of the published protocol (arXiv 2602.05813), used without a measured start.
PUBLISHED_DIV = 100.0
PUBLISHED_DIV_BY_OPTIMIZER = {"normsgd": 5.0}

_WARMUP = re.compile(r"^(\d+)$|^(\d+(?:\.\d+)?)%$")


def warmup_steps(warmup: str, steps: int) -> int:
    """Return the length in steps of a hand-tuned warm-up written as "50" or "5%".

    Raises:
        ValueError: the text is neither a number of steps >= 1 nor a percentage in (0, 100].

    Example:
        >>> warmup_steps("50", 1000), warmup_steps("2%", 1000), warmup_steps("0.01%", 1000)
        (50, 20, 1)
    """
    match = _WARMUP.match(warmup)
    if match is None or (match[1] and int(match[1]) < 1):
        raise ValueError(
            f"warmup: expected steps such as '50' or a share such as '5%', got {warmup!r}"
        )
    if match[1]:
        return int(match[1])
    percent = float(match[2])
    if not 0 < percent <= 100:
        raise ValueError(f"warmup: expected a share in (0 %, 100 %], got {warmup!r}")
    return max(1, round(steps * percent / 100))


@dataclass(frozen=True)
class Grid:
    """Optimizers x peak rates x warm-ups x seeds of one recipe.

    Attributes:
        name: how the command line calls it.
        recipe: a recipe of `pretrain`.
        optimizers: peak learning rates by optimizer.
        warmups: hand-tuned linear warm-ups, as steps ("1" is no warm-up) or as shares ("5%").
        adaptive: pairs (peak rule, measured start or not) of adaptive warm-ups.
        seeds: one run of everything per seed.
        steps: optimizer steps of each run.
        overrides: further fields of the training configuration, the same for every run.
    """

    name: str
    recipe: str
    optimizers: Mapping[str, tuple[float, ...]]
    warmups: tuple[str, ...]
    adaptive: tuple[tuple[str, bool], ...]
    seeds: tuple[int, ...]
    steps: int
    overrides: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps: expected at least 1, got {self.steps}")
        if not self.optimizers or not all(self.optimizers.values()):
            raise ValueError(f"optimizers: expected peak rates for each, got {self.optimizers}")
        for name, rates in self.optimizers.items():
            if not all(math.isfinite(lr) and lr > 0 for lr in rates):
                raise ValueError(f"optimizers: expected rates > 0 for {name}, got {rates}")
        if not self.seeds or not (self.warmups or self.adaptive):
            raise ValueError("grid: expected at least one seed and one warm-up, got none")
        for warmup in self.warmups:
            if warmup_steps(warmup, self.steps) > self.steps:
                raise ValueError(
                    f"warmups: expected at most the {self.steps} steps of a run, got {warmup!r}"
                )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values (tuples as lists)."""
        return json.loads(json.dumps(asdict(self)))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Grid:
        """Build a grid from `to_dict()`."""
        return cls(
            name=values["name"],
            recipe=values["recipe"],
            optimizers={name: tuple(rates) for name, rates in values["optimizers"].items()},
            warmups=tuple(values["warmups"]),
            adaptive=tuple((peak, calibrate) for peak, calibrate in values["adaptive"]),
            seeds=tuple(values["seeds"]),
            steps=values["steps"],
            overrides=dict(values["overrides"]),
        )


def expand(grid: Grid) -> list[dict[str, Any]]:
    """Return one configuration per run, each with a readable `id` that also hashes its content.

    Seeds come first, so that a grid that was stopped early is complete for the first seeds; within
    a seed one optimizer and rate after the other, adaptive before hand-tuned.
    """
    return [
        _with_id({**warmup, **common})
        for seed in grid.seeds
        for optimizer, rates in grid.optimizers.items()
        for lr in rates
        for warmup in _warmups(grid, optimizer)
        for common in [
            {
                "recipe": grid.recipe,
                "optimizer": optimizer,
                "lr": lr,
                "steps": grid.steps,
                "seed": seed,
                **grid.overrides,
            }
        ]
    ]


def _warmups(grid: Grid, optimizer: str) -> list[dict[str, Any]]:
    """Return the fields that differ between the runs of one optimizer, rate and seed."""
    fixed_div = PUBLISHED_DIV_BY_OPTIMIZER.get(optimizer, PUBLISHED_DIV)
    adaptive = [
        {"warmup": "adaptive", "peak": peak, "calibrate": calibrate}
        | ({} if calibrate else {"div": fixed_div})
        for peak, calibrate in grid.adaptive
    ]
    return adaptive + [{"warmup": warmup} for warmup in grid.warmups]


def _with_id(config: dict[str, Any]) -> dict[str, Any]:
    if config["warmup"] == "adaptive":
        start = "measured" if config["calibrate"] else f"div{config['div']:g}"
        warmup = f"adaptive-{config['peak']}-{start}"
    else:
        warmup = "linear-" + config["warmup"].replace("%", "pct")
    digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:8]
    name = f"seed{config['seed']}-{config['optimizer']}-lr{config['lr']:g}-{warmup}-{digest}"
    return {"id": name, **config}


_FULL_ADAPTIVE = tuple(
    (peak, calibrate)
    for calibrate in (True, False)
    for peak in ("flat", "accurate", "published", "0.5")
)

GRIDS: dict[str, Grid] = {
    "demo": Grid(
        name="demo",
        recipe="tiny-cpu",
        optimizers={"muon": (6e-3,), "lion": (3e-3,), "normsgd": (0.3,)},
        warmups=("1", "5%", "20%", "40%"),
        adaptive=(("watched", True),),
        seeds=(0,),
        steps=400,
    ),
    "study": Grid(
        name="study",
        recipe="tiny-cpu",
        optimizers={
            "lion": (1e-3, 4e-3),
            "signum": (1e-3, 4e-3),
            "normsgd": (0.1, 0.3),
            "muon": (6e-3, 2e-2),
        },
        warmups=("1", "2%", "5%", "10%", "20%", "40%"),
        adaptive=_FULL_ADAPTIVE,
        seeds=(0, 1),
        steps=1000,
        overrides={"batch_size": 8},
    ),
    "smoke": Grid(
        name="smoke",
        recipe="tiny-cpu",
        optimizers={"muon": (6e-3,), "lion": (2e-3,)},
        warmups=("1", "50%"),
        adaptive=(("watched", True),),
        seeds=(0,),
        steps=6,
        overrides={"batch_size": 2},
    ),
}

"""What one training run is: a frozen, plain record of every choice that changes its numbers."""

from __future__ import annotations

import hashlib
import json
import math
import re
import shlex
from dataclasses import asdict, dataclass, fields
from typing import Any

from autowarmup.lab.train.earlier import in_todays_words
from autowarmup.lab.train.recipes import Recipe, recipe
from autowarmup.rules.base import Rule, Run
from autowarmup.rules.decay import DECAYS
from autowarmup.rules.registry import DEFAULT_RULE, rule_of

OPTIMIZERS = ("muon", "lion", "signum", "signsgd", "normsgd", "adamw", "sgd")
PRECISIONS = ("no", "fp16", "bf16")
PARALLELS = ("auto", "none", "ddp", "fsdp")
# The words of `autowarmup.measure.blocks`, which needs torch; a config does not.
NORMS = ("auto", "spectral", "linf", "frobenius", "euclidean")
COUNTS = ("auto", "matrices", "constrained", "all")

FROM_RECIPE: Any = None
"""Default of fields that the recipe fills when the config is built; a built one has no `None`."""


@dataclass(frozen=True)
class TrainConfig:
    """One training run.

    Attributes:
        recipe: named size, see `autowarmup.lab.train.RECIPES`.
        optimizer: muon, lion, signum, signsgd, normsgd, adamw or sgd.
        lr: peak learning rate (left out: the recipe's suggestion for the optimizer).
        rule: warm-up rule: watched, none, "linear 5%", "linear 500 steps", flat, accurate,
            published, h0h1, untuned, doubling or autowu; with settings as "flat(div=50)".
        calibrate: measure the first rate on the first batch, for rules that have one to measure.
        decay: what follows the peak: cosine, linear, wsd, sqrt or constant.
        final_fraction: rate at the end of the decay, as a share of the peak rate.
        lower_bound: a loss that training cannot go under, in nats per token.
        steps: updates in the run.
        seed: seeds the weights and the order of the data.
        batch_size: sequences per update over all processes and micro-batches.
        sequence_length: tokens a sequence predicts.
        accumulation: micro-batches per update.
        weight_decay: decoupled weight decay of the matrices.
        clip: largest Euclidean norm of the gradient; 0 switches clipping off.
        eval_every: updates between evaluations; 0 means ten evaluations a run.
        eval_batches: fixed validation batches of the last evaluation; earlier ones a quarter.
        checkpoint_every: updates between checkpoints; 0 means none.
        data: "stdlib", "fineweb", a directory, or a file: text, .jsonl, .parquet, .bin or .npy.
        tokenizer: "bytes", "bpe:SIZE" (trained on the corpus), a tokenizers file or a Hub name.
        mixed_precision: no, fp16 or bf16.
        parallel: how several processes (torchrun) share a run: ddp, fsdp, none, or auto: ddp where
            there are several.
        threads: CPU threads of torch; 0 leaves them as they are.
        save_model: keep the final weights in `out/model` in the transformers layout.
        measure: measure the curvature along the run; changes no weight, only what is written down.
        measure_every: updates between measurements.
        measure_norm: auto (that of the optimizer), spectral, linf, frobenius or euclidean.
        measure_count: which parameters count: matrices, constrained (without the AdamW part of
            Muon), all, or auto: matrices, but all for the Euclidean norm.
        measure_next: also measure each step on the batch after it (K_next) and the batch noise.
        measure_hessian: also measure the largest eigenvalue of the Hessian (slow).

    Raises:
        ValueError: a field is out of its range; the sentence names it.

    Example:
        >>> config = TrainConfig(recipe="tiny-cpu", optimizer="muon", rule="linear 5 %", steps=200)
        >>> config.lr, config.batch_size, config.rule
        (0.006, 16, 'linear 5%')
        >>> TrainConfig.from_dict(config.to_dict()) == config
        True
    """

    recipe: str = "tiny-cpu"
    optimizer: str = "muon"
    lr: float = FROM_RECIPE
    rule: str = DEFAULT_RULE
    calibrate: bool = True
    decay: str = "cosine"
    final_fraction: float = 0.0
    lower_bound: float = 0.0
    steps: int = FROM_RECIPE
    seed: int = 0
    batch_size: int = FROM_RECIPE
    sequence_length: int = FROM_RECIPE
    accumulation: int = FROM_RECIPE
    weight_decay: float = 0.1
    clip: float = 0.5
    eval_every: int = 0
    eval_batches: int = FROM_RECIPE
    checkpoint_every: int = 100
    data: str = FROM_RECIPE
    tokenizer: str = FROM_RECIPE
    mixed_precision: str = "no"
    parallel: str = "auto"
    threads: int = 0
    save_model: bool = False
    measure: bool = False
    measure_every: int = 10
    measure_norm: str = "auto"
    measure_count: str = "auto"
    measure_next: bool = False
    measure_hessian: bool = False

    def __post_init__(self) -> None:
        size = recipe(self.recipe)
        _among("optimizer", self.optimizer, OPTIMIZERS)
        rule = rule_of(self.rule)
        suggested = {"lr": size.suggested[self.optimizer].lr}
        suggested |= {name: getattr(size, name) for name in _SIZES}
        for name, value in suggested.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        object.__setattr__(self, "rule", rule.name)
        _check(self, rule)

    @property
    def size(self) -> Recipe:
        """The recipe behind the name."""
        return recipe(self.recipe)

    @property
    def measures_start(self) -> bool:
        """Whether the first rate is measured on the first batch."""
        return self.calibrate and rule_of(self.rule).measured_start is not None

    @property
    def eval_interval(self) -> int:
        """Updates between evaluations."""
        return self.eval_every or math.ceil(self.steps / 10)

    @property
    def id(self) -> str:
        """A name for this run: readable, and different for different configs."""
        rule = re.sub(r"[^a-z0-9.]+", "-", self.rule.replace("%", "pct").lower()).strip("-")
        values = self.to_dict()
        del values["parallel"]  # the same run, whoever shares it
        if not self.measure:  # then they say nothing of the run
            values = {key: value for key, value in values.items() if not key.startswith("measure")}
        digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
        return (
            f"{self.recipe}-{self.optimizer}-lr{self.lr:g}-{rule}-{self.steps}"
            f"-seed{self.seed}-{digest[:8]}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return every field as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainConfig:
        """Build a config from `to_dict`, of this or an earlier version.

        Raises:
            ValueError: a key is not a field.
        """
        values = in_todays_words(values)
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise ValueError(f"config: expected fields of TrainConfig, got {', '.join(unknown)}")
        return cls(**values)

    def command(self, out: str) -> str:
        """Return the command line that repeats this run."""
        words = ["autowarmup", "train"]
        always = ("recipe", "optimizer", "lr", "rule", "steps", "seed")
        plain = TrainConfig(recipe=self.recipe, optimizer=self.optimizer, rule=self.rule)
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name not in always and value == getattr(plain, field.name):
                continue
            flag = field.name.replace("_", "-")
            if isinstance(value, bool):
                words.append(f"--{flag}" if value else f"--no-{flag}")
            else:
                words += [f"--{flag}", str(value)]
        return shlex.join([*words, "--out", out])


_SIZES = ("steps", "batch_size", "sequence_length", "accumulation", "eval_batches", "data",
          "tokenizer")  # fmt: skip
_AT_LEAST_1 = ("steps", "batch_size", "sequence_length", "accumulation", "eval_batches",
               "measure_every")  # fmt: skip


def _among(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name}: expected one of {', '.join(known)}, got {value!r}")


def _check(config: TrainConfig, rule: Rule[Any]) -> None:
    """Refuse values that no run could use, one sentence each."""

    def between(name: str, low: float, high: float, shown: str) -> None:
        value = getattr(config, name)
        if not low <= value <= high:  # also refuses nan
            raise ValueError(f"{name}: expected {shown}, got {value}")

    tiny, large = math.ulp(0.0), 1e300
    for name in _AT_LEAST_1:
        between(name, 1, large, "at least 1")
    for name in ("eval_every", "checkpoint_every", "threads", "seed"):
        between(name, 0, large, "0 or more")
    between("lr", tiny, large, "a positive number")
    between("weight_decay", 0.0, large, "0 or more")
    between("clip", 0.0, large, "0 (no clipping) or more")
    between("final_fraction", 0.0, 1.0, "a share between 0 and 1")
    between("lower_bound", -large, large, "a finite loss")
    _among("decay", config.decay, DECAYS)
    _among("mixed_precision", config.mixed_precision, PRECISIONS)
    _among("parallel", config.parallel, PARALLELS)
    _among("measure_norm", config.measure_norm, NORMS)
    _among("measure_count", config.measure_count, COUNTS)
    if config.batch_size % config.accumulation:
        raise ValueError(
            f"batch_size: expected a multiple of accumulation ({config.accumulation}), "
            f"got {config.batch_size}"
        )
    rule.start(Run(config.steps, kappa=1.0))  # a length that is longer than the run raises

"""What one training run is: a frozen, plain record of every choice that changes its numbers."""

from __future__ import annotations

import math
import shlex
from dataclasses import asdict, dataclass, fields
from typing import Any

from autowarmup.lab.train.earlier import in_todays_words
from autowarmup.lab.train.recipes import recipe
from autowarmup.rules.base import Rule, Run
from autowarmup.rules.decay import DECAYS
from autowarmup.rules.registry import DEFAULT_RULE, rule_of

OPTIMIZERS = ("muon", "lion", "signum", "signsgd", "normsgd", "adamw", "sgd")
# The words of `autowarmup.measure.blocks`, which needs torch; a config does not.
NORMS = ("auto", "spectral", "linf", "frobenius", "euclidean")
COUNTS = ("auto", "matrices", "constrained", "all")

OPEN: Any = None
"""Default of fields that the recipe or the rule fills; a config that is built has no `None`."""


@dataclass(frozen=True)
class TrainConfig:
    """One training run.

    Attributes:
        recipe: named size: tiny-cpu, small-cpu, llama-124m or llama-210m.
        optimizer: muon, lion, signum, signsgd, normsgd, adamw or sgd.
        lr: peak learning rate.
        rule: warm-up rule: paced, watched, none, "linear 5%", "linear 500 steps", flat, accurate,
            published, h0h1, untuned, doubling or autowu; with settings as "flat(div=50)".
        calibrate: measure the first rate on the first batch, for rules that start from a measured
            rate: flat, accurate, published, h0h1 and doubling.
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
        save_model: keep the final weights in OUT/model in the transformers layout.
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
    lr: float = OPEN
    rule: str = DEFAULT_RULE
    calibrate: bool = OPEN
    decay: str = "cosine"
    final_fraction: float = 0.0
    lower_bound: float = 0.0
    steps: int = OPEN
    seed: int = 0
    batch_size: int = OPEN
    sequence_length: int = OPEN
    accumulation: int = OPEN
    weight_decay: float = 0.1
    clip: float = 0.5
    eval_every: int = 0
    eval_batches: int = OPEN
    checkpoint_every: int = 100
    data: str = OPEN
    tokenizer: str = OPEN
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
        size, rule = recipe(self.recipe), rule_of(self.rule)
        _check_choices(self)
        followed = {"lr": size.rates[self.optimizer], "calibrate": rule.measured_start is not None}
        for field in fields(self):
            if getattr(self, field.name) is None:
                value = followed.get(field.name, getattr(size, field.name, None))
                object.__setattr__(self, field.name, value)
        object.__setattr__(self, "rule", rule.name)
        _check_numbers(self)
        _check_rule(self, rule)

    @property
    def eval_interval(self) -> int:
        """Updates between evaluations."""
        return self.eval_every or math.ceil(self.steps / 10)

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


CHOICES = {
    "optimizer": OPTIMIZERS,
    "decay": DECAYS,
    "mixed_precision": ("no", "fp16", "bf16"),
    "parallel": ("auto", "none", "ddp", "fsdp"),
    "measure_norm": NORMS,
    "measure_count": COUNTS,
}
"""Fields that are one of a few words."""
_TINY, _LARGE = math.ulp(0.0), 1e300
_RANGES = (
    (1, _LARGE, "at least 1", ("steps", "batch_size", "sequence_length", "accumulation",
                               "eval_batches", "measure_every")),
    (0, _LARGE, "0 or more", ("eval_every", "checkpoint_every", "threads", "seed",
                              "weight_decay")),
    (0, _LARGE, "0 (no clipping) or more", ("clip",)),
    (_TINY, _LARGE, "a positive number", ("lr",)),
    (0, 1, "a share between 0 and 1", ("final_fraction",)),
    (-_LARGE, _LARGE, "a finite loss", ("lower_bound",)),
)  # fmt: skip


def _check_choices(config: TrainConfig) -> None:
    for name, known in CHOICES.items():
        if getattr(config, name) not in known:
            expected, got = ", ".join(known), getattr(config, name)
            raise ValueError(f"{name}: expected one of {expected}, got {got!r}")


def _check_numbers(config: TrainConfig) -> None:
    for low, high, shown, names in _RANGES:
        for name in names:
            value = getattr(config, name)
            if not low <= value <= high:  # also refuses nan
                raise ValueError(f"{name}: expected {shown}, got {value}")
    if config.batch_size % config.accumulation:
        raise ValueError(
            f"batch_size: expected a multiple of accumulation ({config.accumulation}), "
            f"got {config.batch_size}"
        )


def _check_rule(config: TrainConfig, rule: Rule[Any]) -> None:
    if config.calibrate and rule.measured_start is None:
        raise ValueError(
            f"calibrate: the rule {rule.name!r} has no first rate to measure; expected a rule that "
            "has one (flat, accurate, published, h0h1, doubling) or no --calibrate"
        )
    rule.start(Run(config.steps, kappa=1.0))  # a length that is longer than the run raises

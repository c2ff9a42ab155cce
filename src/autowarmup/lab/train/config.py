"""What one training run is: a frozen, JSON-plain record of every choice that changes its numbers.

Fields left at `None` are filled from the recipe when the record is built, so a finished config is
complete and says by itself what was run.
"""

from __future__ import annotations

import hashlib
import json
import math
import shlex
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

from autowarmup.lab.train.recipes import Recipe, recipe

OPTIMIZERS = ("muon", "lion", "signum", "signsgd", "normsgd", "adamw", "sgd")
PRECISIONS = ("no", "fp16", "bf16")
PARALLELS = ("auto", "none", "ddp", "fsdp")
# The words of `autowarmup.measure.blocks`, which needs torch; a config does not.
NORMS = ("auto", "spectral", "linf", "frobenius", "euclidean")
COUNTS = ("auto", "matrices", "constrained", "all")

T = TypeVar("T")


def filled(value: T | None) -> T:
    """Return a field that `TrainConfig` has filled from its recipe."""
    assert value is not None, "TrainConfig fills every open field when it is built"
    return value


@dataclass(frozen=True)
class TrainConfig:
    """One training run.

    Attributes:
        recipe: named size, see `autowarmup.lab.train.RECIPES`.
        optimizer: muon, lion, signum, signsgd, normsgd, adamw or sgd.
        lr: peak learning rate (`None`: the recipe's suggestion for the optimizer).
        warmup: "adaptive", or a linear warm-up as steps ("50") or as a share of the run ("5%").
        peak: rule of adaptive warm-up, one of `rules.registry.RULES` or a fraction ("0.33").
        calibrate: measure the first rate on the first batch (adaptive warm-up only).
        div: first rate is lr / div where it is not measured (`None`: 100, normalized SGD 5).
        decay: what follows the peak: cosine, linear, wsd, sqrt or constant.
        final_fraction: rate at the end of the decay, as a share of the peak rate.
        lower_bound: f_star, a loss that training cannot go under, in nats per token.
        max_fraction: largest share of the run that adaptive warm-up may take.
        smoothing: weight of the past in the smoothed gap, in [0, 1).
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
        >>> config = TrainConfig(recipe="tiny-cpu", optimizer="muon", warmup="5%", steps=200)
        >>> config.lr, config.batch_size, config.warmup_steps
        (0.006, 16, 10)
        >>> TrainConfig.from_dict(config.to_dict()) == config
        True
    """

    recipe: str = "tiny-cpu"
    optimizer: str = "muon"
    lr: float | None = None
    warmup: str = "adaptive"
    peak: str = "watched"
    calibrate: bool = True
    div: float | None = None
    decay: str = "cosine"
    final_fraction: float = 0.0
    lower_bound: float = 0.0
    max_fraction: float = 0.25
    smoothing: float = 0.9
    steps: int | None = None
    seed: int = 0
    batch_size: int | None = None
    sequence_length: int | None = None
    accumulation: int | None = None
    weight_decay: float = 0.1
    clip: float = 0.5
    eval_every: int = 0
    eval_batches: int | None = None
    checkpoint_every: int = 100
    data: str | None = None
    tokenizer: str | None = None
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
        suggestion = size.suggested[self.optimizer]
        defaults = {
            "lr": suggestion.lr,
            "div": suggestion.div,
            "steps": size.steps,
            "batch_size": size.batch_size,
            "sequence_length": size.sequence_length,
            "accumulation": size.accumulation,
            "eval_batches": size.eval_batches,
            "data": size.data,
            "tokenizer": size.tokenizer,
        }
        for name, value in defaults.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        object.__setattr__(self, "warmup", str(self.warmup).strip())
        object.__setattr__(self, "peak", str(self.peak).strip())
        _check(self)

    @property
    def size(self) -> Recipe:
        """The recipe behind the name."""
        return recipe(self.recipe)

    @property
    def adaptive(self) -> bool:
        """Whether warm-up follows the loss; otherwise it is linear."""
        return self.warmup == "adaptive"

    @property
    def warmup_steps(self) -> int:
        """Length of the linear warm-up in updates, at least 1.

        Raises:
            ValueError: `warmup` is neither steps nor a share, or it is longer than the run.
        """
        text, steps = self.warmup, filled(self.steps)
        try:
            wanted = float(text[:-1]) / 100 * steps if text.endswith("%") else float(int(text))
        except ValueError:
            wanted = -1.0
        if not 0 <= wanted < math.inf:
            raise ValueError(
                f'warmup: expected "adaptive", a number of steps such as "50" or a share of the '
                f'run such as "5%", got {text!r}'
            )
        if wanted > steps:
            raise ValueError(f"warmup: expected at most the {steps} steps of the run, got {text!r}")
        return max(1, round(wanted))

    @property
    def eval_interval(self) -> int:
        """Updates between evaluations."""
        return self.eval_every or math.ceil(filled(self.steps) / 10)

    @property
    def id(self) -> str:
        """A name for this run: readable, and different for different configs."""
        rule = self.warmup.replace("%", "pct")
        if self.adaptive:
            rule = f"adaptive-{self.peak}" + ("" if self.calibrate else f"-div{self.div:g}")
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
        """Build a config from `to_dict`.

        Raises:
            ValueError: a key is not a field.
        """
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise ValueError(f"config: expected fields of TrainConfig, got {', '.join(unknown)}")
        return cls(**values)

    def command(self, out: str) -> str:
        """Return the command line that repeats this run."""
        words = ["autowarmup", "train"]
        always = ("recipe", "optimizer", "lr", "warmup", "steps", "seed")
        plain = TrainConfig(recipe=self.recipe, optimizer=self.optimizer)
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


def _among(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name}: expected one of {', '.join(known)}, got {value!r}")


def _check(config: TrainConfig) -> None:
    """Refuse values that no run could use, one sentence each."""
    from autowarmup.rules.decay import DECAYS
    from autowarmup.rules.registry import rule_by_name

    def between(name: str, low: float, high: float, shown: str) -> None:
        value = getattr(config, name)
        if not low <= value <= high:  # also refuses nan
            raise ValueError(f"{name}: expected {shown}, got {value}")

    tiny, large = math.ulp(0.0), 1e300
    for name in (
        "steps",
        "batch_size",
        "sequence_length",
        "accumulation",
        "eval_batches",
        "measure_every",
    ):
        between(name, 1, large, "at least 1")
    for name in ("eval_every", "checkpoint_every", "threads", "seed"):
        between(name, 0, large, "0 or more")
    between("lr", tiny, large, "a positive number")
    between("div", 1.0, large, "a number of at least 1")
    between("weight_decay", 0.0, large, "0 or more")
    between("clip", 0.0, large, "0 (no clipping) or more")
    between("final_fraction", 0.0, 1.0, "a share between 0 and 1")
    between("lower_bound", -large, large, "a finite loss")
    between("max_fraction", tiny, 1.0, "a share of the run above 0 and up to 1")
    between("smoothing", 0.0, 1.0 - 2**-53, "a number in [0, 1)")
    _among("decay", config.decay, DECAYS)
    _among("mixed_precision", config.mixed_precision, PRECISIONS)
    _among("parallel", config.parallel, PARALLELS)
    _among("measure_norm", config.measure_norm, NORMS)
    _among("measure_count", config.measure_count, COUNTS)
    if filled(config.batch_size) % filled(config.accumulation):
        raise ValueError(
            f"batch_size: expected a multiple of accumulation ({config.accumulation}), "
            f"got {config.batch_size}"
        )
    rule_by_name(config.peak)  # its own check raises
    if not config.adaptive:
        _ = config.warmup_steps  # its own check raises

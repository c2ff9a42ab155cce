"""`autowarmup train`: one training run."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console

from autowarmup.lab.train.config import CHOICES, COUNTS, NORMS, OPEN, OPTIMIZERS, TrainConfig
from autowarmup.lab.train.recipes import RECIPES
from autowarmup.rules.decay import DECAYS


def filled_by(what: str) -> Any:
    """Say in the help what fills an option that is left out."""
    return tyro.conf.arg(help_behavior_hint=f"(default: {what})")


def one_of(words: Iterable[str]) -> Any:
    """List in the help what an option may be; a wrong word gets our sentence, not the parser's."""
    return tyro.conf.arg(metavar=f"{{{','.join(words)}}}")


FROM_RECIPE = filled_by("the recipe's")


@dataclass(frozen=True)
class TrainOptions(TrainConfig):  # noqa: D101 - the options are documented where they are checked
    __doc__ = TrainConfig.__doc__

    recipe: Annotated[str, one_of(RECIPES)] = TrainConfig.recipe
    optimizer: Annotated[str, one_of(OPTIMIZERS)] = TrainConfig.optimizer
    decay: Annotated[str, one_of(DECAYS)] = TrainConfig.decay
    mixed_precision: Annotated[str, one_of(CHOICES["mixed_precision"])] = "no"
    parallel: Annotated[str, one_of(CHOICES["parallel"])] = "auto"
    measure_norm: Annotated[str, one_of(NORMS)] = "auto"
    measure_count: Annotated[str, one_of(COUNTS)] = "auto"
    lr: Annotated[float, FROM_RECIPE] = OPEN
    calibrate: Annotated[  # pyright: ignore[reportIncompatibleVariableOverride]
        bool | None, filled_by("on for them")
    ] = None
    steps: Annotated[int, FROM_RECIPE] = OPEN
    batch_size: Annotated[int, FROM_RECIPE] = OPEN
    sequence_length: Annotated[int, FROM_RECIPE] = OPEN
    accumulation: Annotated[int, FROM_RECIPE] = OPEN
    eval_batches: Annotated[int, FROM_RECIPE] = OPEN
    data: Annotated[str, FROM_RECIPE] = OPEN
    tokenizer: Annotated[str, FROM_RECIPE] = OPEN

    def __post_init__(self) -> None:
        """Leave the checks to `TrainConfig`, whose sentence would drown in the parser's report."""


def train(
    run: Annotated[TrainOptions, tyro.conf.OmitArgPrefixes], out: Path, resume: bool = False
) -> int:
    """Pretrain one small LLaMA and write OUT/trace.jsonl and OUT/result.json.

    Several processes share one run: torchrun --nproc-per-node N -m autowarmup ...

    Args:
        run: what to train.
        out: directory of this run.
        resume: continue the run that OUT holds; begin it where there is none.
    """
    config = TrainConfig.from_dict(asdict(run))
    from autowarmup.lab.train.train import train as train_one

    record = train_one(config, out=out, resume=resume)
    finished = record["status"] == "finished"
    if os.environ.get("RANK", "0") == "0":  # one process speaks
        if finished:
            Console().print(
                f"validation loss [bold]{record['val_loss']:.4f}[/bold] after "
                f"{record['steps_done']} updates; warm-up ended at update "
                f"{record['warmup_end_step']} ({record['warmup_ended_by']}); "
                f"see {out / 'result.json'}"
            )
            if record["message"]:
                print(f"warning: {record['message']}", file=sys.stderr)
        else:
            print(f"{record['status']}: {record['message']}", file=sys.stderr)
    return 0 if finished else 1

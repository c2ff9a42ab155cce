"""LLaMA-Factory: a command instead of its own, `python -m autowarmup.integrations.llamafactory`.

Its configuration has no place for a schedule of others. But the workflow of each stage looks up a
trainer by its name when it starts: that is where `AdaptiveWarmupMixin` comes in.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

from autowarmup.integrations import missing

try:
    from llamafactory.hparams import read_args  # pyright: ignore[reportMissingImports]
    from llamafactory.train.tuner import run_exp  # pyright: ignore[reportMissingImports]
except ModuleNotFoundError as error:
    if error.name != "llamafactory":
        raise  # it is there, and something that it needs is not
    raise missing("llamafactory") from error

from autowarmup.integrations.huggingface import AdaptiveWarmupMixin

OPTIONS = "adaptive_warmup"
"""What the configuration may have beside LLaMA-Factory's own: arguments of `AdaptiveWarmup`."""
TRAINERS = {"pt": "CustomTrainer", "sft": "CustomSeq2SeqTrainer", "dpo": "CustomDPOTrainer"}
"""Stage -> name of its trainer."""


def train(config: dict[str, Any]) -> None:
    """Train as `llamafactory-cli train` does, with an `AdaptiveWarmup` that sees every loss.

    Args:
        config: what the configuration file says.

    Raises:
        ValueError: a stage whose trainer is not known here, or options that are no mapping.
    """
    config = dict(config)
    options, stage = config.pop(OPTIONS, None) or {}, config.get("stage", "sft")
    if not isinstance(options, dict):
        raise ValueError(
            f"{OPTIONS}: expected arguments of AdaptiveWarmup by name, got {options!r}"
        )
    if stage not in TRAINERS:
        raise ValueError(f"stage: expected one of {', '.join(TRAINERS)}, got {stage!r}")
    name = TRAINERS[stage]
    rooms = [
        importlib.import_module(f"llamafactory.train.{stage}.{room}")
        for room in ("trainer", "workflow")
    ]
    usual = getattr(rooms[0], name)
    ours = type(name, (AdaptiveWarmupMixin, usual), {"warmup_options": options})
    held = [room for room in rooms if getattr(room, name, None) is usual]
    for room in held:
        setattr(room, name, ours)
    try:
        run_exp(config)
    finally:
        for room in held:
            setattr(room, name, usual)


def _main() -> None:
    """Read the configuration that the command line names, as LLaMA-Factory does, and train."""
    config = read_args()
    if not isinstance(config, dict):
        raise SystemExit(f"expected a configuration file, .yaml or .json, got {sys.argv[1:]}")
    train(config)


if __name__ == "__main__":
    _main()

"""What `autowarmup compare` trains: a recipe with the user's optimizer, rate and data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autowarmup.lab.bench.setups import Setup
from autowarmup.lab.train.config import TrainConfig


def setup_of(rules: Sequence[str], **given: Any) -> Setup:
    """Return the set-up, refused before any run where one of the rules could not be trained.

    The tokens of the corpus are made here, once, if they are not there already.

    Args:
        rules: names of rules.
        **given: recipe, optimizer, lr, steps, batch_size and data, `None` for the recipe's.

    Raises:
        ValueError: a setting that no run can have, or a corpus that cannot be read.
    """
    from autowarmup.lab.train.data import load_corpus

    given = {name: value for name, value in given.items() if value is not None}
    config, *_ = [TrainConfig(rule=rule, **given) for rule in rules]
    wanted = config.steps * config.batch_size * config.sequence_length
    load_corpus(config.data, config.tokenizer, length=config.sequence_length, wanted=wanted)
    return Setup(
        config.optimizer, config.lr, config.recipe, config.batch_size, config.steps, config.data
    )

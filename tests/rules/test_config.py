"""Settings are checked once, named in the message, and kept as plain JSON values."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest

from autowarmup.rules.config import ScheduleConfig


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"total_steps": 0}, "expected total_steps >= 1, got 0"),
        ({"total_steps": 10.0}, "expected total_steps to be a whole number, got 10.0"),
        ({"total_steps": "10"}, "expected total_steps to be a whole number, got '10'"),
        ({"div": 0.5}, "expected div >= 1 .*, got 0.5"),
        ({"div": math.inf}, "expected div to be a finite number, got inf"),
        ({"div": "many"}, "expected div to be a finite number, got 'many'"),
        ({"div": None}, "expected div to be a finite number, got None"),
        ({"peak": "sharp"}, "expected peak to be flat, accurate, published or a number"),
        ({"peak": 0.0}, "expected 0 < peak < 1, got 0"),
        ({"peak": "1.0"}, "expected 0 < peak < 1, got 1.0"),
        ({"peak": "accurate"}, "expected kappa > 0 for peak='accurate', got None"),
        ({"peak": "published", "kappa": 0.0}, "expected kappa > 0, got 0.0"),
        ({"kappa": math.nan}, "expected kappa to be a finite number, got nan"),
        ({"decay": "exponential"}, "expected decay to be one of cosine, .*, got 'exponential'"),
        ({"final_fraction": 1.1}, "expected 0 <= final_fraction <= 1, got 1.1"),
        ({"lower_bound": math.nan}, "expected lower_bound to be a finite number, got nan"),
        ({"max_fraction": 0.0}, "expected 0 < max_fraction <= 1, got 0.0"),
        ({"smoothing": 1.0}, "expected 0 <= smoothing < 1, got 1.0"),
    ],
)
def test_bad_settings_are_named(changed: dict, message: str) -> None:
    settings: dict[str, Any] = {"total_steps": 100} | changed
    with pytest.raises(ValueError, match=message):
        ScheduleConfig(**settings)


def test_values_become_plain_json() -> None:
    config = ScheduleConfig(
        np.int64(100),  # pyright: ignore[reportArgumentType]
        div=np.float32(4),  # pyright: ignore[reportArgumentType]
        peak="0.33",
        kappa=85,
    )
    assert config == ScheduleConfig(100, div=4.0, peak=0.33, kappa=85.0)
    assert ScheduleConfig(**json.loads(json.dumps(asdict(config)))) == config
    assert replace(config, div=1).div == 1.0


@pytest.mark.parametrize(
    ("total", "max_fraction", "cap", "ramp"),
    [(1000, 0.25, 250, 30), (10, 0.25, 2, 1), (1, 0.25, 1, 1), (1000, 0.99, 990, 10)],
)
def test_cap_and_ramp_in_updates(total: int, max_fraction: float, cap: int, ramp: int) -> None:
    config = ScheduleConfig(total, max_fraction=max_fraction)
    assert (config.cap, config.ramp) == (cap, ramp)

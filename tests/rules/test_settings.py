"""Settings are checked once, named in the message, and kept as plain JSON values."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from autowarmup.rules import H0H1, Doubling, GapLaw, Linear, Run, Watched


@pytest.mark.parametrize(
    ("build", "changed", "message"),
    [
        (Run, {"total_steps": 0}, "expected total_steps >= 1, got 0"),
        (Run, {"total_steps": 10.0}, "expected total_steps to be a whole number, got 10.0"),
        (Run, {"total_steps": "10"}, "expected total_steps to be a whole number, got '10'"),
        (Run, {"total_steps": True}, "expected total_steps to be a whole number, got True"),
        (Linear, {"share": True}, "expected share to be a finite number, got True"),
        (Run, {"div": 0.5}, "expected div >= 1, got 0.5"),
        (Run, {"kappa": math.nan}, "expected kappa to be a finite number, got nan"),
        (Run, {"kappa": 0.0}, "expected kappa > 0, got 0.0"),
        (Run, {"decay": "exponential"}, "expected decay to be one of cosine, .*'exponential'"),
        (Run, {"final_fraction": 1.1}, "expected 0 <= final_fraction <= 1, got 1.1"),
        (Run, {"lower_bound": math.nan}, "expected lower_bound to be a finite number, got nan"),
        (Run, {"beta": 1.0}, "expected 0 <= beta < 1, got 1.0"),
        (GapLaw, {"div": 0.5}, "expected div >= 1 .*, got 0.5"),
        (GapLaw, {"div": math.inf}, "expected div to be a finite number, got inf"),
        (GapLaw, {"div": "many"}, "expected div to be a finite number, got 'many'"),
        (GapLaw, {"div": None}, "expected div to be a finite number, got None"),
        (GapLaw, {"end": "sharp"}, "expected end to be flat, accurate, published or a number"),
        (GapLaw, {"end": 0.0}, "expected 0 < end < 1, got 0"),
        (GapLaw, {"end": "1.0"}, "expected 0 < end < 1, got 1.0"),
        (GapLaw, {"end": "published", "kappa": 0.0}, "expected kappa > 0, got 0.0"),
        (GapLaw, {"max_fraction": 0.0}, "expected 0 < max_fraction <= 1, got 0.0"),
        (GapLaw, {"smoothing": 1.0}, "expected 0 <= smoothing < 1, got 1.0"),
        (H0H1, {"div": 0.0}, "expected div >= 1, got 0.0"),
        (H0H1, {"smoothing": -0.1}, "expected 0 <= smoothing < 1, got -0.1"),
        (Doubling, {"share": 2}, "expected 0 <= share <= 1, got 2"),
        (Watched, {"share": 0.0}, r"expected 0 < share <= 1 \(of the run\), got 0.0"),
        (Watched, {"looks": 2.5}, "expected looks to be a whole number, got 2.5"),
        (Watched, {"looks": 0}, "expected looks >= 1, got 0"),
        (Watched, {"power": -1}, "expected power > 0, got -1"),
        (Watched, {"floor": 1.5}, "expected 0 <= floor <= 1, got 1.5"),
        (Linear, {}, "expected a share of the run or steps=..., got share=None and steps=None"),
        (Linear, {"share": 0.1, "steps": 5}, "expected a share of the run or steps"),
        (Linear, {"share": 5}, r"expected a share of the run in \[0, 1\] \(Linear\(steps=500\)"),
        (Linear, {"steps": -1}, "expected steps >= 0, got -1"),
        (Linear, {"steps": 1.5}, "expected steps to be a whole number, got 1.5"),
    ],
)
def test_bad_settings_are_named(build: Callable[..., Any], changed: dict, message: str) -> None:
    settings = {"total_steps": 100} | changed if build is Run else changed
    with pytest.raises(ValueError, match=message):
        build(**settings)


def test_values_become_plain_json() -> None:
    run = Run(np.int64(100), beta=np.float32(0.5), kappa=85)  # type: ignore[arg-type]
    assert run == Run(100, beta=0.5, kappa=85.0)
    assert Run(**json.loads(json.dumps(asdict(run)))) == run
    law = GapLaw(end="0.33", div=np.float32(4))  # type: ignore[arg-type]
    assert law == GapLaw(end=0.33, div=4.0)
    assert GapLaw(**json.loads(json.dumps(law.settings()))) == law
    assert Watched(share=1).share == 1.0
    plain = [H0H1(div="50", smoothing=np.float32(0)), Doubling(share=1, div=np.float32(4))]  # type: ignore[arg-type]
    assert [rule.name for rule in plain] == [
        "h0h1(div=50.0, smoothing=0.0)",
        "doubling(share=1.0, div=4.0)",
    ]


def test_what_weighs_by_kappa_needs_one() -> None:
    for end in ("accurate", "published"):
        assert GapLaw(end=end).needs_kappa
        assert not GapLaw(end=end, kappa=3.0).needs_kappa
        with pytest.raises(ValueError, match="expected kappa > 0 for the rule"):
            GapLaw(end=end).start(Run(10))
        assert GapLaw(end=end).start(Run(10, kappa=3.0)).share == 0.01


def test_a_length_longer_than_the_run_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a warm-up of at most the 400 updates"):
        Linear(steps=500).start(Run(400))

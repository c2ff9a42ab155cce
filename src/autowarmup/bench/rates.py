"""Best peak rates, from the sweep whose runs are in `results/bench/runs`."""

from __future__ import annotations

BEST = {
    "muon": 0.012,
    "lion": 0.001,
    "signum": 0.002,
    "normsgd": 0.05,
    "adamw": 0.008,
    "sgd": 0.5,
}
"""Per optimizer, the best of a sweep in factors of two with 5 % warm-up (micro, batch 8)."""

"""Best peak rates, from the sweeps whose runs are in `results/bench`."""

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

BEST_DIGITS = {
    "muon": 0.0015,
    "lion": 0.000125,
    "signum": 0.00025,
    "normsgd": 0.2,
    "adamw": 0.001,
    "sgd": 0.03125,
}
"""The same for the network on handwritten digits: 1,000 updates, two seeds."""

BEST_TUNED = {
    "muon": 0.012,
    "lion": 0.002,
    "signum": 0.002,
    "normsgd": 0.025,
    "adamw": 0.008,
    "sgd": 0.25,
}
"""The same for a trained model on English prose: 600 updates after 2,500, two seeds."""

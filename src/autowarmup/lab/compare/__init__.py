"""Warm-up rules compared on one training of the user's own: the same seeds for all of them."""

from autowarmup.lab.compare.comparison import Comparison
from autowarmup.lab.compare.own import compare_rules

__all__ = ["Comparison", "compare_rules"]

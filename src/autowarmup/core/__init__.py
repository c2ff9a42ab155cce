"""The maths of the schedule, without torch: law of the gap, end of warm-up, decay, state."""

from __future__ import annotations

from autowarmup.core.baseline import linear_warmup
from autowarmup.core.config import ScheduleConfig
from autowarmup.core.decay import DECAYS, decay_factor
from autowarmup.core.gap import GapState, observe
from autowarmup.core.law import SmoothnessLaw, k1_threshold, peak_factor
from autowarmup.core.peak import RULES, accurate, choose, fixed, flat, kappa, published
from autowarmup.core.schedule import ScheduleState, init, step
from autowarmup.core.status import Status

__all__ = [
    "DECAYS",
    "RULES",
    "GapState",
    "ScheduleConfig",
    "ScheduleState",
    "SmoothnessLaw",
    "Status",
    "accurate",
    "choose",
    "decay_factor",
    "fixed",
    "flat",
    "init",
    "k1_threshold",
    "kappa",
    "linear_warmup",
    "observe",
    "peak_factor",
    "published",
    "step",
]

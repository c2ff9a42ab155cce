"""Learning-rate warm-up without tuning.

    from autowarmup import AdaptiveWarmup, Muon

    optimizer = Muon(model, lr=6e-3)
    scheduler = AdaptiveWarmup(optimizer, total_steps=10_000)

The public names below are loaded when they are first used, so that importing the package is cheap.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing and importlib are not loaded for a bare import
if TYPE_CHECKING:
    from typing import Any

    from autowarmup.factory import get_adaptive_schedule
    from autowarmup.history import Point, Trace
    from autowarmup.measure.fit import fit_curvature
    from autowarmup.measure.observer import CurvatureObserver
    from autowarmup.norms import Lion, Muon, NormalizedSGD, SignSGD, Signum
    from autowarmup.recorded import replay
    from autowarmup.rules import H0H1, GapLaw, Linear, Paced, Rule
    from autowarmup.rules.gap_law.law import SmoothnessLaw
    from autowarmup.scheduler import AdaptiveWarmup

__version__ = "0.2.0"

_HOMES = {
    "AdaptiveWarmup": "autowarmup.scheduler",
    "CurvatureObserver": "autowarmup.measure.observer",
    "GapLaw": "autowarmup.rules",
    "H0H1": "autowarmup.rules",
    "Linear": "autowarmup.rules",
    "Paced": "autowarmup.rules",
    "Rule": "autowarmup.rules",
    "Lion": "autowarmup.norms",
    "Muon": "autowarmup.norms",
    "NormalizedSGD": "autowarmup.norms",
    "Point": "autowarmup.history",
    "SignSGD": "autowarmup.norms",
    "Signum": "autowarmup.norms",
    "SmoothnessLaw": "autowarmup.rules.gap_law.law",
    "Trace": "autowarmup.history",
    "fit_curvature": "autowarmup.measure.fit",
    "get_adaptive_schedule": "autowarmup.factory",
    "replay": "autowarmup.recorded",
}

__all__ = [
    "H0H1",
    "AdaptiveWarmup",
    "CurvatureObserver",
    "GapLaw",
    "Linear",
    "Lion",
    "Muon",
    "NormalizedSGD",
    "Paced",
    "Point",
    "Rule",
    "SignSGD",
    "Signum",
    "SmoothnessLaw",
    "Trace",
    "fit_curvature",
    "get_adaptive_schedule",
    "replay",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its room."""
    if name not in _HOMES:
        raise AttributeError(f"module 'autowarmup' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """List the public names."""
    return [*__all__, "__version__"]

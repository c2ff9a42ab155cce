"""Ways to choose the gap at which warm-up ends, as the share r = gap_peak / gap0.

Each is a pure function of standard quantities. `flat` needs only div;
`accurate` and `published` weigh the same objective (see `objective`) by kappa, the first by an
accurate integral, the second the way the code published with arXiv 2602.05813 integrates it; or
the user gives the share.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import warnings
from functools import lru_cache
from typing import Any

import numpy as np

from autowarmup.rules.gap_law.objective import lowest_minimum

ENDS = ("flat", "accurate", "published")
"""The rules that `choose` knows by name; a number in (0, 1) is the fourth."""

SIGMA = 0.001
"""The constant of the weight in arXiv 2602.05813, in 1 / (loss^2 kappa)."""
PUBLISHED_LR = 1e-3
"""Peak rate at which `published` integrates, that of the paper's runs with Muon and Lion."""


@lru_cache(maxsize=256)
def flat(div: float) -> float:
    """Return the r that minimises the objective without its weight (s = 0), from div alone.

    Args:
        div: peak rate over first rate, > 1.

    Raises:
        ValueError: div <= 1, where there is no warm-up.

    Example:
        >>> [round(flat(div), 4) for div in (2.0, 10.0, 100.0)]
        [0.5088, 0.3142, 0.287]
    """
    _check_div(div)
    return lowest_minimum(div, 0.0)


@lru_cache(maxsize=256)
def accurate(div: float, gap0: float, kappa: float, sigma: float = SIGMA) -> float:
    """Return the r of the lowest interior local minimum of the objective, accurately integrated.

    The result depends on kappa, sigma and the unit of the loss through s = sigma kappa gap0^2 only;
    it is neither monotone nor continuous in s, because the objective can have two local minima.

    Args:
        div: peak rate over first rate, > 1.
        gap0: first gap, in units of the loss.
        kappa: sum over the 2-D parameters of sup ||v||_* / ||v||, see `norms.Norm.kappa`.
        sigma: the paper's constant.

    Raises:
        ValueError: an argument out of its range.

    Example:
        At the shapes of a LLaMA with 124M parameters under Muon:

        >>> round(accurate(100.0, gap0=7.8, kappa=6.528e4), 3)
        0.326

        (The nearest of the 500 candidates of the published scan is 0.327.)
    """
    _check_div(div)
    _check_weight(gap0, kappa, sigma)
    return lowest_minimum(div, sigma * kappa * gap0 * gap0)


def published(
    div: float, gap0: float, kappa: float, sigma: float = SIGMA, *, lr: float = PUBLISHED_LR
) -> float:
    """Return the r that the code published with arXiv 2602.05813 arrives at.

    It scans 500 gaps from 0.01 to gap0 - 0.01 with one `scipy.integrate.quad` each, over (0, gap0)
    and at default settings. Those miss the narrow weight in two ways that are reproduced here: few
    nodes fall near the peak, and the squared rates (about lr^2) are below the absolute tolerance of
    1.5e-8, so that a small peak rate changes the answer. Takes 15 to 50 ms, about 30 to
    120 times as long as the other rules.

    Args:
        div: peak rate over first rate, > 1.
        gap0: first gap, in (0.02, 1e9) because of the scan's fixed ends.
        kappa: sum over the 2-D parameters of sup ||v||_* / ||v||, see `norms.Norm.kappa`.
        sigma: the paper's constant.
        lr: peak rate in the integrand.

    Raises:
        ValueError: an argument out of its range.
        ModuleNotFoundError: scipy is not installed.
    """
    _check_div(div)
    _check_weight(gap0, kappa, sigma)
    if not 0.02 < gap0 < 1e9:
        raise ValueError(
            "end='published' scans first gaps in steps of 0.01 and more: expected "
            f"0.02 < gap0 < 1e9, got {gap0}"
        )
    require_scipy()
    integrate: Any = importlib.import_module("scipy.integrate")

    candidates = np.linspace(0.01, gap0 - 0.01, 500)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", integrate.IntegrationWarning)
        values = [
            integrate.quad(
                _published_integrand, 0, gap0, args=(peak, gap0, div, sigma * kappa, lr)
            )[0]
            for peak in candidates.tolist()
        ]
    return float(candidates[int(np.argmin(values))]) / gap0


def require_scipy() -> None:
    """Raise ModuleNotFoundError where `published` could not work, before any work is lost."""
    if importlib.util.find_spec("scipy") is None:
        raise ModuleNotFoundError(
            "end='published' integrates with scipy: expected scipy to be installed, got none; "
            "pip install 'autowarmup[scipy]'"
        )


def _published_integrand(
    gap: float, peak: float, gap0: float, div: float, precision: float, lr: float
) -> float:
    distance = gap - peak
    share = distance / (gap0 - peak)
    rate = lr / (1 + (div - 1) * (gap0 / gap) * share * share)
    if gap < peak:
        target = lr * 0.5 * (1 - math.cos(math.pi * gap / peak))
    else:
        target = lr * (1 - (1 - 1 / div) * share)
    error = rate - target
    return math.exp(-distance * distance * precision / 2) * error * error


def fixed(fraction: float) -> float:
    """Return the share of the first gap that the user chose.

    Raises:
        ValueError: fraction outside (0, 1).
    """
    if not 0 < fraction < 1:
        raise ValueError(
            "end as a number is the share of the first gap at which warm-up ends: "
            f"expected 0 < end < 1, got {fraction}"
        )
    return float(fraction)


def parse_end(rule: str | float) -> str | float:
    """Return a rule's name, or the share of the gap as a float ("0.33" counts as 0.33).

    Raises:
        ValueError: neither a known name nor a number in (0, 1).
    """
    if isinstance(rule, str):
        if rule in ENDS:
            return rule
        try:
            rule = float(rule)
        except ValueError:
            raise ValueError(
                f"expected end to be {', '.join(ENDS)} or a number in (0, 1), got {rule!r}"
            ) from None
    return fixed(rule)


def choose(rule: str | float, *, div: float, gap0: float, kappa: float | None = None) -> float:
    """Return r = gap_peak / gap0 by the rule.

    Args:
        rule: one of `ENDS`, or the share itself.
        div: peak rate over first rate, > 1.
        gap0: first gap, in units of the loss.
        kappa: needed by "accurate" and "published" only.

    Raises:
        ValueError: an unknown rule, a missing kappa, or an argument out of its range.

    Example:
        >>> choose("0.33", div=100.0, gap0=7.8)
        0.33
    """
    rule = parse_end(rule)
    if isinstance(rule, float):
        return rule
    if rule == "flat":
        return flat(div)
    if kappa is None:
        raise ValueError(f"expected kappa for end={rule!r}, got none; end='flat' needs none")
    return (accurate if rule == "accurate" else published)(div, gap0, kappa)


def _check_div(div: float) -> None:
    if not (math.isfinite(div) and div > 1):
        raise ValueError(
            f"a rule for the end of warm-up needs a warm-up: expected a finite div > 1, got {div}"
        )


def _check_weight(gap0: float, kappa: float, sigma: float) -> None:
    for name, value in (("gap0", gap0), ("kappa", kappa), ("sigma", sigma)):
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"expected a finite {name} > 0, got {value}")

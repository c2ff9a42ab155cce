"""Step rules: what the theorems ask for, and what they are compared with.

Every function returns a rule that `theory.runs.run` calls before each step. `law`, `R`
and the like are those that the theorem of that name uses; a gap of 0 gives the rate 0.
"""

from __future__ import annotations

import numpy as np

from autowarmup.lab.theory.geometry import bisect
from autowarmup.lab.theory.law import Floats, Law, Numbers
from autowarmup.lab.theory.runs import Rule, View

# Nodes of the Gauss rule on (0, 1); after the substitution below the integrand is smooth.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(20)
_NODES, _WEIGHTS = (_NODES + 1) / 2, _WEIGHTS / 2


def _ratio(above: Floats, below: Floats) -> Floats:
    """Return above / below, 0 where that is not above 0."""
    return np.divide(above, below, out=np.zeros_like(below), where=below > 0)


def slope_over_law(law: Law) -> Rule:
    """Return a / (K(gap) ||u||^2), the best step of the descent lemma (A.1), a = <gradient, u>.

    With u the gradient it is 1 / K(gap), the warm-up of gradient descent.
    """
    return lambda view: _ratio(np.maximum(view.slope, 0.0), law.K(view.gap) * view.length**2)


def gap_over_law(law: Law, R: Numbers, share: Numbers = 1.0) -> Rule:
    """Return share * gap / (R K(gap)): A.2, and with share = (1 - beta) / (2 + 4 beta) A.5."""
    return lambda view: share * view.gap / (R * law.K(view.gap))


def pl_rule(law: Law, mu: Numbers) -> Rule:
    """Return sqrt(2 mu gap) / K(gap), the rate of A.2 under the PL condition."""
    return lambda view: np.sqrt(2 * np.asarray(mu) * view.gap) / law.K(view.gap)


def frank_wolfe(law: Law, decay: Numbers) -> Rule:
    """Return min(1 / lambda, lambda gap / (4 K(gap))), the rate of A.4 with decay lambda."""
    decay = np.asarray(decay, dtype=float)
    return lambda view: np.minimum(1 / decay, decay * view.gap / (4 * law.K(view.gap)))


def frank_wolfe_measured(law: Law, decay: Numbers) -> Rule:
    """Return the rate of A.4 from the measured gap G = <g, x> + <g, u> / lambda of Frank-Wolfe."""
    decay = np.asarray(decay, dtype=float)

    def rule(view: View) -> Floats:
        geometry = view.objective.geometry
        measured = geometry.inner(view.gradient, view.x) + view.slope / decay
        across = geometry.norm(view.x + view.u / geometry.expand(decay))
        return np.clip(_ratio(measured, across**2 * law.K(view.gap)), 0.0, 1.0) / decay

    return rule


def h0h1(law: Law, a: float = 1.0, b: float = 1.0) -> Rule:
    """Return 1 / (a H0 + b H1 gap) for gradient descent; (10, 20) in arXiv 2510.03164."""
    return lambda view: 1 / (a * np.asarray(law.K0) + b * np.asarray(law.K1) * view.gap)


def aiming(law: Law, theta: Numbers = 1.0) -> Rule:
    """Return theta / (2 H0 + H1 gap), the rate of B.3 for gradient descent."""
    return lambda view: theta / (2 * np.asarray(law.K0) + np.asarray(law.K1) * view.gap)


def polyak(theta: Numbers = 1.0) -> Rule:
    """Return theta gap / ||g||^2 for gradient descent: no constant of curvature (B.3)."""
    return lambda view: theta * _ratio(view.gap, view.dual**2)


def fixed(lr: Numbers) -> Rule:
    """Return the same rate at every step."""
    return lambda view: np.broadcast_to(np.asarray(lr, float), view.gap.shape)


def exact(law: Law) -> Rule:
    """Return the step after which a curvature of exactly K brings the slope to 0 (A.1b)."""

    def rule(view: View) -> Floats:
        length = np.where(view.length > 0, view.length, 1.0)
        return exact_length(law, view.gap, view.slope / length) / length

    return rule


def exact_length(law: Law, gap: Floats, slope: Floats) -> Floats:
    """Return the t at which psi'' = K(psi), psi(0) = gap, psi'(0) = -slope has psi' = 0.

    psi stops at m with primitive(m) = primitive(gap) - slope^2 / 2, and t is the integral of
    1 / sqrt(2 (primitive(s) - primitive(m))) over (m, gap). For (H0, H1) it is
    artanh(q) / sqrt(H1), q = sqrt(H1) slope / (H0 + H1 gap).

    Example:
        >>> t = exact_length(Law(2.0, 3.0), np.array([1.0]), np.array([1.5]))
        >>> bool(abs(t[0] - np.arctanh(3**0.5 * 1.5 / 5) / 3**0.5) < 1e-12)
        True
    """
    target = np.maximum(law.primitive(gap) - slope**2 / 2, 0.0)
    low = bisect(lambda s: law.primitive(s) > target, np.zeros_like(gap), gap.astype(float), 70)
    # s = m + (gap - m) v^2 takes the root singularity away.
    total = np.zeros_like(gap)
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        total += weight / np.sqrt(_mean_K(law, low, low + (gap - low) * node**2))
    return np.where(gap > low, np.sqrt(2 * (gap - low)) * total, 0.0)


def _mean_K(law: Law, m: Floats, s: Floats) -> Floats:
    """Return the mean of K over (m, s): the difference of primitives without its cancellation."""
    rho = law.rho
    mean = law.K0 + np.asarray(law.K1) * (m + s) / 2
    if not np.any(law.K_rho):
        return mean + 0.0 * s
    if rho == 2:
        return mean + law.K_rho * (s * s + s * m + m * m) / 3
    width = np.where(s > m, s - m, 1.0)
    power = np.where(s > m, (s ** (rho + 1) - m ** (rho + 1)) / ((rho + 1) * width), s**rho)
    return mean + law.K_rho * power


def armijo(most: Floats) -> Rule:
    """Return backtracking: from min(most, twice the last rate), halved while f falls too little.

    Too little is less than half of what the slope promises. The rate is then at least
    min(most, 2 last, a / (2 K(gap))) and the decrease at least eta a / 2 (A.1). The rule remembers
    the last rate, so that a new one is needed for every run.
    """
    last: list[Floats] = []

    def rule(view: View) -> Floats:
        objective, here = view.objective, view.objective.value(view.x)
        lr = np.minimum(most, 2 * last[-1]) if last else most
        for _ in range(200):
            with np.errstate(over="ignore", invalid="ignore"):
                there = objective.value(view.x - objective.geometry.expand(lr) * view.u)
            # Near the minimum the decrease drowns in the rounding of f.
            bad = ~(there <= here - 0.5 * lr * view.slope + 4e-16 * np.abs(here))
            if not bad.any():
                break
            lr = np.where(bad, 0.5 * lr, lr)
        last.append(lr)
        return lr

    return rule
